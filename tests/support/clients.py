"""Which client a test runs: the Python one, or the program that VOXWIRE_TEST_CLIENT names.

Such a program has `talk`, the headless contract, and `drive`: verbs as JSON lines on its stdin,
events and sound on its stdout (`clients/mobile-bindings/rs/src/drive.rs` says which). It carries
audio over the transports of VOXWIRE_TEST_CLIENT_TRANSPORTS, separated by commas.
"""

import os
import sys
from contextlib import AbstractAsyncContextManager
from typing import Any

import voxwire
from tests.support.driven import Driven
from tests.support.waiting import LONG

__all__ = ["OTHER", "TALK", "TRANSPORTS", "WITH_OPUS", "connect"]

OTHER = os.environ.get("VOXWIRE_TEST_CLIENT")
"""The program that takes the Python client's place; None = it is the Python client."""

TRANSPORTS = (
    os.environ.get("VOXWIRE_TEST_CLIENT_TRANSPORTS", "websocket").split(",")
    if OTHER
    else ["websocket", "webrtc"]
)
WITH_OPUS = TRANSPORTS if OTHER else [*TRANSPORTS, "opus"]
"""The same and Opus over WebSocket, for tests of what a codec could change."""

TALK = [OTHER, "talk"] if OTHER else [sys.executable, "-m", "voxwire.cli", "talk"]


def connect(
    url: str,
    *,
    speaker: voxwire.Speaker | None = None,
    transport: str = "auto",
    **options: Any,
) -> AbstractAsyncContextManager[Any]:
    """`voxwire.connect`, or the other program's session, which has the verbs that tests use.

    Args:
        url: The server.
        speaker: Gets every block.
        transport: What carries the audio, one of `WITH_OPUS` or ``auto``.
        options: Of `voxwire.connect` alone.
    """
    if OTHER is None:
        if transport == "opus":
            transport, options["codec"] = "websocket", "opus"
        options.setdefault("timeouts", LONG)
        return voxwire.connect(url, speaker=speaker, transport=transport, **options)
    if options:
        raise NotImplementedError(f"{OTHER} is not directed with {', '.join(options)}")
    command = [OTHER, "drive", url, "--transport", transport]
    return Driven(command, speaker, transport=transport)
