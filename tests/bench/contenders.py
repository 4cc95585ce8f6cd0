"""The servers of a run and how load is put on them. A new one is a value here and a dialect."""

import sys
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Contender:
    """A server, as a command that names its port on stdout, and the load that suits it."""

    name: str
    kind: str
    """`ws` or `webrtc`."""
    command: tuple[str, ...]
    dialect: str
    """`module:Class`, a Dialect or an RtcDialect."""
    port_pattern: str = r"PORT (\d+)"
    environment: dict[str, str] = field(default_factory=dict)
    ready_path: str = ""
    """Answers 200 once the server has loaded what its first session needs."""
    packing_ms: float = 0.0
    """Delay that its block sizes add by themselves, beyond the block that a round trip is counted
    for; subtracted in P4's figure, never in the raw one."""


# What loguru prints below INFO is left out: it is not what is measured.
QUIET = {"LOGURU_LEVEL": "INFO"}

STOCK_WS = Contender(
    name="pipecat 1.14 WebSocket",
    kind="ws",
    command=(sys.executable, "-m", "tests.bench.peers.stock_ws"),
    dialect="tests.bench.dialects.stock:StockWs",
    environment=QUIET,
)
STOCK_WEBRTC = Contender(
    name="pipecat 1.14 WebRTC",
    kind="webrtc",
    command=(sys.executable, "-m", "tests.bench.peers.stock_webrtc"),
    dialect="tests.bench.dialects.stock:StockRtc",
    environment=QUIET,
)


def ours(name: str, *, kind: str, bot: str, profile: str, dialect: str = "") -> Contender:
    """Our server as its command line starts it, with the rates of the peers."""
    return Contender(
        name=f"voxwire {name}, {profile}",
        kind=kind,
        command=(sys.executable, "-m", "voxwire_server.cli", "run", bot, "--port", "0"),
        dialect=dialect and f"tests.bench.dialects.voxwire:{dialect}",
        port_pattern=r"listens on ws://127\.0\.0\.1:(\d+)",
        environment={
            **QUIET,
            "VOXWIRE_PROFILE": profile,
            "VOXWIRE_LOG_LEVEL": "INFO",
            "VOXWIRE_MAX_LAG_MS": "0",  # the peers refuse nobody, either
        },
        ready_path="/readyz",
    )


def our_echo(transport: str, profile: str, dialect: str) -> Contender:
    """The echo bot at 16 kHz both ways."""
    contender = ours(
        transport,
        kind=transport.lower().replace("websocket", "ws"),
        bot="tests/bench/bots/echo.py",
        profile=profile,
        dialect=dialect,
    )
    contender.environment["VOXWIRE_AUDIO_OUT_SAMPLE_RATE"] = "16000"
    return contender


# Ours: one value per profile. None: not measured, and said so.
OUR_WS_THROUGHPUT: Contender | None = our_echo("WebSocket", "throughput", "VoxwireWsThroughput")
OUR_WS_LATENCY: Contender | None = our_echo("WebSocket", "latency", "VoxwireWs")
OUR_WEBRTC_THROUGHPUT: Contender | None = our_echo("WebRTC", "throughput", "VoxwireRtcThroughput")
OUR_WEBRTC_LATENCY: Contender | None = our_echo("WebRTC", "latency", "VoxwireRtc")

# Conversations (C3-C5): the offline bot and the click voice, latency profile.
OUR_OFFLINE = ours("offline bot", kind="talk", bot="offline", profile="latency")
OUR_CLICKS = ours("clicks", kind="talk", bot="tests/bench/bots/clicks.py", profile="latency")
STOCK_OFFLINE = Contender(
    name="pipecat 1.14 WebSocket, offline bot",
    kind="talk",
    command=(sys.executable, "-m", "tests.bench.peers.stock_offline"),
    dialect="",
    environment=QUIET,
)
