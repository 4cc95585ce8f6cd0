"""What ``POST /start`` promised: who may come back with it, for how long, and what he asked for.

Pure: no clock reads; ``now_ms`` is monotonic milliseconds. The id of a start is 192 random bits
and the credential of what follows: stock clients send it in a path.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, cast

from voxwire_protocol import wire
from voxwire_protocol.json_text import parse_json
from voxwire_server.session.ticket import Ticket

__all__ = ["START_TTL_MS", "Asked", "Owner", "Start", "Starts", "asked_of"]

START_TTL_MS: Final = 60_000
"""How long a start waits for its client."""
_MAX_STARTS: Final = 256
_MAX_OF_ONE: Final = 8
_MAX_METADATA_BYTES: Final = 8192
_MAX_TOOLS: Final = 32


class Owner(NamedTuple):
    """Whose a connection is: the page's origin, and what proved who he is."""

    origin: bytes
    secret: bytes

    @classmethod
    def of(cls, origin: bytes, credential: str) -> "Owner":
        """Of a ticket's secret or of the id of a start; both stay out of memory dumps of this."""
        return cls(origin, hashlib.sha256(credential.encode()).digest())

    def same(self, other: "Owner") -> bool:
        """Whether it is the same one, in constant time."""
        return self.origin == other.origin and hmac.compare_digest(self.secret, other.secret)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a page asked of its session in the body of its start or offer.

    Attributes:
        metadata_json: For the bot: the body, if it is an object; else empty.
        tools: Tools that the page runs, from its member ``tools``.
    """

    metadata_json: str = ""
    tools: tuple[wire.ToolDeclaration, ...] = ()


def asked_of(body: object) -> Asked:
    """Read the free part of a body.

    Raises:
        JsonTextError: It is above 8 KB, or holds what cannot be sent on.
    """
    if not isinstance(body, dict) or not body:
        return Asked()
    members = cast("dict[str, Any]", body)
    text = json.dumps(members, ensure_ascii=False, separators=(",", ":"))
    parse_json(text, max_bytes=_MAX_METADATA_BYTES)  # as what a Hello sends along
    tools: object = members.get("tools")
    listed = cast("list[object]", tools)[:_MAX_TOOLS] if isinstance(tools, list) else []
    found = (_tool(cast("dict[str, Any]", tool)) for tool in listed if isinstance(tool, dict))
    return Asked(text, tuple(tool for tool in found if tool.name))


def _tool(tool: dict[str, Any]) -> wire.ToolDeclaration:
    name, description = tool.get("name"), tool.get("description")
    parameters = tool.get("parameters")
    return wire.ToolDeclaration(
        name=name if isinstance(name, str) else "",
        description=description if isinstance(description, str) else "",
        parameters_json=json.dumps(parameters) if isinstance(parameters, dict) else "",
    )


@dataclass(frozen=True, slots=True)
class Start:
    """One promise.

    Attributes:
        id: What the client comes back with.
        ticket: Who may begin a session with it.
        origin: Of the page that asked; empty for a program.
        asked: What it asked of the session.
        ends_at_ms: When nobody may begin a session with it any more.
    """

    id: str = field(repr=False)
    ticket: Ticket
    origin: bytes
    asked: Asked
    ends_at_ms: float

    @property
    def owner(self) -> Owner:
        """Whose the connections are that come with it."""
        return Owner.of(self.origin, self.id)


class Starts:
    """The promises of one server.

    At most 256 are kept by which no session lives, and 8 of one user, or token, on one
    origin wait for a client.

    Args:
        living: Whose sessions live: their starts are kept, for clients that come back.
        mark: What their ids begin with.
    """

    def __init__(self, living: Callable[[], Set[Owner]], *, mark: str = "") -> None:
        self._mark = mark
        self._living = living
        self._starts: dict[str, Start] = {}
        self._came: set[str] = set()

    def __len__(self) -> int:
        return len(self._starts)

    def add(self, ticket: Ticket, origin: bytes, asked: Asked, now_ms: float) -> Start | None:
        """Promise one more; None = there are too many."""
        living = self._living()
        idle = [start for start in self._starts.values() if start.owner not in living]
        for start in idle:
            if start.ends_at_ms <= now_ms:
                self._forget(start)
        idle = [start for start in idle if start.ends_at_ms > now_ms]
        same = sum(
            (start.ticket.secret, start.origin) == (ticket.secret, origin)
            for start in idle
            if start.id not in self._came
        )
        if len(idle) >= _MAX_STARTS or same >= _MAX_OF_ONE:
            return None
        name = self._mark + secrets.token_urlsafe(24)
        start = Start(name, ticket, origin, asked, now_ms + START_TTL_MS)
        self._starts[name] = start
        return start

    def get(self, name: str, origin: bytes, now_ms: float) -> Start | None:
        """The start of that id, for a client of the same origin."""
        start = self._starts.get(name)
        if start is None or start.origin != origin:
            return None
        if start.ends_at_ms <= now_ms and start.owner not in self._living():
            self._forget(start)
            return None
        return start

    def came(self, start: Start) -> None:
        """Its client is there: nobody waits for him any more, and he may come again."""
        if start.id in self._starts:
            self._came.add(start.id)

    def take(self, name: str, origin: bytes, now_ms: float) -> Start | None:
        """The same, used up."""
        start = self.get(name, origin, now_ms)
        if start is not None:
            self._forget(start)
        return start

    def give_back(self, start: Start) -> None:
        """Nothing came of taking it: its client may come with it again, in its time."""
        self._starts[start.id] = start

    def _forget(self, start: Start) -> None:
        del self._starts[start.id]
        self._came.discard(start.id)
