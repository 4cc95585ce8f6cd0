"""What a person sees while a conversation runs: a live view, or plain lines."""

from contextlib import AbstractContextManager
from importlib.util import find_spec
from typing import IO, Protocol

from voxwire.cli.captions import Captions
from voxwire.cli.lines import plain_line, spoken_line
from voxwire_protocol import events

__all__ = ["PlainView", "View", "make_view"]


class View(AbstractContextManager["View"], Protocol):
    """Shows a conversation; a context manager."""

    def show(self, event: events.Event) -> None:
        """Takes the next event."""
        ...

    def spoken(self, name: str, done_ms: int, length_ms: int | None) -> None:
        """Takes how much of a file was spoken so far, milliseconds; of how much, if it says."""
        ...


def make_view(out: IO[str]) -> View:
    """The live view on a terminal where rich is installed (``voxwire[cli]``), else plain lines."""
    if out.isatty() and find_spec("rich") is not None:
        from voxwire.cli.rich_view import RichView

        return RichView()
    return PlainView(out)


class PlainView(AbstractContextManager["PlainView"]):
    """One line for everything that is said or done, once it is complete."""

    def __init__(self, out: IO[str]) -> None:
        """Prints to `out`."""
        self._out = out
        self._captions = Captions()

    def __exit__(self, *_: object) -> None:
        """Nothing to undo."""

    def show(self, event: events.Event) -> None:
        """Prints what the event completes."""
        self._captions.feed(event)
        line = plain_line(event, self._captions)
        if line:
            print(line, file=self._out, flush=True)

    def spoken(self, name: str, done_ms: int, length_ms: int | None) -> None:
        """Prints how far the file is."""
        print(f"     {spoken_line(name, done_ms, length_ms)}", file=self._out, flush=True)
