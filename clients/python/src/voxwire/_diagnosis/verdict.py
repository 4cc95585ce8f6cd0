"""What STUN, TURN and the WebRTC path say together: one cause, one failure. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from voxwire._diagnosis.checks import Check, CheckName, failed, skipped
from voxwire._diagnosis.relays import Asked
from voxwire_protocol.errors import ErrorCode

__all__ = ["PathTried", "conclude"]

_KINDS: Final = ("turn_udp", "turn_tcp", "turn_tls")
_OVER: Final = {"turn_udp": "UDP", "turn_tcp": "TCP", "turn_tls": "TLS"}
_UNREACHABLE: Final = ("silent", "closed", "blocked", "name")
_EXPIRY: Final = re.compile(r"(\d{9,11})(?::|\Z)")
"""Of coturn's ``use-auth-secret``: the user name begins with it."""

_SECRET: Final = (
    "give VOXWIRE_TURN_SECRET and coturn's static-auth-secret the same value; a user name and"
    " password of VOXWIRE_ICE_SERVERS must be those of the TURN server"
)
_EITHER_END: Final = (
    "open the server's UDP ports (its firewall, Docker), see VOXWIRE_ICE_ADDRESSES, or set up TURN;"
    " or let UDP out of this network (a firewall, a VPN?)"
)
_EXPIRED: Final = "mint fresh credentials: those of VOXWIRE_TURN_SECRET are, for each session"
_SPARE: Final = (
    "open that port, in a firewall of this network or at the server; the connection is up without"
    " it"
)
_OF_CODE: Final = {
    403: "allow this client or the peer in the TURN server: denied-peer-ip, allowed-peer-ip",
    486: "the user has as many allocations as it may: raise coturn's user-quota, or end some",
    508: "the TURN server is full: raise coturn's total-quota, or its range of relay ports",
}


@dataclass(frozen=True, slots=True)
class PathTried:
    """What became of the WebRTC path.

    Attributes:
        state: ``absent`` = none was tried.
        detail: Why it failed, or was not tried.
        network: It failed because packets did not come through.
        relayed: It is up, and goes through TURN.
        took_ms: How long that took.
    """

    state: Literal["absent", "up", "failed"]
    detail: str = ""
    network: bool = False
    relayed: bool = False
    took_ms: int = 0


def conclude(
    asked: Sequence[Asked] | None, path: PathTried, *, clock_is_wrong: bool, now_s: float
) -> list[Check]:
    """The checks ``webrtc``, ``stun``, ``turn_udp``, ``turn_tcp``, ``turn_tls`` and ``udp``.

    Args:
        asked: What the STUN and TURN servers said; None = they were not tried.
        path: What became of the path.
        clock_is_wrong: Whether that was found already.
        now_s: Seconds since the epoch.
    """
    found = _Found(asked or [], path, clock_is_wrong=clock_is_wrong, now_s=now_s)
    if asked is None:
        servers = [skipped(kind, "not tried") for kind in ("stun", *_KINDS)]
    else:
        turn = [found.turn(kind) for kind in _KINDS]
        servers = [found.stun(), *turn]
    return [found.webrtc(), *servers, found.udp()]


