"""A session as a picture: an SVG that any browser shows. Pure."""

from html import escape
from typing import Final

from voxwire.testing.voice.scene import Mark, Scene, Stretch
from voxwire.testing.voice.taps import Level

__all__ = ["picture"]

INK, SOFT, FAINT = "#1f2430", "#6b7280", "#d9dce3"
USER, BOT, CUT, TOOL, FLUSH = "#2f6fde", "#12855f", "#9aa0ab", "#b45309", "#d12f5b"

LEFT: Final = 60
RIGHT: Final = 40
LEAST_WIDTH: Final = 900
MOST_WIDTH: Final = 12_000
LEAST_PER_S, MOST_PER_S = 110, 220
CHAR: Final = 6.6
"""Width of a character, about."""

USER_Y: Final = 160
BOT_Y: Final = 290
HALF: Final = 38
USER_ROWS: Final = 3
MARK_ROWS: Final = 2
WORDS_Y: Final = 345
ROW: Final = 16
ROWS: Final = 3
UNHEARD_Y: Final = WORDS_Y + ROWS * ROW + 16
UNHEARD_ROWS: Final = 3
BOTTOM: Final = UNHEARD_Y + UNHEARD_ROWS * ROW
LINE_CHARS: Final = 120
UNHEARD_CHARS: Final = 60


def picture(scene: Scene, title: str) -> str:
    """Draws who sounded when, what was heard and what was not, tools, cuts and what was missed.

    Args:
        scene: What there was.
        title: Of the picture: the test.
    """
    seconds = max(1.0, scene.end_ms / 1000 + 0.5)
    fitting = (LEAST_WIDTH - LEFT - RIGHT) / seconds
    per_s = min(MOST_PER_S, max(LEAST_PER_S, fitting), (MOST_WIDTH - LEFT - RIGHT) / seconds)
    width = max(LEAST_WIDTH, round(LEFT + seconds * per_s + RIGHT))
    page = _Page(per_s)
    page.text(LEFT, 26, title, size=15, weight="600")
    for row, line in enumerate(_lines(scene.failure)):
        page.text(LEFT, 46 + row * 15, line, color=FLUSH)
    page.axis(seconds)
    page.voice("user", USER_Y, USER, scene.user_levels)
    page.voice("bot", BOT_Y, BOT, scene.bot_levels)
    page.user(scene.user)
    page.marks(scene.tools, y=USER_Y + 68, color=TOOL)
    page.cuts(scene.cuts)
    page.words(scene.words)
    page.unheard(scene.unheard)
    if scene.failure is not None:
        page.missed(scene.failure)
    page.legend()
    return page.svg(width)


def _lines(failure: Mark | None) -> list[str]:
    text = "" if failure is None else failure.text
    return [line[:LINE_CHARS] for line in text.splitlines()[:3]]


class _Rows:
    """Rows of text: each text comes into the first that has room, or into the emptiest."""

    def __init__(self, count: int) -> None:
        self._ends = [0.0] * count

    def place(self, x: float, text: str) -> int:
        free = (row for row, end in enumerate(self._ends) if end <= x)
        row = next(free, self._ends.index(min(self._ends)))
        self._ends[row] = x + CHAR * len(text) + 10
        return row


