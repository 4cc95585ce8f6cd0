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

# Ours: one value per profile (design.md 4). None: not measured, and said so.
OUR_WS_THROUGHPUT: Contender | None = None
OUR_WS_LATENCY: Contender | None = None
OUR_WEBRTC_THROUGHPUT: Contender | None = None
OUR_WEBRTC_LATENCY: Contender | None = None
