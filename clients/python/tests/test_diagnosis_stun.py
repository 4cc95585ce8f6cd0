"""STUN and TURN messages of a diagnosis, and servers that answer oddly."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from voxwire._diagnosis import relays
from voxwire._diagnosis.relays import Asked, ask_all
from voxwire._diagnosis.stun import Allocation, Answer, Binding, message_bytes
from voxwire_protocol import wire

aioice_stun = pytest.importorskip("aioice.stun")
aioice_turn = pytest.importorskip("aioice.turn")


def refusal(request: bytes, code: int, **attributes: object) -> bytes:
    """A server's error response, by another implementation."""
    asked = aioice_stun.parse_message(request)
    answer = aioice_stun.Message(
        message_method=asked.message_method,
        message_class=aioice_stun.Class.ERROR,
        transaction_id=asked.transaction_id,
    )
    answer.attributes["ERROR-CODE"] = (code, "No")
    answer.attributes.update(attributes)
    return bytes(answer)


def success(request: bytes, **attributes: object) -> bytes:
    """The same for what went well."""
    asked = aioice_stun.parse_message(request)
    answer = aioice_stun.Message(
        message_method=asked.message_method,
        message_class=aioice_stun.Class.RESPONSE,
        transaction_id=asked.transaction_id,
    )
    answer.attributes.update(attributes)
    return bytes(answer)


@pytest.mark.parametrize(
    ("address", "told"),
    [(("192.0.2.1", 32853), "192.0.2.1:32853"), (("2001:db8::9", 7), "[2001:db8::9]:7")],
)
def test_a_binding_is_read_as_another_implementation_writes_it(
    address: tuple[str, int], told: str
) -> None:
    asked = Binding()
    assert asked.request() == asked.request()
    answer = success(asked.request(), **{"XOR-MAPPED-ADDRESS": address})
    assert message_bytes(answer[:20]) == len(answer)
    assert asked.receive(answer) == Answer(address=told)
    assert Binding().receive(answer) is None, "it is of another transaction"


def test_an_allocation_signs_as_another_implementation_checks_it() -> None:
    asked = Allocation("1800000000:ada", "s3cret")
    first = asked.request()
    challenge = refusal(first, 401, REALM="test", NONCE=b"abc")
    assert asked.receive(challenge) is None
    signed = asked.request()
    key = aioice_turn.make_integrity_key("1800000000:ada", "test", "s3cret")
    message = aioice_stun.parse_message(signed)
    assert message.check_message_integrity(key)
    assert message.attributes["USERNAME"] == "1800000000:ada"
    assert message.attributes["NONCE"] == b"abc"
    assert not message.check_message_integrity(b"another")
    assert asked.receive(challenge) is None, "late, and told already"
    relayed = success(signed, **{"XOR-RELAYED-ADDRESS": ("192.0.2.7", 50000), "LIFETIME": 600})
    assert asked.receive(relayed) == Answer(address="192.0.2.7:50000")
    farewell = aioice_stun.parse_message(asked.farewell())
    assert farewell.check_message_integrity(key)
    assert farewell.attributes["LIFETIME"] == 0


def test_credentials_are_refused_once_and_a_nonce_is_renewed_once() -> None:
    asked = Allocation("ada", "wrong")
    assert asked.receive(refusal(asked.request(), 401, REALM="test", NONCE=b"1")) is None
    assert asked.receive(refusal(asked.request(), 438, NONCE=b"2")) is None
    assert aioice_stun.parse_message(asked.request()).attributes["NONCE"] == b"2"
    again = refusal(asked.request(), 401, REALM="test", NONCE=b"3")
    assert asked.receive(again) == Answer(error=401, phrase="No")
    nobody = Allocation("", "")
    challenge = refusal(nobody.request(), 401, REALM="test", NONCE=b"1")
    assert nobody.receive(challenge) == Answer(error=401, phrase="No")


@pytest.mark.parametrize("cut", [0, 3, 19, 21, 30])
def test_what_is_cut_off_or_strange_is_no_answer(cut: int) -> None:
    asked = Allocation("ada", "x")
    whole = refusal(asked.request(), 486)
    assert asked.receive(whole[:cut]) is None
    assert asked.receive(b"\xff" * cut) is None
    assert asked.receive(whole) == Answer(error=486, phrase="No")


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def listening(serve: Serve) -> AsyncIterator[int]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


async def ask(*urls: str) -> list[Asked]:
    return await ask_all([wire.IceServer(urls=urls, username="ada", credential="x")])


async def test_one_that_is_no_turn_server_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relays, "ASK_MS", 30_000)

    async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = closed.getsockname()[1]
        async with listening(http) as one, listening(hangs_up) as two:
            urls = [f"turn:127.0.0.1:{port}?transport=tcp" for port in (one, two)]
            others = f"turns:127.0.0.1:{one}", f"turn:127.0.0.1:{nobody}", "turn:nowhere.invalid"
            web, closing, tls, refused, unnamed = await ask(*urls, *others)
    assert (web.trouble, web.told) == ("closed", "what answers there is no TURN server")
    assert closing.trouble == "closed"
    assert (tls.kind, tls.trouble) == ("turn_tls", "tls")
    assert (refused.kind, refused.trouble) == ("turn_udp", "closed")
    assert unnamed.trouble == "name"


async def test_what_is_not_answered_is_silent_and_datagrams_are_sent_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relays, "ASK_MS", 700)

    async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
        mute.bind(("127.0.0.1", 0))
        mute.setblocking(False)
        async with listening(hangs) as port:
            at = f"127.0.0.1:{mute.getsockname()[1]}"
            asked = await ask(f"stun:{at}", f"turn:{at}", f"turn:127.0.0.1:{port}?transport=tcp")
        datagrams = {mute.recv(100): None for _ in range(3)}
    assert [one.trouble for one in asked] == ["silent"] * 3
    assert asked[0].told == "did not answer within 0.7 s"
    assert len(datagrams) == 2, "one of them came twice"


async def test_what_cannot_be_asked_is_passed_by() -> None:
    assert await ask("stuns:127.0.0.1", "turns:127.0.0.1?transport=udp", "http://a") == []
