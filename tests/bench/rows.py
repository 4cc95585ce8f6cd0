"""What is measured: one function per row of the budgets, in the order of the table.

A row asks `Bench` for runs (each is made once, however many rows use it) and returns lines.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tests.bench import contenders
from tests.bench.contenders import Contender
from tests.bench.report import Line
from tests.bench.rows_talk import c3, c4, c5
from tests.bench.rows_voice import v1, v3
from tests.bench.runs import ATTEMPTS, Window, measure
from tests.bench.talks import Talk, measure_talk
from tests.bench.trips import percentile

WINDOWS = 2  # of each kind; figures are medians
PATIENCE_S = 270  # from then on a noisy run is not made again, so that a bench ends in 8 minutes


class Bench:
    """The runs of this bench, kept so that rows share them."""

    def __init__(self, *, window_s: float, full: bool = False) -> None:
        self._window_s = window_s
        self._started_s = time.monotonic()
        self.rounds = 20 if full else 10
        self._runs: dict[str, list[Window]] = {}
        self._talks: dict[str, Talk] = {}
        self._others: dict[str, Any] = {}

    def keep(self, name: str, figures: dict[str, Any]) -> None:
        """Notes what else was measured, for bench.json."""
        self._others[name] = figures

    async def run(self, contender: Contender | None, **options: Any) -> list[Window] | None:
        """Windows of a contender under a load; None for one that is not there yet."""
        if contender is None:
            return None
        words = [f"{name}={value}" for name, value in sorted(options.items())]
        key = " ".join([contender.name, *words])
        if key not in self._runs:
            print(f"bench: {key}", flush=True)
            settings = {"window": self._window_s, "windows": WINDOWS, **options}
            attempts = ATTEMPTS if time.monotonic() - self._started_s < PATIENCE_S else 1
            self._runs[key] = await measure(contender, attempts=attempts, **settings)
            for window in self._runs[key]:
                print(f"    {describe(window)}", flush=True)
        return self._runs[key]

    async def talk(self, contender: Contender, *, what: str, client: str, rounds: int) -> Talk:
        """A conversation with a contender."""
        key = f"{contender.name} {what} client={client} rounds={rounds}"
        if key not in self._talks:
            print(f"bench: {key}", flush=True)
            self._talks[key] = await measure_talk(
                contender, what=what, client=client, rounds=rounds
            )
            talk = self._talks[key]
            for name in talk.figures:
                if values := talk.figures[name] if name.endswith("_ms") else None:
                    p50, p95 = (percentile(values, q) or 0.0 for q in (0.5, 0.95))
                    print(f"    {name}: n={len(values)} p50 {p50:.1f}, p95 {p95:.1f}", flush=True)
        return self._talks[key]

    def records(self) -> dict[str, Any]:
        """Every window and conversation, for bench.json."""
        runs = {key: [window.as_dict() for window in run] for key, run in self._runs.items()}
        talks = {key: talk.as_dict() for key, talk in self._talks.items()}
        return {**runs, **talks, **self._others}


def describe(window: Window) -> str:
    """One line about a window."""
    p50, p99, mean = (
        "–" if value is None else f"{value:.1f}"
        for value in (window.p50_ms, window.p99_ms, window.mean_ms)
    )
    return (
        f"{window.name}: {window.usage.server_percent:.1f} % of a core, "
        f"{window.cpu_per_session:.2f} % and {window.rss_per_session_mb:.2f} MB a session; "
        f"round trip p50 {p50}, p99 {p99}, mean {mean} ms; "
        f"{window.missed} of {window.sent} missed; "
        f"load {window.load_cpu_percent:.0f} %, others {window.usage.other_percent:.0f} %"
        f"{'  DOUBTFUL' if window.doubtful else ''}"
    )


@dataclass(frozen=True)
class Row:
    """A row of the budgets."""

    key: str
    title: str
    measure: Callable[[Bench], Awaitable[list[Line]]]


def first(run: list[Window] | None) -> Window | None:
    """The window of a run before anything was done to it."""
    return run[0] if run else None


def doubtful(*windows: Window | None) -> bool:
    """Whether any of them is not to be trusted."""
    return any(window is not None and window.doubtful for window in windows)


def missed(*windows: Window | None) -> str:
    """A note about what did not come back."""
    lost = [
        f"{who}: {window.missed} of {window.sent} missed"
        for who, window in zip(("ours", "peer"), windows, strict=False)
        if window is not None and window.missed
    ]
    return "; ".join(lost)


async def p1(bench: Bench) -> list[Line]:
    """Server CPU per echo session, WebSocket."""
    peer = first(await bench.run(contenders.STOCK_WS, sessions=20, stall=True))
    ours = first(await bench.run(contenders.OUR_WS_THROUGHPUT, sessions=20))
    return [
        Line(
            row="P1",
            what="CPU per echo session, WebSocket, 20 sessions, throughput profile",
            unit="% of a core",
            ours=ours.cpu_per_session if ours else None,
            peer=peer.cpu_per_session if peer else None,
            ratio_bound=0.45,
            noisy=doubtful(ours, peer),
            note=missed(ours, peer),
        )
    ]


async def p2(bench: Bench) -> list[Line]:
    """Server CPU per echo session, WebRTC."""
    peer = first(await bench.run(contenders.STOCK_WEBRTC, sessions=5))
    ours = first(await bench.run(contenders.OUR_WEBRTC_THROUGHPUT, sessions=5))
    return [
        Line(
            row="P2",
            what="CPU per echo session, WebRTC, 5 sessions, throughput profile",
            unit="% of a core",
            ours=ours.cpu_per_session if ours else None,
            peer=peer.cpu_per_session if peer else None,
            ratio_bound=0.45,
            must=False,
            noisy=doubtful(ours, peer),
            note=missed(ours, peer),
        )
    ]


async def p4_websocket(bench: Bench) -> list[Line]:
    """Echo round trip over WebSocket, before and after a stall of the server."""
    return await round_trip(
        bench,
        transport="WebSocket, 20 sessions",
        ours=contenders.OUR_WS_LATENCY,
        peer=contenders.STOCK_WS,
        sessions=20,
        quantiles=("p50_ms", "p99_ms"),
        ratio_bound=1 / 3,
        bound=None,
    )


async def p4_webrtc(bench: Bench) -> list[Line]:
    """Echo round trip over WebRTC, seen on the wire, before and after a stall of the server."""
    return await round_trip(
        bench,
        transport="WebRTC on the wire, 1 session",
        ours=contenders.OUR_WEBRTC_LATENCY,
        peer=contenders.STOCK_WEBRTC,
        sessions=1,
        quantiles=("p50_ms",),
        ratio_bound=None,
        bound=60.0,
    )


async def round_trip(
    bench: Bench,
    *,
    transport: str,
    ours: Contender | None,
    peer: Contender,
    sessions: int,
    quantiles: tuple[str, ...],
    ratio_bound: float | None,
    bound: float | None,
) -> list[Line]:
    """Lines for the quiet window and the one after a 300 ms stall, held to the same bounds."""
    peer_run = await bench.run(peer, sessions=sessions, stall=True)
    our_run = await bench.run(ours, sessions=sessions, stall=True)
    assert peer_run is not None
    lines: list[Line] = []
    for number, peer_window in enumerate(peer_run):
        window = our_run[number] if our_run else None
        after = " after a 300 ms stall" if number else ""
        for quantile in quantiles:
            raw = getattr(window, quantile) if window else None
            packing_ms = ours.packing_ms if ours else 0.0
            notes = [f"raw {raw:.1f} ms"] if raw is not None and packing_ms else []
            notes += [text] if (text := missed(window, peer_window)) else []
            # after the stall the peer has ratcheted up: ours is held to the quiet peer
            quiet = getattr(peer_run[0], quantile)
            lines.append(
                Line(
                    row="P4",
                    what=f"echo round trip {quantile[:3]}, {transport}{after}",
                    unit="ms",
                    ours=max(0.0, raw - packing_ms) if raw is not None else None,
                    peer=quiet,
                    ratio_bound=ratio_bound,
                    bound=bound,
                    noisy=doubtful(window, peer_window),
                    note="; ".join([*notes, *stall_note(number, getattr(peer_window, quantile))]),
                )
            )
    return lines


def stall_note(number: int, peer_ms: float | None) -> list[str]:
    """What the peer itself did after the stall."""
    if number == 0:
        return []
    return [f"peer after the same stall: {'–' if peer_ms is None else f'{peer_ms:.0f} ms'}"]


ROWS: list[Row] = [
    Row("C3", "user stops, bot answers", c3),
    Row("C4", "user speaks, bot falls silent", c4),
    Row("C5", "words when they sound", c5),
    Row("P1", "server CPU, WebSocket", p1),
    Row("P2", "server CPU, WebRTC", p2),
    Row("P4", "echo round trip, WebSocket", p4_websocket),
    Row("P4", "echo round trip, WebRTC", p4_webrtc),
    Row("V1", "how well the offline bot is understood", v1),
    Row("V3", "a session of the offline bot", v3),
]
