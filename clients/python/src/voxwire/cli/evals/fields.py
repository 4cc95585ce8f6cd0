"""Members of a scenario file: their types, and what is said when they are wrong."""

from difflib import get_close_matches
from typing import Any, Final, TypeVar

from voxwire.cli.evals.yaml_lines import Lines, Listed, Mapped, ScenarioError

__all__ = ["Notes", "list_of", "mapping", "member", "text_of"]

T = TypeVar("T")

_WANTED: Final[dict[type, str]] = {bool: "true or false", int: "a whole number", str: "a text"}


class Notes:
    """What is read otherwise than Pipecat would; told once each."""

    def __init__(self) -> None:
        """Starts with none."""
        self._told: dict[str, None] = {}

    @property
    def told(self) -> tuple[str, ...]:
        """All of them, oldest first."""
        return tuple(self._told)

    def tell(self, lines: Lines, note: str) -> None:
        """Notes it, with its place."""
        self._told[f"{lines.path}:{lines.line}: {note}"] = None

    def unknown(self, found: Mapped, known: tuple[str, ...], what: str) -> None:
        """Notes each key that is none of the format's."""
        for key in found:
            if key not in known:
                near = get_close_matches(str(key), known, 1)
                hint = f" (do you mean {near[0]!r}?)" if near else ""
                self.tell(found.lines.at(key), f"{key!r} is no key of {what}: not read{hint}")


def mapping(value: Any, lines: Lines, what: str) -> Mapped:
    """The mapping that it has to be.

    Raises:
        ScenarioError: It is none.
    """
    if isinstance(value, Mapped):
        return value
    raise ScenarioError(lines, f"{what} must be a mapping (key: value), not {_kind(value)}")


def list_of(value: Any, lines: Lines, what: str) -> Listed:
    """The list that it has to be.

    Raises:
        ScenarioError: It is none.
    """
    if isinstance(value, Listed):
        return value
    raise ScenarioError(lines, f"{what} must be a list (- ...), not {_kind(value)}")


def text_of(value: Any, lines: Lines, what: str) -> str:
    """The text that it has to be, not empty.

    Raises:
        ScenarioError: It is none.
    """
    if isinstance(value, str) and value:
        return value
    raise ScenarioError(lines, f"{what} must be a text, not {_kind(value)}: put it in quotes")


def member(found: Mapped, key: str, kind: type[T]) -> T | None:
    """A member of one type; None where it is absent or null. True is no number.

    Raises:
        ScenarioError: It has another type.
    """
    value = found.get(key)
    if value is None:
        return None
    if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    reason = f"'{key}' must be {_WANTED.get(kind, kind.__name__)}, not {_kind(value)}"
    raise ScenarioError(found.lines.at(key), reason)


def _kind(value: Any) -> str:
    match value:
        case None:
            return "empty"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case str():
            return "an empty text" if not value else f"the text {value[:40]!r}"
        case _:
            return repr(value)[:60]
