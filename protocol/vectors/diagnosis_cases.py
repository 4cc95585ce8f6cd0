"""Cases for ``diagnosis``: what STUN, TURN and a WebRTC path say together is one fault."""

from collections.abc import Iterator
from typing import Any

Case = dict[str, Any]

NOW_S = 1_800_000_000

_SECRET = (
    "give VOXWIRE_TURN_SECRET and coturn's static-auth-secret the same value; a user name and"
    " password of VOXWIRE_ICE_SERVERS must be those of the TURN server"
)
_EITHER_END = (
    "open the server's UDP ports (its firewall, Docker), see VOXWIRE_ICE_ADDRESSES, or set up TURN;"
    " or let UDP out of this network (a firewall, a VPN?)"
)
_OUT = (
    "let UDP out of this network (a firewall, a VPN?); until then the audio goes over TCP,"
    " where a lost packet holds up those behind it"
)
_SPARE = (
    "open that port, in a firewall of this network or at the server; the connection is up without"
    " it"
)
_START = "start the TURN server, or correct VOXWIRE_TURN_URLS"
_OPEN = "open that port of the TURN server, in its configuration and its firewall"

_UP, _RELAYED = {"state": "up"}, {"state": "up", "relayed": True}
_BLOCKED = {"state": "failed", "detail": "no UDP packet came back", "network": True}
_ABSENT = {"state": "absent", "detail": "not installed"}


def cases() -> Iterator[tuple[str, Case]]:
    """File name and content of each case."""
    yield (
        "verdict",
        {"about": "The cause fails, and what follows from it names it.", "steps": _steps()},
    )
    yield (
        "refusals",
        {"about": "What a server says that lets nobody in has its advice.", "steps": _refusals()},
    )


def _refusals() -> list[Case]:
    """What the server says (admission, caps), and what to do."""
    busy = {
        "the server is full": "the operator can raise VOXWIRE_MAX_SESSIONS or add servers",
        "the server is too busy": "the operator can add servers, or a faster one",
        "the server cannot decide just now": (
            "the operator has to see why the servers' store is silent"
        ),
        "this user has used up the day's sessions; the next day begins at 00:00 UTC": (
            "the operator can raise VOXWIRE_CAPS_PER_USER or VOXWIRE_CAPS_PER_BOT, or what tokens"
            " allow"
        ),
        "who comes cannot be looked up just now": (
            "the operator has to see what the authenticator says in the server's log"
        ),
    }
    rate = (
        "the operator can raise VOXWIRE_STARTS_PER_ADDRESS or VOXWIRE_STARTS_PER_USER, whichever it"
        " names"
    )
    of_token = "end one of this user's sessions, or get a token that allows more: max_sessions"
    together = "bring client and server to versions that go together"
    return [
        *(_refusal("CAPACITY", reason, f"try again later; {it}") for reason, it in busy.items()),
        _refusal("CAPACITY", "the server is too busy", "try again in 2.5 s; the operator can add"
                 " servers, or a faster one", retry_after_ms=2500),
        _refusal("CAPACITY", "this token allows no more sessions", of_token, retry_after_ms=1000),
        _refusal("RATE_LIMITED", "too many starts", f"try again in 30 s; {rate}",
                 retry_after_ms=30_000),
        _refusal("GOING_AWAY", "the server is shutting down",
                 "try again later; the server is being stopped, or restarted"),
        _refusal("VERSION", "the server speaks version 1", together),
        _refusal("UNAUTHORIZED", "the token is not good here", ""),
    ]  # fmt: skip


def _refusal(code: str, reason: str, advice: str, retry_after_ms: int = 0) -> Case:
    return {
        **{"op": "advise", "code": code, "reason": reason, "retry_after_ms": retry_after_ms},
        "advice": advice,
    }


def _asked(url: str, kind: str, trouble: str = "", error: int = 0, username: str = "") -> Case:
    """What became of one URL, of the host "t" or "u"."""
    told = f"{error} No" if error else "nothing" if trouble else "192.0.2.1:9"
    return {
        **{"url": url, "kind": kind, "host": url.partition(":")[2][0], "trouble": trouble},
        **{"told": told, "error": error, "username": username},
    }


def _stun(trouble: str = "", host: str = "t") -> Case:
    return _asked(f"stun:{host}", "stun", trouble)


def _udp(trouble: str = "", error: int = 0, username: str = "", host: str = "t") -> Case:
    return _asked(f"turn:{host}", "turn_udp", trouble, error, username)


def _tcp(trouble: str = "", error: int = 0) -> Case:
    return _asked("turn:t?transport=tcp", "turn_tcp", trouble, error)


def _tls(trouble: str = "", error: int = 0) -> Case:
    return _asked("turns:t", "turn_tls", trouble, error)


