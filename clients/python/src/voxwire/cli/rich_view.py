"""The live view: who speaks, captions whose words light up as they are heard, tools, latency."""

from collections import deque
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from voxwire._logged import placed
from voxwire.cli.captions import Caption
from voxwire.cli.lines import connection_line, skipped_line, spoken_line, tool_line, turn_line
from voxwire_protocol import events

__all__ = ["RichView"]

LINES: Final = 14
"""Lines of the conversation that stay in sight."""


class RichView:
    """A panel that is redrawn as events come; needs rich."""

    def __init__(self, console: Console | None = None) -> None:
        """Draws on `console`, or on the terminal."""
        self._live = Live(console=console, refresh_per_second=20, transient=False)
        self._lines: deque[Text | Caption] = deque(maxlen=LINES)
        self._captions: dict[str, Caption] = {}
        self._bot = events.BotState.UNKNOWN
        self._user = events.UserState.UNKNOWN
        self._interim: Text | None = None
        self._title = "voxwire"
        self._spoken = ""

    def __enter__(self) -> "RichView":
        """Takes the terminal."""
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Gives the terminal back."""
        self._live.update(self._draw(), refresh=True)
        self._live.stop()

    def show(self, event: events.Event) -> None:
        """Takes the next event."""
        match event:
            case events.SessionStarted():
                self._title = f"bot: {event.bot}" if event.bot else "voxwire"
                if event.examples:
                    self._say("try: " + " / ".join(event.examples), "dim")
            case events.StateChanged():
                self._bot, self._user = event.bot, event.user
            case events.ConnectionChanged():
                if line := connection_line(event):
                    self._say(line, "yellow")
            case events.EventsSkipped():
                self._say(skipped_line(event), "yellow")
            case events.UserTranscript():
                self._transcript(event)
            case events.ToolCallStarted() | events.ToolCallEnded():
                self._say(tool_line(event), "magenta")
            case events.TurnMetrics():
                self._say(turn_line(event), "dim")
            case events.ErrorEvent():
                self._say(f"{event.code.name}: {event.reason}", "bold red")
            case events.UtteranceWords() | events.BotWord() | events.UtteranceEnded():
                self._caption(event)
            case _:
                return
        self._live.update(self._draw())

    def spoken(self, name: str, done_ms: int, length_ms: int | None) -> None:
        """Shows how far the file is, beside who speaks."""
        self._spoken = f"    {spoken_line(name, done_ms, length_ms)}"
        self._live.update(self._draw())

    def _say(self, text: str, style: str) -> None:
        self._lines.append(Text(text, style=style))

    def _transcript(self, event: events.UserTranscript) -> None:
        line = Text.assemble(("you  ", "bold cyan"), (event.text, "cyan" if event.final else "dim"))
        if self._interim is not None and self._interim in self._lines:
            self._lines.remove(self._interim)
        if event.final:
            self._spoken = ""
        self._lines.append(line)
        self._interim = None if event.final else line

    def _caption(
        self, event: events.UtteranceWords | events.BotWord | events.UtteranceEnded
    ) -> None:
        caption = self._captions.get(event.utterance_id)
        if caption is None:
            caption = self._captions[event.utterance_id] = Caption()
            self._lines.append(caption)
        match event:
            case events.UtteranceWords():
                caption.text = placed(caption.text, event.text_offset, event.text)
            case events.BotWord():
                caption.heard = max(caption.heard, event.char_end)
            case events.UtteranceEnded():
                caption.heard = event.heard_char_end
                caption.over = True
                del self._captions[event.utterance_id]

    def _draw(self) -> Panel:
        lines = [line if isinstance(line, Text) else _drawn(line) for line in self._lines]
        status = Text.assemble(
            ("you ", "bold cyan"),
            _lamp(self._user == events.UserState.SPEAKING, "speaking", "silent"),
            ("    bot ", "bold green"),
            _lamp(self._bot == events.BotState.SPEAKING, "speaking", str(self._bot)),
            (self._spoken, "dim"),
        )
        return Panel(Group(*lines, Text(), status), title=self._title, border_style="dim")


def _lamp(lit: bool, on: str, off: str) -> tuple[str, str]:
    return (f"● {on}", "bold green") if lit else (f"○ {off}", "dim")


def _drawn(caption: Caption) -> Text:
    """The heard part bright, the rest dim, or struck out when it will not be heard."""
    heard, rest = caption.text[: caption.heard], caption.text[caption.heard :]
    return Text.assemble(
        ("bot  ", "bold green"),
        (heard, "bright_white"),
        (rest, "dim strike" if caption.over else "dim"),
    )
