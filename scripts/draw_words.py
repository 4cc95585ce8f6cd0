"""The words of a picture of a conversation: upright in the overview, level in the detail."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Text
from talk_record import Word

INK, SOFT, FAINT = "#1f2430", "#6b7280", "#d9dce3"
USER, BOT, CUT, TOOL = "#2f6fde", "#12855f", "#9aa0ab", "#b45309"
FLUSH, ZOOM = "#d12f5b", "#fff6d6"


@dataclass(frozen=True)
class View:
    """One panel: its axes and its stretch of the conversation, seconds."""

    axes: Axes
    start: float
    end: float

    def shows(self, seconds: float) -> bool:
        """Whether a moment is in it."""
        return self.start <= seconds <= self.end


def apart(wanted: list[float], room: float) -> list[float]:
    """The places nearest to those wanted that keep `room` between neighbours (pooled means)."""
    pools: list[list[float]] = []
    for at, place in enumerate(wanted):
        pools.append([place - at * room])
        while len(pools) > 1 and np.mean(pools[-2]) > np.mean(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    flat = [float(np.mean(pool)) for pool in pools for _ in pool]
    return [place + at * room for at, place in enumerate(flat)]


def upright_words(view: View, words: list[Word]) -> None:
    """Words written downwards under their sound, moved apart where they would touch."""
    width_in = view.axes.get_window_extent().width / view.axes.figure.dpi
    middles = [(word.t_ms + word.end_t_ms) / 2000 for word in words]
    places = apart(middles, 0.135 * (view.end - view.start) / width_in)
    for word, middle, x in zip(words, middles, places, strict=True):
        view.axes.plot([middle, x], [-1.14, -1.28], color=FAINT, lw=0.8)
        view.axes.text(x, -1.32, word.text, rotation=90, fontsize=8.2, ha="center", va="top")


def level_words(
    view: View, words: list[Word], *, y: float, color: str, cut: float = np.inf
) -> None:
    """A bar for each word's span, its text below in the first of the rows that has room.

    Args:
        view: Where to draw.
        words: In order of time.
        y: Of the bars.
        color: Of the bars; what of them lies behind `cut` is grey.
        cut: When the bot was cut off, seconds.
    """
    axes = view.axes
    rows_end = [-np.inf] * 3
    for word in words:
        start, end = word.t_ms / 1000, word.end_t_ms / 1000
        if start < view.start or end > view.end:
            continue
        sounded = min(end, cut) if word.heard and start < cut else end
        for left, right, shade in ((start, sounded, color), (sounded, end, CUT)):
            if right > left:
                axes.plot(
                    [left + 0.006, right - 0.006], [y, y], color=shade, lw=5, solid_capstyle="butt"
                )
        text: Text = axes.text(
            (start + end) / 2, y, word.text, ha="center", va="top", fontsize=11.5,
            color=INK if word.heard else CUT, style="normal" if word.heard else "italic", zorder=5,
            bbox={"facecolor": ZOOM, "edgecolor": "none", "pad": 0.6, "alpha": 0.85},
        )  # fmt: skip
        box = text.get_window_extent().transformed(axes.transData.inverted())
        row = next((n for n, x in enumerate(rows_end) if box.x0 > x + 0.02), 2)
        rows_end[row] = box.x1
        text.set_y(y - 0.14 - 0.3 * row)
        if row:
            middle = (start + end) / 2
            axes.plot([middle, middle], [y - 0.06, y - 0.14 - 0.3 * row], color=FAINT, lw=0.8)
