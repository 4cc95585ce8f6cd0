"""The tables of a page of the specification, so that a test can hold each cell of them."""

from pathlib import Path

__all__ = ["cells", "rows"]

_SPEC = Path(__file__).resolve().parents[2] / "protocol" / "spec"


def rows(page: str, first_column: str) -> list[list[str]]:
    """Heading and rows of the table whose first heading is given, without the backticks."""
    lines = (_SPEC / page).read_text("utf-8").splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith(f"| {first_column} |"))
    found: list[list[str]] = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        found.append([cell.strip().replace("`", "") for cell in line.strip("|").split("|")])
    return [found[0], *found[2:]]


def cells(page: str, first_column: str) -> dict[tuple[str, str], str]:
    """The cells of that table by row and column."""
    heading, *body = rows(page, first_column)
    return {
        (row[0], column): cell
        for row in body
        for column, cell in zip(heading[1:], row[1:], strict=True)
    }
