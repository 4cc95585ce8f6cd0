"""Draws a conversation: who sounded when, the words under their sound, tools, latency, the cut."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from draw_words import (
    BOT,
    CUT,
    FAINT,
    FLUSH,
    INK,
    SOFT,
    TOOL,
    USER,
    ZOOM,
    View,
    level_words,
    upright_words,
)
from matplotlib import pyplot as plt
from matplotlib.lines import Line2D
from matplotlib.patches import ConnectionPatch, Patch
from numpy.typing import NDArray
from talk_record import Record

DRAW_RATE = 8000
USER_Y, BOT_Y = 1.0, -0.55
BINS = 2400

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": SOFT,
    "xtick.color": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
}


def voices(record: Record) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """User and bot on the conversation's clock, at `DRAW_RATE`, each scaled to its peak."""
    size = int(record.end_ms * DRAW_RATE / 1000) + DRAW_RATE
    user = np.zeros(size, np.float32)
    bot = np.zeros(size, np.float32)

    def lay(lane: NDArray[np.float32], at_ms: float, length_ms: float, piece: object) -> None:
        samples = np.asarray(piece, np.float32)
        first = int(at_ms * DRAW_RATE / 1000)
        count = min(int(length_ms * DRAW_RATE / 1000) + 1, size - first)
        if len(samples) and count > 0:
            index = np.arange(count) * (len(samples) - 1) // max(1, count - 1)
            lane[first : first + count] = samples[index]

    for said in record.said:
        length_ms = len(said.sound.samples) * 1000 / said.sound.sample_rate
        lay(user, said.start_ms, length_ms, said.sound.samples)
    rate = record.bot.sample_rate
    for t0, m0, t1, m1 in record.playout.runs:
        lay(bot, t0, t1 - t0, record.bot.samples[int(m0 * rate / 1000) : int(m1 * rate / 1000)])
    return user / max(1.0, np.abs(user).max()), bot / max(1.0, np.abs(bot).max())