def _ok(detail: str) -> Case:
    return {"state": "ok", "detail": detail}


def _skipped(detail: str) -> Case:
    return {"state": "skipped", "detail": detail}


def _needs(name: str) -> Case:
    return {"state": "skipped", "detail": f"needs {name}", "needs": name}


def _bad(state: str, code: str, detail: str, advice: str) -> Case:
    return {"state": state, "code": code, "detail": detail, "advice": advice}


def _turn(detail: str, advice: str, state: str = "failed") -> Case:
    return _bad(state, "TURN_FAILED", detail, advice)


_NONE: dict[str, Case] = {
    "webrtc": _ok("this machine and the server have it"),
    "stun": _skipped("the server names no STUN"),
    "turn_udp": _skipped("the server names no TURN over UDP"),
    "turn_tcp": _skipped("the server names no TURN over TCP"),
    "turn_tls": _skipped("the server names no TURN over TLS"),
}
_DIRECT = _ok("WebRTC came up without TURN")
_SEEN = _ok("stun:t sees this machine at 192.0.2.1:9")
_UDP_RELAYS = _ok("turn:t relays at 192.0.2.1:9")
_TCP_RELAYS = _ok("turn:t?transport=tcp relays at 192.0.2.1:9")
_TLS_RELAYS = _ok("turns:t relays at 192.0.2.1:9")
_ONLY_THE_SERVER = _bad(
    "failed",
    "ICE_FAILED",
    "no UDP packet of the server comes back, and nothing else here is asked by UDP",
    _EITHER_END,
)


def _no_udp(*tried: str) -> Case:
    return _bad("failed", "ICE_FAILED", f"no UDP packet comes back; tried {', '.join(tried)}", _OUT)


def _step(asked: list[Case] | None, path: Case, *, clock: bool = False, **checks: Case) -> Case:
    """Checks that are not named are those of a server that names neither STUN nor TURN."""
    found = {**_NONE, "udp": _DIRECT, **checks}
    told = [{"name": name, **check} for name, check in found.items()]
    around = {"clock_is_wrong": clock, "now_s": NOW_S}
    return {"op": "conclude", "asked": asked, "path": path, **around, "checks": told}


def _steps() -> list[Case]:
    return [*_that_work(), *_without_udp(), *_turn_that_is_down(), *_turn_that_refuses()]


def _that_work() -> list[Case]:
    relays: dict[str, Any] = {
        "turn_udp": _UDP_RELAYS,
        "turn_tcp": _TCP_RELAYS,
        "turn_tls": _TLS_RELAYS,
    }
    everything = [_stun(), _udp(), _tcp(), _tls()]
    no_webrtc: dict[str, Any] = {"webrtc": _skipped("not installed")}
    return [
        _step([], _UP),
        _step(
            None,
            _UP,
            **dict.fromkeys(("stun", "turn_udp", "turn_tcp", "turn_tls"), _skipped("not tried")),
        ),
        _step(everything, _UP, stun=_SEEN, **relays),
        _step(everything, _RELAYED, stun=_SEEN, **relays, udp=_ok("WebRTC came up through TURN")),
        _step(
            everything,
            _ABSENT,
            **no_webrtc,
            stun=_SEEN,
            **relays,
            udp=_ok("a STUN or TURN server answers over it"),
        ),
        _step(
            [], _ABSENT, **no_webrtc, udp=_skipped("nothing here asks for it: not installed")
        ),
        _step(
            [_tcp()],
            _RELAYED,
            turn_tcp=_TCP_RELAYS,
            udp=_skipped("nothing here asks for it: the audio goes through TURN over TCP"),
        ),
        _step(
            [],
            {"state": "failed", "detail": "the SDP was refused"},
            webrtc=_bad(
                "failed",
                "UNSUPPORTED",
                "the SDP was refused",
                "see the server's log; until then the audio goes over the WebSocket",
            ),
            udp=_skipped("nothing here asks for it: the SDP was refused"),
        ),
    ]  # fmt: skip


def _without_udp() -> list[Case]:
    return [
        _step([], _BLOCKED, udp=_ONLY_THE_SERVER),
        _step([_tcp()], _BLOCKED, turn_tcp=_TCP_RELAYS, udp=_ONLY_THE_SERVER),
        _step(
            [_stun()],
            _BLOCKED,
            stun=_SEEN,
            udp=_bad(
                "failed",
                "ICE_FAILED",
                "UDP gets out of here, but no packet of the server comes back",
                "open the server's UDP ports in its firewall, or set up TURN",
            ),
        ),
        _step(
            [_stun("silent")],
            _BLOCKED,
            stun=_needs("udp"),
            udp=_no_udp("stun:t", "the server itself"),
        ),
        _step(
            [_stun("blocked"), _udp("silent"), _tcp()],
            _RELAYED,
            stun=_needs("udp"),
            turn_udp=_needs("udp"),
            turn_tcp=_TCP_RELAYS,
            udp=_no_udp("stun:t", "turn:t", "the server itself"),
        ),
    ]


