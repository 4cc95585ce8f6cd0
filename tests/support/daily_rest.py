"""Daily's REST interface, as far as it is documented: it takes what is asked down, and checks it.

Fields are those of docs.daily.co/reference/rest-api ("Create a room", "Meeting token
configuration"); one that is not there, or of another type, is answered with HTTP 400.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from voxwire_server.rest import Order

__all__ = ["KEY", "DailyRestServer", "RoomThere"]

KEY: Final = "daily-api-key-canary-0123456789abcdef"

_ROOM: Final[Mapping[str, type | tuple[type, ...]]] = {
    "name": str,
    "privacy": str,
    "properties": dict,
}
_ROOM_PROPERTIES: Final[Mapping[str, type | tuple[type, ...]]] = {
    "nbf": int,
    "exp": int,
    "max_participants": int,
    "enable_people_ui": bool,
    "enable_pip_ui": bool,
    "enable_emoji_reactions": bool,
    "enable_hand_raising": bool,
    "enable_prejoin_ui": bool,
    "enable_live_captions_ui": bool,
    "enable_network_ui": bool,
    "enable_noise_cancellation_ui": bool,
    "enable_breakout_rooms": bool,
    "enable_knocking": bool,
    "enable_screenshare": bool,
    "enable_video_processing_ui": bool,
    "enable_chat": bool,
    "start_video_off": bool,
    "start_audio_off": bool,
    "owner_only_broadcast": bool,
    "enable_recording": str,
    "eject_at_room_exp": bool,
    "eject_after_elapsed": int,
    "enable_advanced_chat": bool,
    "enable_hidden_participants": bool,
    "enable_mesh_sfu": bool,
    "sfu_switchover": (int, float),
    "lang": str,
    "geo": str,
    "rtmp_geo": str,
    "enable_dialout": bool,
    "permissions": dict,
}
_TOKEN_PROPERTIES: Final[Mapping[str, type | tuple[type, ...]]] = {
    "room_name": str,
    "eject_at_token_exp": bool,
    "eject_after_elapsed": int,
    "nbf": int,
    "exp": int,
    "is_owner": bool,
    "user_name": str,
    "user_id": str,
    "enable_screenshare": bool,
    "start_video_off": bool,
    "start_audio_off": bool,
    "enable_recording": str,
    "enable_prejoin_ui": bool,
    "start_cloud_recording": bool,
    "close_tab_on_exit": bool,
    "redirect_on_meeting_exit": str,
    "lang": str,
    "permissions": dict,
}
_GEOS: Final = frozenset(
    {
        "af-south-1",
        "ap-northeast-2",
        "ap-southeast-1",
        "ap-southeast-2",
        "ap-south-1",
        "eu-central-1",
        "eu-west-2",
        "sa-east-1",
        "us-east-1",
        "us-west-2",
    }
)


@dataclass
class RoomThere:
    """A room of the account.

    Attributes:
        name: Its name.
        properties: As it was made.
        tokens: Of those whom it lets in: their properties by token.
    """

    name: str
    properties: dict[str, Any]
    tokens: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])

    @property
    def url(self) -> str:
        """Where it is entered."""
        return f"https://voxwire-tests.daily.co/{self.name}"


class _BadRequestError(Exception):
    """HTTP 400, and why."""


class DailyRestServer:
    """An account.

    Args:
        key: Its API key.
        now_s: The wall clock, seconds since the epoch.

    Attributes:
        rooms: Those that are there, by name.
        made: Names of all that were ever made, in order.
        deleted: Names of those that were deleted.
        asked: Method and path of every request.
        complaints: What was wrong with requests.
        answers: Set it, and this many requests are answered by it first: HTTP status by
            "METHOD /path-prefix".
    """

    def __init__(self, key: str = KEY, *, now_s: Callable[[], float]) -> None:
        self._key = key
        self._now_s = now_s
        self.rooms: dict[str, RoomThere] = {}
        self.made: list[str] = []
        self.deleted: list[str] = []
        self.asked: list[tuple[str, str]] = []
        self.complaints: list[str] = []
        self.answers: dict[str, list[int]] = {}
        self._tokens = 0

    async def send(self, order: Order) -> tuple[int, bytes]:
        """A request without a socket: what `voxwire_server.rest.send` stands for."""
        path = urlsplit(order.url).path.removeprefix("/v1")
        return self.answer(order.method, path, order.headers, order.body)

    def answer(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, bytes]:
        """HTTP status and body."""
        self.asked.append((method, path))
        for asked, statuses in self.answers.items():
            if f"{method} {path}".startswith(asked) and statuses:
                return statuses.pop(0), b'{"error":"forced"}'
        if headers.get("authorization") != f"Bearer {self._key}":
            return 401, b'{"error":"authentication-error"}'
        try:
            return self._answer(method, path, headers, body)
        except _BadRequestError as error:
            self.complaints.append(str(error))
            return 400, json.dumps({"error": "invalid-request-error", "info": str(error)}).encode()

    def _answer(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, bytes]:
        match method, path:
            case "GET", "/":
                return 200, b'{"domain_name":"voxwire-tests","config":{}}'
            case "POST", "/rooms":
                return 200, json.dumps(self._room(_said(headers, body))).encode()
            case "POST", "/meeting-tokens":
                return 200, json.dumps({"token": self._token(_said(headers, body))}).encode()
            case "DELETE", _ if path.startswith("/rooms/"):
                if body or "content-type" in headers:
                    raise _BadRequestError("a DELETE has no body")
                return self._delete(unquote(path.removeprefix("/rooms/")))
            case _:
                return 404, b'{"error":"not-found"}'

    def _room(self, said: dict[str, Any]) -> dict[str, Any]:
        _check("room", said, _ROOM)
        properties = said.get("properties", {})
        _check("room properties", properties, _ROOM_PROPERTIES)
        if said.get("privacy") not in ("public", "private"):
            raise _BadRequestError("privacy is public or private")
        if "geo" in properties and properties["geo"] not in _GEOS:
            raise _BadRequestError("geo is no region")
        name = said["name"]
        if len(name) > 41 or not all(c.isalnum() or c in "-_" for c in name) or name in self.rooms:
            raise _BadRequestError("name")
        if properties.get("exp", self._now_s() + 1) <= self._now_s():
            raise _BadRequestError("exp has passed")
        room = self.rooms[name] = RoomThere(name, properties)
        self.made.append(name)
        return {
            "id": f"id-{name}",
            "name": name,
            "api_created": True,
            "privacy": said["privacy"],
            "url": room.url,
            "created_at": "2026-12-01T00:00:00.000Z",
            "config": properties,
        }

    def _token(self, said: dict[str, Any]) -> str:
        _check("token", said, {"properties": dict})
        properties = said.get("properties", {})
        _check("token properties", properties, _TOKEN_PROPERTIES)
        if "room_name" not in properties or "exp" not in properties:
            raise _BadRequestError("a token without room_name or exp opens too much")
        room = self.rooms.get(properties["room_name"])
        self._tokens += 1
        token = f"token-canary-{self._tokens:04d}-{'x' * 40}"
        if room is not None:
            room.tokens[token] = properties
        return token

    def _delete(self, name: str) -> tuple[int, bytes]:
        if self.rooms.pop(name, None) is None:
            return 404, b'{"error":"not-found","info":"room does not exist"}'
        self.deleted.append(name)
        return 200, json.dumps({"deleted": True, "name": name}).encode()

    def lets_in(self, url: str, token: str) -> RoomThere | None:
        """The room of that URL, if the token opens it now."""
        room = self.rooms.get(url.rpartition("/")[2])
        if room is None or room.url != url or token not in room.tokens:
            return None
        now_s = self._now_s()
        ends_s = min(room.properties.get("exp", now_s + 1), room.tokens[token]["exp"])
        return room if now_s < ends_s else None


def _said(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    if headers.get("content-type") != "application/json":
        raise _BadRequestError("content-type")
    said = json.loads(body)
    if not isinstance(said, dict):
        raise _BadRequestError("no object")
    return said


def _check(what: str, said: dict[str, Any], known: Mapping[str, type | tuple[type, ...]]) -> None:
    for name, value in said.items():
        if name not in known:
            raise _BadRequestError(f"{what}: {name} is not documented")
        wanted = known[name]
        boolean = isinstance(value, bool) and wanted is not bool
        if not isinstance(value, wanted) or boolean:
            raise _BadRequestError(f"{what}: {name} has another type")
