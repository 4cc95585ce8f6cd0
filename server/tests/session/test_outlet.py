"""What a session says goes out whatever becomes of those who take figures of it."""

import logging

import pytest

from voxwire_protocol import wire
from voxwire_server.conversation.history import History
from voxwire_server.session.outlet import Outlet


class Taken:
    """A channel that takes everything."""

    def __init__(self) -> None:
        self.sent: list[wire.Envelope] = []

    def send(self, envelope: wire.Envelope) -> None:
        self.sent.append(envelope)


def fails(_: wire.Envelope) -> None:
    raise ValueError("cannot convert float NaN to integer")


def test_whoever_takes_figures_and_fails_loses_no_message(
    caplog: pytest.LogCaptureFixture,
) -> None:
    channel = Taken()
    outlet = Outlet(channel, History(), session_id="s")  # type: ignore[arg-type]
    outlet.note(fails)
    outlet.tell(fails)
    with caplog.at_level(logging.ERROR):
        outlet.send(wire.Envelope(transcript=wire.Transcript(turn_id="t1", final=True)))
    assert [envelope.transcript.turn_id for envelope in channel.sent] == ["t1"]
    assert len(caplog.records) == 2
