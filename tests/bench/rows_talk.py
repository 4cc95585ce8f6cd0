"""Rows C3-C5: conversations, as the user's ears have them. Latency profile, VAD 0.2/0.2/0.7."""

from typing import TYPE_CHECKING

from tests.bench import contenders
from tests.bench.report import Line
from tests.bench.talks import Talk
from tests.bench.trips import percentile

if TYPE_CHECKING:
    from tests.bench.rows import Bench

IN_MEMORY_MS = {"p50": 263, "p95": 324}
"""Stop of speech to voice with no network or codec, measured by itself."""
BARGE_IN_MS = "366-406 ms in memory, n=3"
QUANTILES = {"p50": 0.50, "p95": 0.95}
TRANSPORTS = {"websocket": "WebSocket", "webrtc": "WebRTC"}
ANSWER_BOUNDS = {"websocket": (320.0, 400.0), "webrtc": (360.0, 450.0)}
CUT_BOUNDS = (250.0, 350.0)
FLUSH_BOUND = 60.0
WORD_BOUNDS = (20.0, 45.0)


async def turns(bench: "Bench", client: str) -> Talk:
    """The conversation that C3 and C4 share."""
    contender = contenders.STOCK_OFFLINE if client == "stock" else contenders.OUR_OFFLINE
    return await bench.talk(contender, what="turns", client=client, rounds=bench.rounds)


async def c3(bench: "Bench") -> list[Line]:
    """User stops, first audible sample of the answer."""
    peer = await turns(bench, "stock")
    lines: list[Line] = []
    for client, name in TRANSPORTS.items():
        ours = await turns(bench, client)
        answers = ours.ms("answer_ms")
        for (label, quantile), bound in zip(QUANTILES.items(), ANSWER_BOUNDS[client], strict=True):
            notes = [f"n={len(answers)}", f"{ours.count('split')} split"]
            if unanswered := ours.count("unanswered"):
                notes.append(f"{unanswered} unanswered")
            notes.append(f"in memory, no network or codec: {IN_MEMORY_MS[label]} ms")
            lines.append(
                Line(
                    row="C3",
                    what=f"user stops → first audible sample {label}, {name}",
                    unit="ms",
                    ours=percentile(answers, quantile),
                    peer=percentile(peer.ms("answer_ms"), quantile),
                    bound=bound,
                    must=False,
                    noisy=ours.usage.noisy or peer.usage.noisy,
                    note="; ".join(notes),
                )
            )
    return lines


async def c4(bench: "Bench") -> list[Line]:
    """User's first voiced sample, speaker silent. The 60 labelled clips are not measured yet."""
    peer = await turns(bench, "stock")
    lines: list[Line] = []
    for client, name in TRANSPORTS.items():
        ours = await turns(bench, client)
        cuts, flushes = ours.ms("cut_ms"), ours.ms("flush_ms")
        notes = [f"n={len(cuts)}", f"{ours.count('uncut')} not cut", f"peer: {BARGE_IN_MS}"]
        noisy = ours.usage.noisy or peer.usage.noisy
        for (label, quantile), bound in zip(QUANTILES.items(), CUT_BOUNDS, strict=True):
            lines.append(
                Line(
                    row="C4",
                    what=f"barge-in: first voiced sample → below -60 dBFS {label}, {name}",
                    unit="ms",
                    ours=percentile(cuts, quantile),
                    peer=percentile(peer.ms("cut_ms"), quantile),
                    bound=bound,
                    must=False,
                    noisy=noisy,
                    note="; ".join(notes),
                )
            )
        lines.append(
            Line(
                row="C4",
                what=f"barge-in: flush → below -60 dBFS p50, {name}",
                unit="ms",
                ours=percentile(flushes, 0.5),
                bound=FLUSH_BOUND,
                must=False,
                noisy=noisy,
                note=f"n={len(flushes)}",
            )
        )
    return lines


async def c5(bench: "Bench") -> list[Line]:
    """Word fired, its click in the audio that the speaker plays."""
    lines: list[Line] = []
    for client, name in TRANSPORTS.items():
        ours = await bench.talk(
            contenders.OUR_CLICKS, what="words", client=client, rounds=bench.rounds // 5
        )
        errors = [abs(error) for error in ours.ms("error_ms")]
        for (label, quantile), bound in zip(QUANTILES.items(), WORD_BOUNDS, strict=True):
            lines.append(
                Line(
                    row="C5",
                    what=f"word fired vs. its click in the speaker, |error| {label}, {name}",
                    unit="ms",
                    ours=percentile(errors, quantile),
                    bound=bound,
                    must=False,
                    noisy=ours.usage.noisy,
                    note=f"n={len(errors)}; {ours.count('lost')} lost; stock has no times",
                )
            )
    return lines