class _Page:
    """Parts of a drawing; time goes to the right."""

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._parts: list[str] = []

    def svg(self, width: int) -> str:
        height = self._legend_y() + 24
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
            f' viewBox="0 0 {width} {height}" font-family="system-ui, sans-serif" font-size="12">\n'
            f'<rect width="{width}" height="{height}" fill="white"/>\n'
            + "\n".join(self._parts)
            + "\n</svg>\n"
        )

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        color: str = INK,
        size: int = 12,
        weight: str = "400",
        anchor: str = "start",
        more: str = "",
    ) -> None:
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" fill="{color}" font-size="{size}"'
            f' font-weight="{weight}" text-anchor="{anchor}"{more}>{escape(text)}</text>'
        )

    def line(
        self, x0: float, y0: float, x1: float, y1: float, *, color: str, more: str = ""
    ) -> None:
        self._parts.append(
            f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}"'
            f' stroke="{color}"{more}/>'
        )

    def axis(self, seconds: float) -> None:
        y = BOTTOM + 6
        step = next((it for it in (1, 2, 5, 10, 30, 60, 300) if it * self._per_s >= 60), 600)
        for second in range(0, int(seconds) + 1, step):
            x = self._x(second * 1000)
            self.line(x, USER_Y - HALF, x, y, color=FAINT, more=' stroke-dasharray="2 4"')
            self.text(x, y + 14, f"{second} s", color=SOFT, size=11, anchor="middle")

    def voice(self, name: str, y: float, color: str, levels: list[Level]) -> None:
        """A lane: its name, and how loud it was."""
        self.text(LEFT - 12, y + 4, name, color=color, weight="600", anchor="end")
        end = self._x(levels[-1][0]) if levels else LEFT + 40
        self.line(LEFT, y, end, y, color=color, more=' stroke-opacity="0.3"')
        if not levels:
            return
        peak = max(level for _, level in levels)
        bars = "".join(
            f"M{self._x(at_ms):.1f} {y - HALF * level / peak:.1f}V{y + HALF * level / peak:.1f}"
            for at_ms, level in levels
        )
        wide = max(1.0, self._per_s * 0.018)
        self._parts.append(f'<path d="{bars}" stroke="{color}" stroke-width="{wide:.1f}"/>')

    def user(self, said: list[Stretch]) -> None:
        rows = _Rows(USER_ROWS)
        for one in said:
            x = self._x(one.start_ms)
            y = USER_Y - HALF - 8 - rows.place(x, one.text) * ROW
            self.line(x, y - 8, x, USER_Y + HALF, color=USER)
            self.text(x + 4, y, f"“{one.text}”", color=USER)

    def marks(self, marks: list[Mark], *, y: float, color: str) -> None:
        rows = _Rows(MARK_ROWS)
        for mark in marks:
            x = self._x(mark.at_ms)
            at = y - rows.place(x, f"{mark.text}  ") * ROW
            self._parts.append(f'<path d="M{x:.1f} {at - 6}l6 6l-6 6l-6 -6z" fill="{color}"/>')
            self.text(x + 10, at + 4, mark.text, color=color)

    def cuts(self, cuts: list[Mark]) -> None:
        for cut in cuts:
            x = self._x(cut.at_ms)
            self.line(x, BOT_Y - HALF - 8, x, WORDS_Y, color=FLUSH, more=' stroke-width="1.5"')
            self.text(x + 4, BOT_Y - HALF - 2, cut.text, color=FLUSH, size=11)

    def words(self, words: list[Stretch]) -> None:
        """Each word below its sound."""
        rows = _Rows(ROWS)
        for word in sorted(words, key=lambda it: it.start_ms):
            x = self._x(word.start_ms)
            right = max(x + 3, self._x(word.end_ms) - 2)
            self.line(x, WORDS_Y - 9, right, WORDS_Y - 9, color=BOT, more=' stroke-width="4"')
            row = rows.place(x, word.text)
            y = WORDS_Y + 8 + row * ROW
            if row:
                self.line(x + 1, WORDS_Y - 6, x + 1, y - 9, color=FAINT)
            self.text(x, y, word.text)

    def unheard(self, marks: list[Mark]) -> None:
        """What never sounded, from where it stopped."""
        rows = _Rows(UNHEARD_ROWS)
        style = ' font-style="italic"'
        for mark in sorted(marks, key=lambda it: it.at_ms):
            x = self._x(mark.at_ms)
            long = len(mark.text) > UNHEARD_CHARS
            text = f"{mark.text[:UNHEARD_CHARS]}…" if long else mark.text
            y = UNHEARD_Y + 8 + rows.place(x, text) * ROW
            self.line(x, WORDS_Y - 9, x, y, color=CUT, more=' stroke-dasharray="1 3"')
            self.text(x + 4, y, text, color=CUT, more=style)

    def missed(self, failure: Mark) -> None:
        x = self._x(failure.at_ms)
        self.line(x, USER_Y - HALF - 16, x, BOTTOM, color=FLUSH, more=' stroke-dasharray="6 3"')
        self.text(x - 4, BOTTOM, "failed", color=FLUSH, weight="600", anchor="end")

    def legend(self) -> None:
        x, y = float(LEFT), self._legend_y()
        names = {
            "user's sound": USER,
            "bot's sound, as heard; its words": BOT,
            "said, never heard": CUT,
            "tool": TOOL,
            "cut off": FLUSH,
        }
        for name, color in names.items():
            self._parts.append(
                f'<rect x="{x:.1f}" y="{y - 9}" width="10" height="10" fill="{color}"/>'
            )
            self.text(x + 15, y, name, color=SOFT, size=11)
            x += 36 + len(name) * 6

    def _legend_y(self) -> int:
        return BOTTOM + 48

    def _x(self, at_ms: float) -> float:
        return LEFT + max(0.0, at_ms) * self._per_s / 1000