class _Found:
    def __init__(
        self, asked: Sequence[Asked], path: PathTried, *, clock_is_wrong: bool, now_s: float
    ) -> None:
        self._asked, self._path = asked, path
        self._clock_is_wrong, self._now_s = clock_is_wrong, now_s
        self._blamed: dict[
            str | int, CheckName
        ] = {}  # a host that is down, an error code, or a URL
        over_udp = [one for one in asked if one.kind in ("stun", "turn_udp")]
        # an error of the server, or of its kernel, is a packet that came back
        self._udp_works = (path.state == "up" and not path.relayed) or any(
            one.trouble in ("", "refused", "closed") for one in over_udp
        )
        tried = bool(over_udp) or (path.state == "failed" and path.network)
        down = path.state != "up" and any(self._is_down(one.host) for one in asked)
        self._udp_fails = tried and not self._udp_works and not down

    def webrtc(self) -> Check:
        """Whether both sides have it."""
        path = self._path
        if path.state == "absent":
            return skipped("webrtc", path.detail)
        if path.state == "failed" and not path.network:
            advice = "see the server's log; until then the audio goes over the WebSocket"
            return failed("webrtc", path.detail, advice, ErrorCode.UNSUPPORTED)
        return Check("webrtc", "ok", "this machine and the server have it")

    def turn(self, kind: Literal["turn_udp", "turn_tcp", "turn_tls"]) -> Check:
        """What TURN over one protocol came to."""
        mine = [one for one in self._asked if one.kind == kind]
        if not mine:
            return skipped(kind, f"the server names no TURN over {_OVER[kind]}")
        bad = next((one for one in mine if one.trouble), None)
        if bad is None:
            return Check(kind, "ok", _listed(f"{one.url} relays at {one.told}" for one in mine))
        return self._blame(kind, bad, some_work=any(not one.trouble for one in mine))

    def _blame(self, kind: CheckName, bad: Asked, *, some_work: bool) -> Check:
        down = self._is_down(bad.host)
        if kind == "turn_udp" and bad.trouble in ("silent", "blocked") and self._udp_fails:
            return skipped(kind, needs="udp")
        late_s = self._late_s(bad)
        cause: str | int = ""
        if bad.trouble == "refused":
            cause = bad.error
        elif down and bad.trouble in _UNREACHABLE:
            cause = bad.host
        detail, advice = _turn_words(bad, late_s=late_s, down=down)
        if late_s > 0 and self._clock_is_wrong:
            advice = "set the clock that is wrong: the user name of TURN goes by it"
        if not some_work and self._is_spare(bad):
            some_work, advice = True, _SPARE
        if some_work:
            return Check(kind, "warning", detail, ErrorCode.TURN_FAILED, advice=advice)
        if cause in self._blamed:
            return skipped(kind, needs=self._blamed[cause])
        self._blamed[cause or bad.url] = kind
        return failed(kind, detail, advice, ErrorCode.TURN_FAILED)

    def _is_spare(self, bad: Asked) -> bool:
        """What is up does without it, and a firewall may be the reason as well as the server."""
        others = [it for it in self._asked if it.host == bad.host and it.kind != "stun"]
        others.remove(bad)
        if any(not one.trouble for one in others):
            return self._path.state != "failed" and bad.trouble in ("silent", "blocked", "closed")
        return not others and self._path.state == "up" and bad.trouble in ("silent", "blocked")

    def _is_down(self, host: str) -> bool:
        """Nothing of a TURN server can be reached, and it is not for want of UDP."""
        mine = [one for one in self._asked if one.host == host and one.kind != "stun"]
        return all(one.trouble in _UNREACHABLE for one in mine) and any(
            self._udp_works or one.kind != "turn_udp" or one.trouble == "name" for one in mine
        )

    def _late_s(self, one: Asked) -> float:
        expiry = _EXPIRY.match(one.username) if one.error in (401, 441) else None
        return max(0.0, self._now_s - int(expiry[1])) if expiry else 0.0

    def stun(self) -> Check:
        """What STUN came to; to be asked behind TURN."""
        mine = [one for one in self._asked if one.kind == "stun"]
        if not mine:
            return skipped("stun", "the server names no STUN")
        good = [one for one in mine if not one.trouble]
        if len(good) == len(mine):
            seen = _listed(f"{one.url} sees this machine at {one.told}" for one in good)
            return Check("stun", "ok", seen)
        bad = next(one for one in mine if one.trouble)
        if bad.trouble in ("silent", "blocked") and self._udp_fails:
            return skipped("stun", needs="udp")
        if bad.host in self._blamed:
            return skipped("stun", needs=self._blamed[bad.host])
        detail = f"{bad.url}: {bad.told}"
        advice = "start it, open its port, or take it out of VOXWIRE_ICE_SERVERS"
        if not good and self._path.state == "up" and bad.trouble in ("silent", "blocked"):
            good, advice = mine, _SPARE
        if good:
            return Check("stun", "warning", detail, ErrorCode.UNREACHABLE, advice=advice)
        return failed("stun", detail, advice, ErrorCode.UNREACHABLE)

    def udp(self) -> Check:
        """Whether packets come and go; to be asked behind TURN."""
        path = self._path
        if self._udp_fails:
            return self._no_udp()
        if path.state == "up" and self._udp_works:
            how = "through TURN" if path.relayed else "without TURN"
            return Check("udp", "ok", f"WebRTC came up {how}", None, path.took_ms)
        if path.state == "up":
            return skipped("udp", "nothing here asks for it: the audio goes through TURN over TCP")
        if self._udp_works and not path.network:
            return Check("udp", "ok", "a STUN or TURN server answers over it")
        if self._blamed:
            return skipped("udp", needs=next(iter(self._blamed.values())))
        if not path.network:
            return skipped("udp", f"nothing here asks for it: {path.detail or 'no WebRTC'}")
        detail = "UDP gets out of here, but no packet of the server comes back"
        advice = "open the server's UDP ports in its firewall, or set up TURN"
        return failed("udp", detail, advice, ErrorCode.ICE_FAILED)

    def _no_udp(self) -> Check:
        tried = [one.url for one in self._asked if one.kind in ("stun", "turn_udp")]
        if not tried:  # nobody else was asked who would have answered
            detail = "no UDP packet of the server comes back, and nothing else here is asked by UDP"
            return failed("udp", detail, _EITHER_END, ErrorCode.ICE_FAILED)
        if self._path.state != "absent":
            tried.append("the server itself")
        detail = f"no UDP packet comes back; tried {', '.join(tried)}"
        advice = (
            "let UDP out of this network (a firewall, a VPN?); until then the audio goes over TCP,"
            " where a lost packet holds up those behind it"
        )
        return failed("udp", detail, advice, ErrorCode.ICE_FAILED)


def _turn_words(bad: Asked, *, late_s: float, down: bool) -> tuple[str, str]:
    """What is wrong with TURN, and what to do."""
    if bad.error in (401, 441):
        said = f"{bad.url} refused the credentials ({bad.told})"
        if late_s > 0:
            return f"{said}: they expired {late_s:.0f} s ago", _EXPIRED
        return f"{said}: the secret, or user name and password, are others there", _SECRET
    if bad.trouble == "refused":
        advice = _OF_CODE.get(bad.error, "see the TURN server's log")
        return f"{bad.url} refused an allocation ({bad.told})", advice
    if bad.trouble == "tls":
        return f"{bad.url}: {bad.told}", "give the TURN server a certificate that is good here"
    if bad.trouble == "name":
        return f"{bad.url}: {bad.told}", "correct VOXWIRE_TURN_URLS, or the name server"
    if down:
        advice = "start the TURN server, or correct VOXWIRE_TURN_URLS"
        return f"{bad.url} cannot be reached ({bad.told}), nor {bad.host} otherwise", advice
    advice = "open that port of the TURN server, in its configuration and its firewall"
    return f"{bad.url} cannot be reached ({bad.told}), {bad.host} can otherwise", advice


def _listed(parts: Iterable[str]) -> str:
    return "; ".join(parts)
