"""A Hello that is too large, or whose metadata is no object, is refused with the limit's name."""

import asyncio
import os

import pytest
import websockets

from tests.support.clicks import make_bot
from voxwire_protocol import wire
from voxwire_server.testing import running_server

Code = wire.ErrorCode


def hello(**fields: str) -> bytes:
    message = wire.Hello(protocol_version=1, attach_nonce=os.urandom(16), **fields)
    return wire.Envelope(hello=message).SerializeToString()


@pytest.mark.parametrize(
    ("first", "code", "says"),
    [
        (hello(metadata_json='{"a": "' + "x" * 17_000 + '"}'), Code.ERROR_CODE_TOO_LARGE, "16384"),
        (hello(metadata_json='{"a": "' + "x" * 9000 + '"}'), Code.ERROR_CODE_TOO_LARGE, "8192"),
        (hello(metadata_json="[1]"), Code.ERROR_CODE_INVALID_ARGUMENT, "a JSON object"),
        (hello(metadata_json='{"a": NaN}'), Code.ERROR_CODE_INVALID_ARGUMENT, "a JSON object"),
        (hello(metadata_json="{"), Code.ERROR_CODE_INVALID_ARGUMENT, "a JSON object"),
        (
            hello(metadata_json='{"a":' * 40 + "1" + "}" * 40),
            Code.ERROR_CODE_INVALID_ARGUMENT,
            "nested more than 32 deep",
        ),
        (b"no Hello", Code.ERROR_CODE_MALFORMED, "must be a Hello"),
    ],
    ids=["17 KB", "9 KB", "a list", "NaN", "broken", "deep", "no Hello"],
)
async def test_a_hello_that_cannot_be_taken_says_why(
    first: bytes, code: wire.ErrorCode, says: str
) -> None:
    async with (
        running_server(make_bot()) as server,
        websockets.connect(
            f"{server.url}/v1/session", subprotocols=[websockets.Subprotocol(wire.SUBPROTOCOL)]
        ) as socket,
        asyncio.timeout(60),
    ):
        await socket.send(first)
        answer = await socket.recv()
        assert isinstance(answer, bytes)
        error = wire.Envelope.FromString(answer).error
        assert (error.code, error.fatal) == (code, True)
        assert says in error.reason
