"""An assistant in your terminal: speak or type, and read each word as you hear it.

Run a server (make run), then:

    .venv/bin/python examples/terminal_assistant.py           # microphone and speaker
    .venv/bin/python examples/terminal_assistant.py --typed   # no sound, only the keyboard

A line that you type interrupts the bot; an empty one only silences it. Ctrl-D or Ctrl-C hangs up.
"""

import argparse
import asyncio
import sys
import threading
from collections.abc import AsyncIterator

import voxwire


def say(text: str, end: str = "") -> None:
    """Print at once: words come one by one."""
    print(text, end=end, flush=True)


async def show(session: voxwire.Session) -> None:
    """Print both sides as they speak, until the session ends."""
    async for event in session:
        match event:
            case voxwire.UserTranscript(text=text, final=True):
                say(f"\nyou: {text}\nbot: ")
            case voxwire.BotWord(text=word):
                say(f"{word} ")
            case voxwire.ToolCallStarted(name=name):
                say(f"[{name}] ")
            case voxwire.Interrupted():
                say("— ")
            case voxwire.ConnectionChanged(state=voxwire.ConnectionState.RECONNECTING):
                say("[the connection is lost, dialling] ")
            case voxwire.EchoControlChanged(reason=reason):
                say(f"[{reason}] ")
            case _:
                pass


async def typed_lines() -> AsyncIterator[str]:
    """What is typed, a line at a time; the thread that reads does not outlive the program."""
    loop, lines = asyncio.get_running_loop(), asyncio.Queue[str]()

    def read() -> None:
        line = "the first one"
        while line:  # empty: the end of the input
            line = sys.stdin.readline()
            loop.call_soon_threadsafe(lines.put_nowait, line)

    threading.Thread(target=read, daemon=True).start()
    while line := await lines.get():
        yield line.strip()


async def listen_to_keyboard(session: voxwire.Session) -> None:
    """Send what is typed; hang up at the end of it."""
    async for line in typed_lines():
        if line:
            await session.send_text(line, interrupt=True)
        else:
            await session.interrupt()
    await session.close()


async def talk(url: str, *, live: bool) -> None:
    """Hold a conversation until either side hangs up."""
    async with voxwire.connect(url, microphone=live, speaker=live) as session:
        say("bot: ")
        keyboard = asyncio.create_task(listen_to_keyboard(session))
        try:
            await show(session)
        finally:
            keyboard.cancel()


def main() -> None:
    """Read the command line, and tell what went wrong in one line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("url", nargs="?", default="ws://127.0.0.1:7860")
    parser.add_argument("--typed", action="store_true", help="use no microphone and no speaker")
    options = parser.parse_args()
    try:
        asyncio.run(talk(options.url, live=not options.typed))
    except KeyboardInterrupt:
        pass
    except voxwire.VoxwireError as error:
        sys.exit(f"\n{error.code.name}: {error.reason} ({error.docs})")
    print()


if __name__ == "__main__":
    main()
