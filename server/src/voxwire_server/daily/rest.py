"""What is asked of Daily's REST interface: rooms and tokens.

Fields as docs.daily.co/reference/rest-api has them (rooms: "Create a room", meeting-tokens:
"Configuration"). A token without ``room_name`` opens every room of the account, and one without
``exp`` does so for ever: both are always there.
"""

import json
from typing import Any, Final, cast
from urllib.parse import quote

from voxwire_protocol.errors import ErrorCode, make_error
from voxwire_server.rest import Order, Send, send
from voxwire_server.strict_json import load_json

__all__ = ["DAILY_URL", "DailyRest"]

DAILY_URL: Final = "https://api.daily.co/v1"
_GONE: Final = 404
_REFUSED: Final = (401, 403)
_BUSY: Final = 429


class DailyRest:
    """Asks Daily. What it raises is a VoxwireError without anything of the key or a token in it.

    Args:
        key: The account's API key.
        url: Of the interface.
        geo: Where rooms are to be: a region of Daily's; empty = near who enters first.
        send: Asks.
    """

    def __init__(self, key: str, *, url: str = DAILY_URL, geo: str = "", send: Send = send) -> None:
        self._headers = {"authorization": f"Bearer {key}"}
        self._url = url.rstrip("/")
        self._geo = geo
        self._send = send

    async def look(self) -> None:
        """Ask for the account's settings, to see whether the key is known; nothing is changed.

        Raises:
            VoxwireError: SERVICE_FAILED, RATE_LIMITED.
        """
        status, _ = await self._send(self._order("GET", "/"))
        _check(status)

    async def create(self, name: str, *, exp_s: int) -> str:
        """Make a room for two that nobody enters without a token. Not cancel-safe: it may be there.

        Args:
            name: Its name, which we choose, so that it can be deleted whatever comes back.
            exp_s: When it ends, with everybody in it; seconds since the epoch.

        Returns:
            Its URL.

        Raises:
            VoxwireError: SERVICE_FAILED, RATE_LIMITED.
        """
        properties: dict[str, Any] = {
            "exp": exp_s,
            "eject_at_room_exp": True,
            "max_participants": 2,
            "start_video_off": True,
        }
        if self._geo:
            properties["geo"] = self._geo
        body = {"name": name, "privacy": "private", "properties": properties}
        return await self._ask("POST", "/rooms", body, "url")

    async def token(self, name: str, *, exp_s: int, user_name: str, owner: bool = False) -> str:
        """Make a token for one room.

        Args:
            name: Of the room.
            exp_s: Until when it lets in, and lets stay; seconds since the epoch.
            user_name: Whom it lets in.
            owner: Whether he may put others out.

        Raises:
            VoxwireError: SERVICE_FAILED, RATE_LIMITED.
        """
        properties = {
            "room_name": name,
            "exp": exp_s,
            "eject_at_token_exp": True,
            "is_owner": owner,
            "user_name": user_name,
            "start_video_off": True,
        }
        return await self._ask("POST", "/meeting-tokens", {"properties": properties}, "token")

    async def delete(self, name: str) -> None:
        """Delete a room, with everybody in it; nothing where there is none.

        Raises:
            VoxwireError: SERVICE_FAILED, RATE_LIMITED.
        """
        status, _ = await self._send(self._order("DELETE", f"/rooms/{quote(name, safe='')}"))
        if status != _GONE:
            _check(status)

    def _order(self, method: str, path: str, body: object = None) -> Order:
        if body is None:
            return Order(method, self._url + path, self._headers, b"")
        headers = {**self._headers, "content-type": "application/json"}
        return Order(method, self._url + path, headers, json.dumps(body).encode())

    async def _ask(self, method: str, path: str, body: object, wanted: str) -> str:
        status, data = await self._send(self._order(method, path, body))
        _check(status)
        answer = load_json(data)
        found = cast("dict[str, object]", answer).get(wanted) if isinstance(answer, dict) else None
        if not isinstance(found, str) or not found:
            raise make_error(ErrorCode.SERVICE_FAILED, f"Daily's answer has no {wanted}")
        return found


def _check(status: int) -> None:
    if 200 <= status < 300:
        return
    if status == _BUSY:
        raise make_error(ErrorCode.RATE_LIMITED, "Daily was asked too often", retryable=True)
    what = f"answers with HTTP {status}" if status else "is out of reach"
    if status in _REFUSED:
        what = "refuses the API key"
    again = status == 0 or status >= 500
    raise make_error(ErrorCode.SERVICE_FAILED, f"Daily {what}", retryable=again)
