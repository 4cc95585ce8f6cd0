"""What answers of STUN, TURN and a path mean together: one cause is one failure."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from voxwire._diagnosis.checks import Check
from voxwire._diagnosis.refusals import advice_on
from voxwire._diagnosis.relays import Asked
from voxwire._diagnosis.verdict import PathTried, conclude
from voxwire_protocol.errors import ErrorCode, make_error

VECTORS = Path(__file__).resolve().parents[3] / "protocol/vectors/diagnosis"
NOW_S = 1_800_000_000.0
UP, RELAYED = PathTried("up"), PathTried("up", relayed=True)
BLOCKED = PathTried("failed", "no UDP packet came back", network=True)
ABSENT = PathTried("absent", "not installed")

STUN = Asked("stun:t", "stun", "t", told="192.0.2.1:9")
UDP = Asked("turn:t", "turn_udp", "t", told="192.0.2.1:9")
TCP = Asked("turn:t?transport=tcp", "turn_tcp", "t", told="192.0.2.1:9")
TLS = Asked("turns:t", "turn_tls", "t", told="192.0.2.1:9")
ALL = (STUN, UDP, TCP, TLS)


def bad(one: Asked, trouble: Any, error: int = 0, username: str = "") -> Asked:
    told = f"{error} No" if error else "nothing"
    return Asked(one.url, one.kind, one.host, trouble, told, error, username)


def concluded(asked: Any, path: PathTried, *, clock: bool = False) -> dict[str, Check]:
    found = conclude(list(asked), path, clock_is_wrong=clock, now_s=NOW_S)
    return {check.name: check for check in found}


def told(asked: Any, path: PathTried, **options: Any) -> dict[str, str]:
    """What failed, and what is skipped for which; the rest is left out."""
    return {
        name: check.state if check.needs is None else f"needs {check.needs}"
        for name, check in concluded(asked, path, **options).items()
        if check.state in ("failed", "warning") or check.needs
    }


@pytest.mark.parametrize("path", [UP, RELAYED, ABSENT])
def test_what_works_is_ok(path: PathTried) -> None:
    assert told(ALL, path) == {}
    assert told((), UP) == {}


@pytest.mark.parametrize(
    ("asked", "path", "expected"),
    [
        ((), BLOCKED, {"udp": "failed"}),
        ((), ABSENT, {}),
        ((STUN,), BLOCKED, {"udp": "failed"}),
        ((bad(STUN, "silent"),), BLOCKED, {"stun": "needs udp", "udp": "failed"}),
        ((bad(STUN, "silent"),), UP, {"stun": "warning"}),
        ((bad(STUN, "blocked"),), UP, {"stun": "warning"}),
        ((bad(STUN, "closed"),), UP, {"stun": "failed"}),
        ((bad(STUN, "silent"),), ABSENT, {"stun": "needs udp", "udp": "failed"}),
        (
            (bad(STUN, "blocked"), bad(UDP, "blocked"), TCP),
            RELAYED,
            {"stun": "needs udp", "turn_udp": "needs udp", "udp": "failed"},
        ),
        (
            (bad(STUN, "silent"), bad(UDP, "silent"), TCP),
            ABSENT,
            {"stun": "needs udp", "turn_udp": "needs udp", "udp": "failed"},
        ),
        ((bad(UDP, "silent"),), BLOCKED, {"turn_udp": "needs udp", "udp": "failed"}),
        ((bad(UDP, "silent"),), UP, {"turn_udp": "warning"}),
        ((bad(UDP, "closed"),), UP, {"turn_udp": "failed"}),
        ((bad(TLS, "silent"),), UP, {"turn_tls": "warning"}),
        (
            (bad(UDP, "silent"), bad(TCP, "silent"), bad(TLS, "silent")),
            UP,
            {"turn_udp": "failed", "turn_tcp": "needs turn_udp", "turn_tls": "needs turn_udp"},
        ),
        ((bad(UDP, "silent"), TCP), UP, {"turn_udp": "warning"}),
        ((UDP, TCP, bad(TLS, "silent")), UP, {"turn_tls": "warning"}),
        ((UDP, TCP, bad(TLS, "blocked")), ABSENT, {"turn_tls": "warning"}),
        (
            (bad(UDP, "silent"), bad(TCP, "silent")),
            BLOCKED,
            {"turn_udp": "failed", "turn_tcp": "needs turn_udp", "udp": "needs turn_udp"},
        ),
        (
            (bad(STUN, "closed"), bad(UDP, "closed"), bad(TCP, "closed"), bad(TLS, "closed")),
            UP,
            {
                "stun": "needs turn_udp",
                "turn_udp": "failed",
                "turn_tcp": "needs turn_udp",
                "turn_tls": "needs turn_udp",
            },
        ),
        ((bad(UDP, "name"),), UP, {"turn_udp": "failed"}),
        (
            (bad(UDP, "refused", 401), bad(TCP, "refused", 401)),
            BLOCKED,
            {"turn_udp": "failed", "turn_tcp": "needs turn_udp", "udp": "needs turn_udp"},
        ),
        (
            (UDP, bad(TCP, "refused", 486), bad(TLS, "refused", 486)),
            UP,
            {"turn_tcp": "failed", "turn_tls": "needs turn_tcp"},
        ),
        ((UDP, TCP, bad(TLS, "tls")), UP, {"turn_tls": "failed"}),
        ((UDP, TCP, bad(TLS, "closed")), UP, {"turn_tls": "warning"}),
        ((STUN, bad(Asked("stun:u", "stun", "u"), "silent")), UP, {"stun": "warning"}),
        ((UDP, bad(Asked("turn:u", "turn_udp", "u"), "closed")), UP, {"turn_udp": "warning"}),
        ((), PathTried("failed", "the SDP was refused"), {"webrtc": "failed"}),
    ],
)
def test_the_cause_fails_and_what_follows_from_it_names_it(
    asked: Any, path: PathTried, expected: dict[str, str]
) -> None:
    assert told(asked, path) == expected


def test_a_port_that_nobody_misses_is_told_of_the_firewall_here_as_well() -> None:
    check = concluded([UDP, bad(TLS, "silent")], UP)["turn_tls"]
    assert check.advice.startswith("open that port, in a firewall of this network")


def test_credentials_that_a_wrong_clock_made_old_are_the_clocks_fault() -> None:
    old = bad(UDP, "refused", 401, f"{NOW_S - 60:.0f}:ada")
    assert "set the clock" in concluded([old], UP, clock=True)["turn_udp"].advice
    assert told([old], UP) == {"turn_udp": "failed"}
    assert "expired 60 s ago" in concluded([old], UP)["turn_udp"].detail
    wrong = bad(UDP, "refused", 401, f"{NOW_S + 60:.0f}:ada")
    assert told([wrong], UP, clock=True) == {"turn_udp": "failed"}
    assert "secret" in concluded([wrong], UP)["turn_udp"].advice


@pytest.mark.parametrize("asked", [(), (TCP,)])
def test_where_only_the_server_was_asked_by_udp_both_ends_may_be_at_fault(asked: Any) -> None:
    udp = concluded(asked, BLOCKED)["udp"]
    assert udp.state == "failed"
    server, here = udp.advice.index("the server's UDP ports"), udp.advice.index("this network")
    assert server < here
    assert "VOXWIRE_ICE_ADDRESSES" in udp.advice
    assert "TURN" in udp.advice


def test_where_a_stun_server_is_silent_too_it_is_this_network() -> None:
    udp = concluded([bad(STUN, "silent")], BLOCKED)["udp"]
    assert "stun:t, the server itself" in udp.detail
    assert udp.advice.startswith("let UDP out of this network")


@pytest.mark.parametrize("error", [403, 486, 508, 437])
def test_the_servers_own_error_is_told(error: int) -> None:
    check = concluded([bad(UDP, "refused", error)], UP)["turn_udp"]
    assert f"({error} No)" in check.detail
    assert check.advice


def test_whatever_comes_together_what_is_skipped_names_a_check_that_failed() -> None:
    """Of every combination: no circle, no fault without a name, nothing that is not told."""
    troubles = [("", 0), ("silent", 0), ("closed", 0), ("refused", 401), ("name", 0)]
    states = [UP, RELAYED, BLOCKED, ABSENT]
    for path, *picked in itertools.product(states, *[troubles] * 4):
        asked = [
            one if not trouble else bad(one, trouble, error)
            for one, (trouble, error) in zip(ALL, picked, strict=True)
        ]
        found = concluded(asked, path)
        failed = {name for name, check in found.items() if check.state == "failed"}
        wrongs = failed | {name for name, check in found.items() if check.state == "warning"}
        for check in found.values():
            assert check.needs is None or check.needs in failed, (path, picked, found)
            assert bool(check.advice) == (check.state in ("failed", "warning"))
        wrong = any(trouble for trouble, _ in picked) or path is BLOCKED
        assert bool(wrongs) == wrong, (path, picked, found)
        assert failed or path is not BLOCKED


def _shown(check: Check) -> dict[str, Any]:
    """As the vectors write it."""
    code = None if check.code is None else check.code.name
    found = {"name": check.name, "state": check.state, "detail": check.detail, "code": code}
    more = {"advice": check.advice, "needs": check.needs}
    return {name: value for name, value in {**found, **more}.items() if value}


def test_the_golden_cases_hold() -> None:
    steps = json.loads((VECTORS / "verdict.json").read_text("utf-8"))["steps"]
    for at, step in enumerate(steps):
        asked = None if step["asked"] is None else [Asked(**one) for one in step["asked"]]
        found = conclude(
            asked,
            PathTried(**step["path"]),
            clock_is_wrong=step["clock_is_wrong"],
            now_s=step["now_s"],
        )
        assert [_shown(check) for check in found] == step["checks"], at


def test_the_advice_on_refusals_is_that_of_the_vectors() -> None:
    steps = json.loads((VECTORS / "refusals.json").read_text("utf-8"))["steps"]
    for step in steps:
        refusal = make_error(
            ErrorCode[step["code"]], step["reason"], retry_after_ms=step["retry_after_ms"]
        )
        assert advice_on(refusal) == step["advice"]
