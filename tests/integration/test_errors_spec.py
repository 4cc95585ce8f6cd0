"""protocol/spec/errors.md is what the code does; no exception of a library is without a row."""

import importlib
import inspect
import re
import socket
import ssl
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import (
    InvalidHandshake,
    InvalidProxyStatus,
    InvalidStatus,
    InvalidURI,
)
from websockets.http11 import Response

from tests.support.readmes import anchors
from voxwire import _websocket
from voxwire_protocol import rtc, wire
from voxwire_protocol.channel import Channel, ChannelError
from voxwire_protocol.errors import (
    ErrorCode,
    RecoveryAction,
    action_from_wire,
    code_from_wire,
    error_from_close,
    make_error,
)
from voxwire_protocol.rtc import Peer
from voxwire_server import tokens
from voxwire_server.media.peer import Reachable, ServerPeer
from voxwire_server.ports import PathError

ROOT = Path(__file__).resolve().parents[2]
SPEC = (ROOT / "protocol" / "spec" / "errors.md").read_text("utf-8")
LIBRARIES = {
    "websockets": ["websockets.exceptions"],
    "aiortc": ["aiortc.exceptions", "aiortc.mediastreams"],
    "aioice": ["aioice.stun"],
    "av": ["av.error"],
    "jwt": ["jwt.exceptions"],
    "protobuf": ["google.protobuf.message"],
}


def rows(first: str) -> list[list[str]]:
    lines = SPEC.splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith(f"| {first} |"))
    found = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


CODES = {row[0].strip("`"): row[1:] for row in rows("code")}
OTHERS = [
    (library, name, where, becomes.strip("`"))
    for library, names, where, becomes in rows("library")
    for name in re.findall(r"`([\w.]+)`", names)
]


def test_the_list_is_closed_and_the_same_everywhere() -> None:
    listed = {name: int(row[0]) for name, row in CODES.items()}
    assert listed == {code.name: code.value for code in ErrorCode}
    schema = {n.removeprefix("ERROR_CODE_"): v for n, v in wire.ErrorCode.items() if v}
    assert listed == schema
    actions = {n.removeprefix("RECOVERY_ACTION_"): v for n, v in wire.RecoveryAction.items() if v}
    assert actions == {action.name: action.value for action in RecoveryAction}
    assert {row[4].strip("`") for row in CODES.values()} <= set(actions)
    for unknown in (0, 5, 98, 100, 4000, -1):
        assert code_from_wire(unknown) is ErrorCode.INTERNAL
        assert action_from_wire(unknown) is RecoveryAction.NONE


@pytest.mark.parametrize("name", CODES)
def test_a_code_has_its_family_its_close_code_and_its_place(name: str) -> None:
    number, family, by, _, _, _ = CODES[name]
    error = make_error(ErrorCode[name], "x")
    assert type(error).__name__ == family.strip("`")
    assert error_from_close(4000 + int(number), "").code is ErrorCode[name]
    for side, source in (("server", "server/src"), ("client", "clients/python/src")):
        paths = (ROOT / source).rglob("*.py")
        # the client's test kit plays a server, its doctor says what the codes of one mean
        parts = {"testing", "_diagnosis"}
        texts = (path.read_text("utf-8") for path in paths if not parts & {*path.parts})
        raised = any(
            re.search(rf"(?<!== )(ERROR_CODE_|ErrorCode\.){name}\b", text) for text in texts
        )
        assert not raised or by in (side, "both"), f"{side} raises {name}"


def test_every_code_has_a_heading_where_its_error_says() -> None:
    for code in ErrorCode:
        page, _, anchor = make_error(code, "x").docs.partition("#")
        assert anchor in anchors((ROOT / page).read_text("utf-8")), code.name


def classes(modules: list[str]) -> set[type[BaseException]]:
    found = set()
    for name in modules:
        module = importlib.import_module(name)
        for value in vars(module).values():
            own = getattr(value, "__module__", "") == name or name == "av.error"
            if own and inspect.isclass(value) and issubclass(value, BaseException):
                found.add(value)
    return found


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_exception_of_a_library_has_a_row(library: str) -> None:
    listed = {name for lib, name, _, _ in OTHERS if lib == library}
    there = classes(LIBRARIES[library])
    names = {cls.__name__ for cls in there}
    if library == "av":  # one row for its root: what is below goes its way
        root = next(cls for cls in there if cls.__name__ == "FFmpegError")
        assert root.__name__ in listed
        own = {cls for cls in there if cls.__module__.startswith("av.")}
        assert {cls.__name__ for cls in own if not issubclass(cls, root)} <= {"PyAVCallbackError"}
        return
    assert names - listed == set(), "no row"
    assert listed - names == set(), "no such exception any more"


def instance(library: str, name: str) -> BaseException:
    """An exception of that class, whatever its constructor wants."""
    for module in [*LIBRARIES.get(library, []), "builtins"]:
        cls = getattr(importlib.import_module(module), name, None)
        if cls is not None:
            break
    else:
        cls = {"socket.gaierror": socket.gaierror}.get(name) or getattr(ssl, name.split(".")[-1])
    made: BaseException = cls.__new__(cls)
    made.args = ("x",)
    return made


