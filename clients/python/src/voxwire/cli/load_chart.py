"""How long things took, as a picture: an SVG that any browser shows. Pure."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from voxwire.latency import nearest_rank

__all__ = ["chart"]

WIDTH: Final = 720
HEIGHT: Final = 200
LEFT: Final = 60
BARS: Final = 36
TICKS: Final = 4
MARKS: Final = (50, 95, 99)
LABEL: Final = 100
"""What a percentile's label takes up."""
COLOURS: Final = ("#2563eb", "#0f766e", "#b45309")


def chart(groups: Mapping[str, Sequence[float]]) -> str:
    """A histogram for each group of times, milliseconds, with its percentiles."""
    drawn = [
        _histogram(name, sorted(values), top=index * (HEIGHT + 40), colour=COLOURS[index % 3])
        for index, (name, values) in enumerate(groups.items())
    ]
    height = len(drawn) * (HEIGHT + 40)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
        ' font-family="system-ui, sans-serif" font-size="12">\n'
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>\n{"".join(drawn)}</svg>\n'
    )


def _histogram(name: str, values: Sequence[float], *, top: int, colour: str) -> str:
    title = f'<text x="{LEFT}" y="{top + 20}" font-weight="600">{escape(name)}'
    if not values:
        return f"{title}: none</text>\n"
    end = _rounded(values[-1])
    step = end / BARS
    counts = [0] * BARS
    for value in values:
        counts[min(BARS - 1, max(0, int(value / step)))] += 1
    most, room = max(counts), WIDTH - LEFT - 20
    base = top + HEIGHT - 20
    bar = room / BARS
    parts = [f"{title}: {len(values)}</text>\n"]
    for at, count in enumerate(counts):
        high = (HEIGHT - 70) * count / most
        parts.append(
            f'<rect x="{LEFT + at * bar:.1f}" y="{base - high:.1f}" width="{bar - 1:.1f}"'
            f' height="{high:.1f}" fill="{colour}"/>\n'
        )
    parts.append(f'<line x1="{LEFT}" x2="{WIDTH - 20}" y1="{base}" y2="{base}" stroke="#555"/>\n')
    parts.append(f'<text x="{LEFT - 8}" y="{base - HEIGHT + 74}" text-anchor="end">{most}</text>\n')
    for tick in range(TICKS + 1):
        at = LEFT + room * tick / TICKS
        ms = f"{end * tick / TICKS:.0f}"
        anchor = "end" if tick == TICKS else "middle"
        parts.append(f'<text x="{at:.1f}" y="{base + 16}" text-anchor="{anchor}">{ms} ms</text>\n')
    for share in MARKS:
        value = nearest_rank(values, share) or 0.0
        at = LEFT + room * min(1.0, value / end)
        y = top + 34 + 12 * MARKS.index(share)
        behind = at < WIDTH - LABEL
        parts.append(
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{y}" y2="{base}" stroke="#111"'
            ' stroke-dasharray="2 3"/>\n'
            f'<text x="{at + (4 if behind else -4):.1f}" y="{y + 4}"'
            f' text-anchor="{"start" if behind else "end"}">p{share} {value:.0f}</text>\n'
        )
    return "".join(parts)


def _rounded(value: float) -> float:
    """A round number that is not below."""
    for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000):
        if value <= step * 4:
            return step * 4.0
    return value
