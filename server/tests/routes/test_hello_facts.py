"""What a session is born with, from its Hello."""

import pytest

from voxwire_protocol import wire
from voxwire_server.routes.hello import facts_of


@pytest.mark.parametrize(
    ("hello", "speaks"),
    [
        (wire.Hello(), True),
        (wire.Hello(audio_response=True), True),
        (wire.Hello(audio_response=False), False),
    ],
)
def test_a_bot_speaks_unless_its_client_wants_text(hello: wire.Hello, speaks: bool) -> None:
    assert facts_of(hello, origin=b"").speaks is speaks