@pytest.mark.parametrize(
    ("library", "name", "becomes"),
    [(lib, name, becomes) for lib, name, where, becomes in OTHERS if where == "dial"],
)
def test_what_a_dial_raises(library: str, name: str, becomes: str) -> None:
    if name not in ("InvalidStatus",) and becomes in ErrorCode.__members__:
        error = instance(library, name)
        assert _websocket.refusal(error, "ws://h").code.name == becomes


@pytest.mark.parametrize("status", [401, 403, 413, 429, 503, 404, 500])
def test_an_http_status_is_what_the_table_says(status: int) -> None:
    row = next(cells for cells in rows("library") if "`InvalidStatus`" in cells[1])
    table = dict(re.findall(r"(\d+|else) `(\w+)`", row[3]))
    error = InvalidStatus(Response(status, "", Headers()))
    assert _websocket.refusal(error, "ws://h").code.name == table.get(str(status), table["else"])


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"code": "FORBIDDEN", "reason": "the origin is not allowed"}', "the origin is not all"),
        (b'{"reason": "%s"}' % (b"x" * 9000), "x" * 100),
        (b'{"reason": "two\\nlines"}', "did not say why"),
        (b'{"reason": 7}', "did not say why"),
        (b"<html>nginx</html>", "did not say why"),
        (b"[" * 100_000, "did not say why"),
        (b"\xff", "did not say why"),
        (b"", "did not say why"),
    ],
)
def test_why_an_upgrade_was_refused_is_told_where_the_answer_says_it(
    body: bytes, told: str
) -> None:
    error = _websocket.refusal(InvalidStatus(Response(403, "", Headers(), body)), "ws://h")
    assert told in error.reason
    assert len(error.reason) < 400


def test_a_proxy_that_refuses_is_not_the_server() -> None:
    refused = InvalidProxyStatus(Response(407, "", Headers()))
    error = _websocket.refusal(refused, "ws://h")
    assert (error.code, error.retryable) == (ErrorCode.UNREACHABLE, True)
    assert error.action is RecoveryAction.RECONNECT
    assert "proxy" in error.reason
    assert not _websocket.refusal(instance("websockets", "InvalidProxy"), "ws://h").retryable


def test_subclasses_are_caught_by_their_parents() -> None:
    assert issubclass(InvalidStatus, InvalidHandshake)
    assert not issubclass(InvalidURI, InvalidHandshake)


@pytest.mark.parametrize(
    ("library", "name", "becomes"),
    [(lib, name, becomes) for lib, name, where, becomes in OTHERS if where == "offer"],
)
async def test_what_an_offer_raises(library: str, name: str, becomes: str) -> None:
    refused: Any = ServerPeer.__new__(ServerPeer)
    refused._reachable = Reachable("127.0.0.1")

    class Connection:
        async def setRemoteDescription(self, _: object) -> None:
            raise instance(library, name)

    made: Any = Peer.__new__(Peer)
    made._connection = Connection()
    refused._make = lambda _: made
    with (
        patch.object(rtc.peer, "check_offer"),
        patch.object(rtc.peer, "strip_candidates", lambda offer: offer),
        pytest.raises(PathError) as raised,
    ):
        await refused.answer("v=0")
    assert wire.ErrorCode.Name(raised.value.code) == f"ERROR_CODE_{becomes}"
    assert "x" not in str(raised.value).split()


@pytest.mark.parametrize(
    ("library", "name"),
    [(lib, name) for lib, name, where, _ in OTHERS if where == "answer"],
)
async def test_what_an_answer_raises(library: str, name: str) -> None:
    peer: Any = Peer.__new__(Peer)

    class Connection:
        async def setRemoteDescription(self, _: object) -> None:
            raise instance(library, name)

    peer._connection = Connection()
    with pytest.raises(ValueError, match="cannot be used"):
        await peer.accept("v=0\r\na=fingerprint:sha-256 00\r\n")


@pytest.mark.parametrize("name", [name for _, name, where, _ in OTHERS if where == "token"])
def test_what_a_token_raises(name: str) -> None:
    ring = tokens.KeyRing.parse(key="k" * 40)
    good = tokens.TokenIssuer(ring).issue("ann", now_s=1_000_000)
    with (
        patch.object(tokens._JWS, "decode_complete", side_effect=instance("jwt", name)),
        pytest.raises(tokens.TokenError) as raised,
    ):
        tokens.TokenVerifier(ring).verify(good, now_s=1_000_000)
    assert raised.value.code == wire.ErrorCode.ERROR_CODE_UNAUTHORIZED


def test_bytes_that_are_no_message() -> None:
    with pytest.raises(ChannelError) as raised:
        Channel(allowed=wire.CLIENT_PAYLOADS).receive(b"\xff", 0)
    assert raised.value.code == wire.ErrorCode.ERROR_CODE_MALFORMED
