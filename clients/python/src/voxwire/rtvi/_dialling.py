"""Opening lines to a stock bot: what is asked of its runner before, and in which order."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from voxwire._environment import Environment
from voxwire._ice import IceChoice
from voxwire._options import Options
from voxwire._simulate import Gate
from voxwire._url import is_loopback
from voxwire.rtvi._http import ask
from voxwire.rtvi._inflow import Inflow
from voxwire.rtvi._line import Line
from voxwire.rtvi._offers import MAX_ID_CHARS, Offers
from voxwire.rtvi._socket_line import SocketLine
from voxwire.rtvi._url import (
    OFFER,
    SOCKET,
    START,
    is_same_place,
    route,
    socket_of,
    started_socket,
)
from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode, ProtocolError, TransportError

__all__ = ["Dialling", "Ways"]

MAX_ICE_SERVERS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """How a stock bot is reached.

    Attributes:
        base: The URL that its runner's routes are below.
        endpoint: The route of offers or of the socket; empty = that of Pipecat's runner.
        start: What ``POST /start`` is given; None = nothing is started.
        headers: Of every request.
        carrier: What carries the session.
    """

    base: str
    endpoint: str
    start: Mapping[str, Any] | None = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    carrier: wire.Carrier.ValueType


class Dialling:
    """Opens the lines of one session."""

    def __init__(
        self,
        ways: Ways,
        options: Options,
        *,
        inflow: Inflow,
        gate: Gate,
        environment: Environment,
    ) -> None:
        """Prepares; nothing is asked yet."""
        self._ways = ways
        self._metadata = json.loads(options.metadata_json) if options.metadata_json else None
        self._headers = dict(ways.headers)
        if options.token:
            self._headers["Authorization"] = f"Bearer {options.token}"
        loopback = is_loopback(ways.base)
        self._ice = IceChoice(options.ice_servers, policy=options.ice_policy, loopback=loopback)
        self._inflow = inflow
        self._gate = gate
        self._clock = environment.clock
        self._offers: Offers | None = None

    async def open(self, timeout_ms: int) -> Line:
        """Opens the first line. Cancel-safe.

        Raises:
            VoxwireError: Nothing answers, or it refuses.
        """
        deadline_ms = self._clock.now_ms() + timeout_ms
        started = {} if self._ways.start is None else await self._start(timeout_ms)
        left_ms = round(deadline_ms - self._clock.now_ms())
        if left_ms <= 0:
            raise TransportError(
                ErrorCode.TIMEOUT, "the bot took too long to start", retryable=True
            )
        name = _name(started)
        if self._ways.carrier == wire.Carrier.CARRIER_WEBSOCKET:
            return await self._open_socket(started, name, left_ms)
        self._offers = Offers(
            self._offer_url(name),
            name=name,
            headers=self._headers,
            request_data=self._metadata,
        )
        self._ice.learn(_ice_servers(started))
        return await self._open_rtc(self._offers, left_ms, muted=False)

    async def reopen(self, timeout_ms: int, *, muted: bool) -> Line:
        """Opens another line in the place of one over WebRTC that was lost. Cancel-safe.

        Raises:
            VoxwireError: Nothing answers, or it refuses.
        """
        assert self._offers is not None, "a socket is not dialled again"
        return await self._open_rtc(self._offers, timeout_ms, muted=muted)

    async def _start(self, timeout_ms: int) -> dict[str, Any]:
        socket = self._ways.carrier == wire.Carrier.CARRIER_WEBSOCKET
        body: dict[str, Any] = {"transport": "websocket" if socket else "webrtc"}
        if self._metadata is not None:
            body["body"] = self._metadata
        return await ask(
            "POST",
            route(self._ways.base, START),
            {**body, **(self._ways.start or {})},
            headers=self._headers,
            timeout_ms=timeout_ms,
        )

    def _offer_url(self, name: str) -> str:
        if self._ways.endpoint or not name:
            return route(self._ways.base, self._ways.endpoint or OFFER)
        return route(self._ways.base, f"/sessions/{name}{OFFER}")

    async def _open_socket(self, started: dict[str, Any], name: str, timeout_ms: int) -> Line:
        url = socket_of(route(self._ways.base, self._ways.endpoint or SOCKET))
        if "wsUrl" in started:
            url = started_socket(self._ways.base, started["wsUrl"])
        # What the caller entrusts to its runner is not for whomever an answer names.
        headers = dict(self._headers) if is_same_place(url, self._ways.base) else {}
        token: object = started.get("token")
        if isinstance(token, str) and token.isascii() and token.isprintable():
            headers["Authorization"] = f"Bearer {token}"
        return await SocketLine.dial(
            url,
            name=name,
            headers=headers,
            timeout_ms=timeout_ms,
            inflow=self._inflow,
            gate=self._gate,
        )

    async def _open_rtc(self, offers: Offers, timeout_ms: int, *, muted: bool) -> Line:
        from voxwire.rtvi._rtc_line import RtcLine  # brings in aiortc

        return await RtcLine.dial(
            offers,
            ice=self._ice,
            timeout_ms=timeout_ms,
            inflow=self._inflow,
            gate=self._gate,
            muted=muted,
        )


def _name(started: dict[str, Any]) -> str:
    """The session's id in the answer to a start; empty = it has none.

    Raises:
        ProtocolError: MALFORMED: it is none that a URL can have in it.
    """
    given: object = started.get("sessionId")
    if given is None:
        return ""
    usable = isinstance(given, str) and 0 < len(given) <= MAX_ID_CHARS
    if not usable or not cast("str", given).replace("-", "").replace("_", "").isalnum():
        raise ProtocolError(ErrorCode.MALFORMED, "the answer to the start has no usable sessionId")
    return cast("str", given)


def _ice_servers(started: dict[str, Any]) -> list[wire.IceServer]:
    """``iceConfig.iceServers`` of the answer to a start; what is no server is left out."""
    listed = _members(started.get("iceConfig")).get("iceServers")
    found = cast("list[object]", listed) if isinstance(listed, list) else []
    servers = [_ice_server(_members(item)) for item in found[:MAX_ICE_SERVERS]]
    return [server for server in servers if server.urls]


def _ice_server(members: dict[str, Any]) -> wire.IceServer:
    urls: object = members.get("urls")
    named = cast("list[object]", urls) if isinstance(urls, list) else [urls]
    return wire.IceServer(
        urls=[url for url in named if isinstance(url, str)],
        username=str(members.get("username") or ""),
        credential=str(members.get("credential") or ""),
    )


def _members(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
