"""Allocations on TURN servers: several of them, bounded in time, refusals by name.

aioice knows one TURN server, waits 5 s for it and keeps to itself why it gave nothing.
"""

import asyncio
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aioice import ice, stun, turn

from voxwire_protocol import wire

__all__ = ["ALLOCATE_S", "TurnError", "allocate", "has_turn", "try_turn"]

ALLOCATE_S: Final = 3.0
"""How long one TURN server may take. aioice itself would retransmit for half a minute."""
_NEXT_S: Final = 0.5
"""A server that is silent for so long gets company by the next one of the list."""
_DELETE_S: Final = 1.0
_MAX_URLS: Final = 4
_URL: Final = re.compile(
    r"(turns?):(\[[0-9A-Fa-f:.]+\]|[^?:\[\]]+)(?::(\d{1,5}))?(?:\?transport=(udp|tcp))?"
)
_PORTS: Final = {"turn": 3478, "turns": 5349}  # RFC 7065 §3.1
_EXPIRY: Final = re.compile(r"(\d{9,11})(?::|\Z)")


class TurnError(ConnectionError):
    """No TURN server gave an allocation; the text says for each one why, and holds no credential.

    Attributes:
        refused: True when a server answered and did not want us, False when none answered.
    """

    def __init__(self, reason: str, *, refused: bool = False) -> None:
        super().__init__(reason)
        self.refused = refused


@dataclass(frozen=True, slots=True)
class _Server:
    host: str
    port: int
    tls: bool
    transport: str
    username: str
    credential: str = field(repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        plain = self.transport == ("tcp" if self.tls else "udp")
        query = "" if plain else f"?transport={self.transport}"
        return f"{'turns' if self.tls else 'turn'}:{host}:{self.port}{query}"


def _read(servers: Iterable[wire.IceServer]) -> list[_Server]:
    """The TURN servers of a list; what is no TURN URL that works here (STUN, DTLS) is passed by."""
    found: list[_Server] = []
    for server in servers:
        for url in server.urls:
            match = _URL.fullmatch(url)
            if match is None:
                continue
            scheme, host, port, transport = match.groups()
            tls = scheme == "turns"
            if tls and transport == "udp":
                continue
            found.append(
                _Server(
                    host=host.strip("[]"),
                    port=int(port or _PORTS[scheme]),
                    tls=tls,
                    transport=transport or ("tcp" if tls else "udp"),
                    username=server.username,
                    credential=server.credential,
                )
            )
    return found[:_MAX_URLS]


def has_turn(servers: Iterable[wire.IceServer]) -> bool:
    """True when one of them is a TURN server that this side can use."""
    return bool(_read(servers))


async def allocate(agent: Any, servers: Sequence[wire.IceServer], *, hide: bool = False) -> Any:
    """Get a relayed candidate from the first server that gives one. Cancel-safe.

    Args:
        agent: The aioice agent that is to use it.
        servers: W3C RTCIceServers; at most 4 URLs are tried, in their order, a next one as soon as
            those before it have failed or have been silent for 0.5 s.
        hide: Leave our own address out of the candidate.

    Returns:
        aioice's protocol for the allocation; ``local_candidate`` is its candidate. Whoever gets it
        closes it.

    Raises:
        TurnError: None gave one within 3 s of being asked, or there is none.
    """
    waiting = _read(servers)
    if not waiting:
        raise TurnError("there is no TURN server to use")
    failures: list[TurnError] = []
    tasks: set[asyncio.Task[Any]] = set()
    won: Any = None
    try:
        while won is None and (waiting or tasks):
            if waiting:
                tasks.add(asyncio.create_task(_allocate(agent, waiting.pop(0), hide=hide)))
            done, tasks = await asyncio.wait(
                tasks, timeout=_NEXT_S if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                error = task.exception()
                if isinstance(error, TurnError):
                    failures.append(error)
                elif error is not None:
                    raise error
                elif won is None:
                    won = task.result()
                else:
                    await task.result().close()
    finally:
        await _abandon(tasks)
    if won is None:
        refused = any(failure.refused for failure in failures)
        raise TurnError("; ".join(map(str, failures)), refused=refused)
    return won


async def try_turn(servers: Sequence[wire.IceServer]) -> list[tuple[str, TurnError | None]]:
    """Ask every TURN server for an allocation, all at once, and give it back.

    Args:
        servers: W3C RTCIceServers; at most 4 URLs of them are tried.

    Returns:
        Each URL, as ``turn:host:port?transport=...``, with why it gave none; None = it gave one.
        Takes 4 s at most.
    """
    found = _read(servers)
    return list(zip(map(str, found), await asyncio.gather(*map(_try, found)), strict=True))


async def _try(server: _Server) -> TurnError | None:
    agent = ice.Connection(ice_controlling=True)
    try:
        protocol = await _allocate(agent, server, hide=True)
    except TurnError as error:
        return error
    finally:
        await agent.close()
    await protocol.close()
    return None


async def _abandon(tasks: set[asyncio.Task[Any]]) -> None:
    """Cancel what is not needed any more, and give back what it had got already."""
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if not isinstance(result, BaseException):
            await result.close()


async def _allocate(agent: Any, server: _Server, *, hide: bool) -> Any:
    try:
        async with asyncio.timeout(ALLOCATE_S):
            _, protocol = await ice.relayed_candidate(
                component=1,
                hide_related_address=hide,
                protocol_factory=lambda: ice.StunProtocol(agent),
                turn_server=(server.host, server.port),
                turn_username=server.username or None,
                turn_password=server.credential or None,
                turn_ssl=server.tls,
                turn_transport=server.transport,
            )
    except stun.TransactionFailed as error:
        raise TurnError(f"{server} {_refusal(error, server)}", refused=True) from None
    except (TimeoutError, stun.TransactionTimeout):
        raise TurnError(f"{server} did not answer within {ALLOCATE_S:g} s") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise TurnError(f"{server} cannot be reached: {reason}") from error
    _delete_promptly(protocol.transport)
    return protocol


def _refusal(error: stun.TransactionFailed, server: _Server) -> str:
    """What a TURN server's error response means (RFC 8656 §7.4, RFC 8489 §9.2)."""
    code, phrase = error.response.attributes.get("ERROR-CODE", (0, ""))
    said = f"{code} {''.join(c for c in phrase[:48] if c.isprintable())}".strip()
    if code not in (401, 441):
        return f"refused an allocation ({said})"
    expiry = _EXPIRY.match(server.username)  # coturn's use-auth-secret
    late_s = time.time() - int(expiry[1]) if expiry else 0
    if late_s > 0:
        why = f"they expired {late_s:.0f} s ago by this machine's clock"
    else:
        why = "the user name is unknown there, or the secret is another one"
    return f"refused the credentials ({said}): {why}"


def _delete_promptly(transport: Any) -> None:
    """Bound the farewell: a TURN server that is gone must not hold up a close for half a minute."""
    inner: turn.TurnClientProtocol = transport._TurnTransport__inner_protocol
    delete = inner.delete

    async def delete_within() -> None:
        try:
            async with asyncio.timeout(_DELETE_S):
                await delete()
        except TimeoutError:
            return

    inner.delete = delete_within  # type: ignore[method-assign]