def _turn_that_is_down() -> list[Case]:
    down = _turn("turn:t cannot be reached (nothing), nor t otherwise", _START)
    follow: dict[str, Any] = {"turn_tcp": _needs("turn_udp"), "turn_tls": _needs("turn_udp")}
    spare = "stun:t: nothing"
    return [
        _step(
            [_stun("closed"), _udp("closed"), _tcp("closed"), _tls("closed")],
            _UP,
            stun=_needs("turn_udp"),
            turn_udp=down,
            **follow,
        ),
        _step(
            [_udp("silent"), _tcp("closed")],
            _BLOCKED,
            turn_udp=down,
            turn_tcp=_needs("turn_udp"),
            udp=_needs("turn_udp"),
        ),
        _step(
            [_udp("name")],
            _UP,
            turn_udp=_turn("turn:t: nothing", "correct VOXWIRE_TURN_URLS, or the name server"),
        ),
        _step(
            [_udp(), _tcp(), _tls("silent")],
            _UP,
            turn_udp=_UDP_RELAYS,
            turn_tcp=_TCP_RELAYS,
            turn_tls=_turn(
                "turns:t cannot be reached (nothing), t can otherwise", _SPARE, "warning"
            ),
        ),
        _step(
            [_udp(), _udp("closed", host="u")],
            _UP,
            turn_udp=_turn(
                "turn:u cannot be reached (nothing), nor u otherwise", _START, "warning"
            ),
        ),
        _step(
            [_udp(), _tcp("closed")],
            _BLOCKED,
            turn_udp=_UDP_RELAYS,
            turn_tcp=_turn("turn:t?transport=tcp cannot be reached (nothing), t can otherwise",
                           _OPEN),
            udp=_needs("turn_tcp"),
        ),
        _step(
            [_tls("tls")],
            _UP,
            turn_tls=_turn(
                "turns:t: nothing", "give the TURN server a certificate that is good here"
            ),
        ),
        _step(
            [_stun("silent")],
            _UP,
            stun=_bad("warning", "UNREACHABLE", spare, _SPARE),
        ),
        _step(
            [_stun("closed")],
            _UP,
            stun=_bad(
                "failed",
                "UNREACHABLE",
                spare,
                "start it, open its port, or take it out of VOXWIRE_ICE_SERVERS",
            ),
        ),
    ]  # fmt: skip


def _turn_that_refuses() -> list[Case]:
    others = "the secret, or user name and password, are others there"
    old, young = f"{NOW_S - 60}:ada", f"{NOW_S + 60}:ada"
    expired = "turn:t refused the credentials (401 No): they expired 60 s ago"
    of_code = {
        403: "allow this client or the peer in the TURN server: denied-peer-ip, allowed-peer-ip",
        486: "the user has as many allocations as it may: raise coturn's user-quota, or end some",
        508: "the TURN server is full: raise coturn's total-quota, or its range of relay ports",
        437: "see the TURN server's log",
    }
    return [
        _step(
            [_udp("refused", 401), _tcp("refused", 401)],
            _BLOCKED,
            turn_udp=_turn(f"turn:t refused the credentials (401 No): {others}", _SECRET),
            turn_tcp=_needs("turn_udp"),
            udp=_needs("turn_udp"),
        ),
        _step(
            [_udp("refused", 401, young)],
            _UP,
            clock=True,
            turn_udp=_turn(f"turn:t refused the credentials (401 No): {others}", _SECRET),
        ),
        _step(
            [_udp("refused", 401, old)],
            _UP,
            turn_udp=_turn(
                expired,
                "mint fresh credentials: those of VOXWIRE_TURN_SECRET are, for each session",
            ),
        ),
        _step(
            [_udp("refused", 401, old)],
            _UP,
            clock=True,
            turn_udp=_turn(
                expired, "set the clock that is wrong: the user name of TURN goes by it"
            ),
        ),
        _step(
            [_udp(), _tcp("refused", 486), _tls("refused", 486)],
            _UP,
            turn_udp=_UDP_RELAYS,
            turn_tcp=_turn(
                "turn:t?transport=tcp refused an allocation (486 No)", of_code[486]
            ),
            turn_tls=_needs("turn_tcp"),
        ),
        *[
            _step(
                [_udp("refused", error)],
                _UP,
                turn_udp=_turn(f"turn:t refused an allocation ({error} No)", advice),
            )
            for error, advice in of_code.items()
        ],
    ]  # fmt: skip
