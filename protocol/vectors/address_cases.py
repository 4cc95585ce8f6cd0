"""Cases for ``addresses``: where a session is dialled, and when a client moves."""

from collections.abc import Iterator
from typing import Any

Case = dict[str, Any]

A = "wss://a.example/v1/session"
B = "wss://b.example/v1/session"
C = "wss://c.example:8443/deep/v1/session?tenant=7"


def cases() -> Iterator[tuple[str, Case]]:
    """File name and content of each case."""
    for name, first, about, steps in _STEPS:
        yield name, {"about": about, "first": first, "steps": steps}


def _order(*urls: str) -> Case:
    return {"op": "order", "urls": list(urls)}


def _welcomed(url: str, resume_url: str = "") -> Case:
    return {"op": "welcomed", "url": url, "resume_url": resume_url}


def _sent_on(resume_url: str, moves: bool, *, here: str = A) -> Case:
    return {"op": "sent_on", "resume_url": resume_url, "here": here, "moves": moves}


def _failed(url: str) -> Case:
    return {"op": "failed", "url": url}


def _refused(url: str, goes_on: bool) -> Case:
    return {"op": "refused", "url": url, "goes_on": goes_on}


def _window(time_left_ms: int, jitter: float, earliest_ms: int, latest_ms: int) -> Case:
    return {
        "op": "window",
        **{"time_left_ms": time_left_ms, "jitter": jitter},
        **{"earliest_ms": earliest_ms, "latest_ms": latest_ms},
    }


def _allowed(*urls: str, first: str) -> list[Case]:
    """Each is gone to."""
    return [step for url in urls for step in (_sent_on(url, True, here=first), _order(url, first))]


def _forbidden(*urls: str, first: str) -> list[Case]:
    """None is gone to: as if nothing had been said."""
    return [step for url in urls for step in (_sent_on(url, False, here=first), _order(first))]


_FOLLOWED = [
    _order(A),
    _welcomed(A),
    _order(A),
    _sent_on(B, True),
    _order(B, A),
    _welcomed(B),
    _order(B, A),
    _sent_on(C, True, here=B),
    _order(C, A),
    _welcomed(C, B),  # it is resumed elsewhere than where it was welcomed
    _order(B, A),
    _sent_on("", False, here=C),
    _order(A),
    _welcomed(A),
    _order(A),
]

_DEAD = [
    _welcomed(A),
    _sent_on(B, True),
    _failed(B),
    _order(B, A),  # a network that was away says nothing of it
    _welcomed(A),
    _order(A),
    _sent_on(B, False),  # nobody moves to what has just failed
    _order(B, A),
    _sent_on(C, True),
    _order(C, A),
    _sent_on(B, False),
    _welcomed(B),
    _sent_on(C, True, here=B),
    _sent_on(B, False, here=B),  # that is where we are
    _order(B, A),
    _failed(A),
    _welcomed(C),
    _sent_on(A, True, here=C),  # the first URL is never dead
    _order(A),
]

_REFUSED = [
    _welcomed(A, B),
    _order(B, A),
    _refused(B, True),
    _order(A),
    _refused(A, False),
    _order(A),
    _sent_on(B, False),
    _refused(C, True),
    _order(B, A),
]

_PLAIN = "ws://a.example:7860/v1/session"
_LOCAL = "ws://127.0.0.1:7860/v1/session"

_HERE = [
    *("LOCALHOST", "localhost.", "b.localhost", "127.0.0.1.", "127.1", "127.0.1", "0x7f000001"),
    *("0x7F.1", "0177.0.0.1", "2130706433", "017700000001", "0.0.0.0", "0", "[::]"),
    *("[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::FFFF:7f00:1]", "[::ffff:0.0.0.0]"),
]
"""Hosts that are this machine, as URLs may write them."""

_STEPS: list[tuple[str, str, str, list[Case]]] = [
    ("followed", A, "The server says where, and the first URL stays behind it.", _FOLLOWED),
    ("dead", A, "What cannot be had is dialled in need only.", _DEAD),
    ("refused", A, "Who is refused elsewhere asks the first URL.", _REFUSED),
    (
        "encrypted",
        A,
        "An encrypted session stays so, and goes neither to this machine nor to what is no URL.",
        [
            *_allowed(B, C, "wss://10.0.0.7/v1/session", "WSS://b.example/x", first=A),
            *_allowed(
                *("wss://b.example", "wss://b.example?tenant=7", "wss://b.example./x"),
                *("wss://10.7/x", "wss://0xa000007/x", "wss://[2001:db8::7]/x"),
                *("wss://[::ffff:10.0.0.7]/x", "wss://localhost.example/x"),
                first=A,
            ),
            *_forbidden(
                *(_PLAIN, "https://b.example/v1/session", "b.example", "wss://", "wss:///x"),
                *("wss://u@b.example/x", "wss://u:p@b.example/x", "wss://b.example/x#y"),
                *("wss://b.example:0/x", "wss://b.example:99999/x", "wss://b.example/a b"),
                *("wss://b.example/\n", "wss://bücher.example/", "javascript:alert(1)"),
                *("wss://b.example:/x", "wss://b.example:x/", "wss://b^.example/x"),
                *("wss://b.ex%41mple/x", "wss://b.example,c.example/x", "wss://b.example\\x"),
                *("wss://256.0.0.1/x", "wss://1.2.3.4.5/x", "wss://b.example.1/x"),
                *("wss://[1:2]/x", "wss://[::1/x", "wss://b:c/x"),
                *("wss://localhost/x", "wss://127.0.0.1/x", "wss://127.9.9.9/x", "wss://[::1]/x"),
                *(f"wss://{host}/x" for host in _HERE),
                "wss://b.example/" + "x" * 2048,
                first=A,
            ),
        ],
    ),
    (
        "plain",
        _PLAIN,
        "A session that is not encrypted may become so.",
        [
            *_allowed("ws://b.example/x", B, first=_PLAIN),
            *_forbidden("http://b.example/x", "ws://127.0.0.1/x", "ws://0.0.0.0/x", first=_PLAIN),
        ],
    ),
    (
        "on-this-machine",
        _LOCAL,
        "On this machine the other servers are here, too.",
        [
            *_allowed("ws://localhost:7861/x", "ws://[::1]:7861/x", B, first=_LOCAL),
            *_allowed(*(f"ws://{host}:7861/x" for host in _HERE), first=_LOCAL),
        ],
    ),
    (
        "window",
        A,
        "When a client moves: spread over the first half, and in good time.",
        [
            _window(30_000, 0, 0, 27_000),
            _window(30_000, 0.5, 6750, 27_000),
            _window(30_000, 1, 13_500, 27_000),
            _window(6000, 1, 1500, 3000),
            _window(1001, 0.5, 125, 501),
            _window(0, 1, 0, 0),
        ],
    ),
]
