"""A server, a network, a clock and devices in memory: for tests of programs that use `voxwire`.

::

    async def bot(session: FakeSession) -> None:
        await session.say("Who is there?")
        name = await session.text()
        await session.say(f"Hello {name}.")

    @in_virtual_time
    async def test_greeting() -> None:
        async with FakeServer(bot) as server:
            await my_program(server.url, environment=server.environment)

where the program passes ``environment`` on to `voxwire.connect`. Nothing here needs Pipecat or a
network. README.md of the client says what the server does like the real one, and what it does not.
"""

from voxwire._environment import Environment
from voxwire._websocket import Dial, SocketClosed, WebSocket
from voxwire.testing.devices import FakeMicrophone, FakeSpeaker, Played, PushSpeaker
from voxwire.testing.file_shelf import FakeFile
from voxwire.testing.network import Network, NetworkState
from voxwire.testing.recording import record, replay
from voxwire.testing.server import FakeServer
from voxwire.testing.session import FakeSession, ScriptedBot
from voxwire.testing.sound import loud_ms, onsets_ms, spoken_words, tone
from voxwire.testing.sound_card import FakeDevice, FakeDevices
from voxwire.testing.speech import Heard
from voxwire.testing.tool_calls import ToolAnswer
from voxwire.testing.voice import AsyncVoiceSession, VoiceSession
from voxwire_protocol.clocks import Clock, Timer
from voxwire_protocol.virtual_time import (
    NothingLeftError,
    VirtualTime,
    in_virtual_time,
    running_clock,
)

__all__ = [
    "AsyncVoiceSession",
    "Clock",
    "Dial",
    "Environment",
    "FakeDevice",
    "FakeDevices",
    "FakeFile",
    "FakeMicrophone",
    "FakeServer",
    "FakeSession",
    "FakeSpeaker",
    "Heard",
    "Network",
    "NetworkState",
    "NothingLeftError",
    "Played",
    "PushSpeaker",
    "ScriptedBot",
    "SocketClosed",
    "Timer",
    "ToolAnswer",
    "VirtualTime",
    "VoiceSession",
    "WebSocket",
    "in_virtual_time",
    "loud_ms",
    "onsets_ms",
    "record",
    "replay",
    "running_clock",
    "spoken_words",
    "tone",
]