def waveform(view: View, lane: NDArray[np.float32], y: float, *, color: str) -> None:
    """The envelope of a voice around `y`."""
    part = lane[int(max(0, view.start) * DRAW_RATE) : int(view.end * DRAW_RATE)]
    step = max(1, len(part) // BINS)
    part = part[: len(part) // step * step].reshape(-1, step)
    t = max(0, view.start) + (np.arange(len(part)) + 0.5) * step / DRAW_RATE
    view.axes.axhline(y, color=color, lw=0.6, alpha=0.35)
    view.axes.fill_between(
        t, y + 0.55 * part.min(1), y + 0.55 * part.max(1), color=color, lw=0.3, alpha=0.9
    )


def prepare(view: View, bottom: float) -> None:
    """Limits, ticks, and the names of the lanes."""
    axes = view.axes
    axes.set_xlim(view.start, view.end)
    axes.set_ylim(bottom, 2.1)
    axes.set_yticks([])
    axes.tick_params(length=3, labelsize=9)
    for y, name, color in ((USER_Y, "user", USER), (BOT_Y, "bot", BOT)):
        axes.text(
            -0.008, y, name, color=color, weight="bold", fontsize=11,
            ha="right", va="center", transform=axes.get_yaxis_transform(),
        )  # fmt: skip


def user_texts(view: View, record: Record, *, size: float) -> None:
    """What was understood, above the user's sound."""
    for said in record.said:
        start, stop = said.start_ms / 1000, said.stop_ms / 1000
        if view.shows(start) or view.shows(stop):
            left = max(start, view.start)
            middle = (left + min(stop, view.end)) / 2
            text = f"“{said.text}”" if said.text else "(nothing understood)"
            axes = view.axes
            axes.text(
                middle, 1.7, text, color=USER, fontsize=size, ha="center", va="bottom",
                clip_on=True,
            )  # fmt: skip


def waits(view: View, record: Record, *, size: float) -> None:
    """From the user's last sound to the bot's first: what the user waited."""
    for said in record.said:
        answered_ms = record.answered_ms(said)
        if answered_ms is None or not view.shows(said.stop_ms / 1000):
            continue
        stop, first, y = said.stop_ms / 1000, answered_ms / 1000, 0.28
        view.axes.plot([stop, stop], [y - 0.09, USER_Y], color=SOFT, lw=0.8, ls=":")
        view.axes.plot([first, first], [BOT_Y, y + 0.09], color=SOFT, lw=0.8, ls=":")
        view.axes.plot([stop, first], [y, y], color=INK, lw=2.2, solid_capstyle="butt")
        view.axes.text(
            first + (view.end - view.start) * 0.004, y, f"{answered_ms - said.stop_ms:.0f} ms",
            fontsize=size, va="center", weight="bold",
        )  # fmt: skip


def tools(view: View, record: Record, *, size: float) -> None:
    """Tool calls: a diamond each, where they began."""
    for row in record.of("tool_call_started"):
        t = row["t_ms"] / 1000
        if view.shows(t):
            view.axes.plot([t], [0.62], marker="D", ms=size * 0.75, color=TOOL, zorder=5)
            view.axes.text(
                t + (view.end - view.start) * 0.008, 0.62, f"{row['name']}()", color=TOOL,
                fontsize=size, va="center", family="DejaVu Sans Mono",
            )  # fmt: skip


def flush(view: View, record: Record, *, label: bool) -> None:
    """The moment at which the server said: be silent."""
    if record.flush is None:
        return
    t = record.flush["t_ms"] / 1000
    bottom = view.axes.get_ylim()[0] if label else -1.14
    view.axes.plot([t, t], [bottom, 1.62], color=FLUSH, lw=1.6, zorder=4)
    text = "flush"
    if label and record.silent_ms is not None:
        text = f"flush: silent {max(0, record.silent_ms - record.flush['t_ms']):.0f} ms later"
    view.axes.text(
        t - (view.end - view.start) * 0.004, 0.28, text, color=FLUSH, weight="bold", ha="right",
        va="center", fontsize=11.5 if label else 9,
    )  # fmt: skip


def detail_range(record: Record) -> tuple[float, float]:
    """The stretch around the flush, or around the first answer when there was none."""
    if record.flush is None:
        start = record.words[0].t_ms / 1000 if record.words else 0.0
        return start - 0.3, start + 6.0
    cut = record.flush["t_ms"] / 1000
    spoken = [w.t_ms / 1000 for w in record.words if w.heard and w.t_ms / 1000 < cut]
    answer = [w for w in record.words if w.heard and w.t_ms / 1000 > cut + 0.1]
    first = next((t for t in spoken if t > cut - 3.6), cut - 3.0)
    end = answer[3].end_t_ms / 1000 if len(answer) > 3 else cut + 3.0
    return first - 0.25, min(max(end + 0.2, cut + 2.4), cut + 3.6)


def legend(figure: plt.Figure) -> None:
    """What the colours and marks are."""
    figure.legend(
        handles=[
            Patch(color=USER, label="user's voice"),
            Patch(color=BOT, label="bot's voice, as heard; its words"),
            Patch(color=CUT, label="word announced, cut, never heard"),
            Line2D([], [], marker="D", ls="", color=TOOL, label="tool call"),
            Line2D([], [], color=INK, lw=2.2, label="wait for the bot's first sound"),
            Line2D([], [], color=FLUSH, lw=1.6, label="flush"),
        ],
        loc="upper right", bbox_to_anchor=(0.985, 0.985), ncol=3, frameon=False, fontsize=9.5,
        columnspacing=1.6, handlelength=1.6,
    )  # fmt: skip


def draw(record: Record, path: Path) -> None:
    """Draws the whole conversation above and the interrupted stretch, enlarged, below it."""
    mpl.use("Agg")
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(16, 9.4), dpi=120, facecolor="white")
        grid = figure.add_gridspec(
            2, 1, height_ratios=[1, 1.05], left=0.045, right=0.985, top=0.885, bottom=0.06,
            hspace=0.2,
        )  # fmt: skip
        start, end = detail_range(record)
        whole = View(figure.add_subplot(grid[0]), 0.0, record.end_ms / 1000 + 0.2)
        part = View(figure.add_subplot(grid[1]), start, end)
        user, bot = voices(record)
        heard = [word for word in record.words if word.heard]
        cut_ms = record.silent_ms or np.inf
        for view, bottom, size in ((whole, -2.6, 9.0), (part, -3.1, 11.5)):
            prepare(view, bottom)
            waveform(view, user, USER_Y, color=USER)
            waveform(view, bot, BOT_Y, color=BOT)
            user_texts(view, record, size=size + 0.5)
            waits(view, record, size=size)
            tools(view, record, size=size)
            flush(view, record, label=view is part)
        upright_words(whole, heard)
        level_words(part, heard, y=-1.25, color=BOT, cut=cut_ms / 1000)
        level_words(part, [w for w in record.words if not w.heard], y=-2.3, color=CUT)
        whole.axes.axvspan(start, end, color=ZOOM, zorder=-5)
        part.axes.set_facecolor(ZOOM)
        for x, corner in ((start, 0.0), (end, 1.0)):
            line = ConnectionPatch(
                (x, -2.6), (corner, 1.0), coordsA="data", coordsB="axes fraction",
                axesA=whole.axes, axesB=part.axes, color="#e8d48a", lw=1.0,
            )  # fmt: skip
            whole.axes.add_artist(line)
        part.axes.set_xlabel("seconds since the client began to connect", fontsize=9.5)
        carrier = next((row["carrier"] for row in record.of("path_changed")), "?")
        names = {"webrtc": "WebRTC", "websocket": "WebSocket"}
        figure.text(0.012, 0.952, "One conversation, as it was heard", fontsize=19, weight="bold")
        figure.text(
            0.012, 0.922, color=SOFT, fontsize=10.5,
            s=f"Audio over {names.get(carrier, carrier)}. Every word stands where the listener's"
            " own speaker played it.",
        )  # fmt: skip
        legend(figure)
        figure.savefig(path)
        plt.close(figure)
