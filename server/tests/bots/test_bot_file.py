"""Loading a bot's file: both kinds, and what is said when it cannot be loaded."""

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pipecat.runner import utils
from pipecat.transports.base_transport import TransportParams

from tests.support.waiting import DEADLINE_S
from voxwire_server import cli
from voxwire_server.bots import runner_file
from voxwire_server.bots.house import Bots, BotsError
from voxwire_server.bots.needs import NotConfiguredError
from voxwire_server.bots.registry import BotNotFoundError, LoadedBot, load_bot

STOCK = """
import os
from pipecat.runner.types import RunnerArguments
from pipecat.runner.utils import create_transport

async def bot(runner_args: RunnerArguments):
    transport_params = {"daily": object, "twilio": object, "webrtc": object}
    await create_transport(runner_args, transport_params)
"""

Write = Callable[[str], str]


async def stock_create_transport(*_: Any) -> Any:
    """Pipecat's own, as it is before any bot's file was loaded."""
    raise AssertionError("it is not the session's transport")


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a bot's file into an empty folder and gives its path."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("ENV", "local")

    def write(text: str) -> str:
        path = tmp_path / "mybot.py"
        path.write_text(text, "utf-8")
        return str(path)

    return write


def refusal(path: str) -> str:
    with pytest.raises(BotNotFoundError) as failure:
        load_bot(path)
    return str(failure.value)


def is_stock(bot: LoadedBot) -> bool:
    return bot.run.__qualname__.startswith("as_session_bot")


@pytest.mark.parametrize(
    ("head", "signature", "stock"),
    [
        ("from pipecat.runner.types import RunnerArguments", "args: RunnerArguments", True),
        (
            "from pipecat.runner.types import DailyRunnerArguments",
            "args: DailyRunnerArguments",
            True,
        ),
        (
            "from __future__ import annotations\nimport pipecat.runner.types as types",
            "args: types.RunnerArguments",
            True,
        ),
        ("from pipecat.runner.utils import create_transport", "args", True),
        ("", "runner_args", True),
        ("", "runner_args, more=None", True),
        ("", "session", False),
        ("from voxwire_server import BotSession", "session: BotSession", False),
        ("from voxwire_server import BotSession", "runner_args: 'BotSession'", False),
        ("from pipecat.runner.utils import create_transport", "session: 'BotSession'", False),
    ],
)
def test_a_file_is_known_by_what_its_bot_takes(
    head: str, signature: str, stock: bool, write: Write
) -> None:
    bot = load_bot(write(f"{head}\nasync def bot({signature}): pass\n"))
    assert bot.name == "mybot"
    assert is_stock(bot) == stock


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1", "mybot.py has no function 'bot': write 'async def bot(session)', or"),
        ("def bot(session): pass", "'bot' of mybot.py is not async: write"),
        ("bot = 7", "'bot' of mybot.py is not async"),
        ("async def bot(): pass", "is called with one argument, and is 'bot()'"),
        ("async def bot(a, b): pass", "is called with one argument, and is 'bot(a, b)'"),
        ("async def bot(session:\n", "mybot.py, line 1: "),
        ("\nprint(\n", "mybot.py, line 2: "),
        ("\nx = 1 / 0", "mybot.py, line 2: ZeroDivisionError: division by zero"),
        ("raise SystemExit(2)", "ends the program as it is loaded: put what starts a runner"),
        ("import no_such_module", "needs the module no_such_module, which is not installed: pip"),
        ("import os\nos.environ['A_KEY']", "mybot.py needs A_KEY: set it in the environment, or"),
        ("raise KeyError('A_KEY')", "mybot.py, line 1: KeyError: 'A_KEY'"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(text: str, said: str, write: Write) -> None:
    message = refusal(write(text))
    assert said in message
    assert "\n" not in message


def test_a_service_of_pipecat_names_the_extra_that_it_comes_with(write: Write) -> None:
    message = refusal(write("from pipecat.services.azure.stt import AzureSTTService\n"))
    assert message.startswith("mybot.py needs the module ")
    assert message.endswith("pip install 'pipecat-ai[azure]'")


def test_a_key_that_is_missing_names_the_file_to_write_it_into(
    write: Write, tmp_path: Path
) -> None:
    message = refusal(write("import os\nos.environ['A_KEY']"))
    assert message.endswith(f"write the line A_KEY=... into the file {tmp_path / '.env'}")


def test_dot_env_beside_the_file_is_read_and_the_environment_wins(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRST_OF_TWO", "environment")
    monkeypatch.setenv("SECOND_OF_TWO", "")
    monkeypatch.delenv("SECOND_OF_TWO")
    (tmp_path / ".env").write_text("FIRST_OF_TWO=file\nSECOND_OF_TWO=file\n")
    load_bot(
        write(
            "import os\n"
            "SEEN = os.environ['FIRST_OF_TWO'], os.environ['SECOND_OF_TWO']\n"
            "async def bot(session): pass\n"
        )
    )
    assert sys.modules["voxwire_bot_mybot"].SEEN == ("environment", "file")


@pytest.mark.parametrize("other", ["", "environment"])
def test_a_setting_of_dot_env_that_does_not_count_is_noted(
    other: str, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SAME_KEY", "OTHER_KEY", "NEW_KEY"):
        monkeypatch.setenv(name, "same")
    monkeypatch.setenv("OTHER_KEY", other)
    monkeypatch.delenv("NEW_KEY")
    (tmp_path / ".env").write_text("SAME_KEY=same\nOTHER_KEY=secret\nNEW_KEY=new\n")
    path = write("async def bot(session): pass\n")
    [note] = load_bot(path).notes
    assert note == (
        f"{tmp_path / '.env'} sets OTHER_KEY, which has another value already, in the environment"
        " or from another bot's .env: mybot.py gets that one"
    )
    assert load_bot(path).notes == (note,)  # what it has set itself is not another value


def test_what_stands_under_main_is_not_run(write: Write) -> None:
    text = "async def bot(session): pass\nif __name__ == '__main__': raise SystemExit(3)\n"
    assert load_bot(write(text)).name == "mybot"


def test_a_file_may_take_away_what_pipecat_logs_to(write: Write) -> None:
    """Many of Pipecat's examples begin so; the server's own handler stands in the first place."""
    script = (
        "import sys\n"
        "from voxwire_server.logs import configure_logging, quiet_pipecat\n"
        "configure_logging('INFO')\n"
        "from loguru import logger\n"
        "logger.info('through the server')\n"
        "logger.remove(0)\n"
        "logger.add(sys.stdout, format='mine {message}')\n"
        "quiet_pipecat('INFO')\n"
        "logger.info('by itself')\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "mine by itself\n"
    assert "through the server" in ran.stderr
    assert "by itself" not in ran.stderr


def test_notes_say_which_entries_wait_and_which_keys_are_not_set(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SET_API_KEY", "1")
    for name in ("OTHER_API_KEY", "NEEDED", "OPTIONAL"):
        monkeypatch.delenv(name, raising=False)
    text = STOCK + (
        "    os.getenv('SET_API_KEY'), os.getenv('OTHER_API_KEY'), os.environ['NEEDED']\n"
        "    os.getenv('OPTIONAL'), os.getenv('DEFAULT_API_KEY', 'x')\n"
    )
    entries, first, second = load_bot(write(text)).notes
    assert entries == (
        "mybot.py: of transport_params this server does not serve yet: 'daily', 'twilio'"
    )
    assert first.startswith("mybot.py reads OTHER_API_KEY, which is not set: set it in")
    assert second.startswith("mybot.py reads NEEDED, which is not set: ")


def test_entries_in_the_call_itself_are_seen_too(write: Write) -> None:
    text = (
        "from pipecat.runner.utils import create_transport\n"
        "async def bot(runner_args):\n"
        "    await create_transport(runner_args, {'exotel': object, 'webrtc': object})\n"
    )
    [note] = load_bot(write(text)).notes
    assert note.endswith("does not serve yet: 'exotel'")


class Session:
    """As much of a session as arguments and a transport are made of."""

    def __init__(self) -> None:
        self.id = "s1"
        self.metadata = {"name": "Ann"}
        self.transport = self
        self.params: Any = None
        self.rtvi = self

    def expect(self) -> None:
        pass

    def configure(self, params: Any) -> None:
        self.params = params


def any_session() -> Any:
    return Session()


async def run(path: str) -> Any:
    session = any_session()
    await load_bot(path).run(session)
    return session


@pytest.mark.parametrize("others", ['"websocket": object, "webrtc"', '"websocket"'])
async def test_the_first_entry_that_fits_is_used(others: str, write: Write) -> None:
    entry = "lambda: TransportParams(audio_out_sample_rate=8000)"
    text = "from pipecat.transports.base_transport import TransportParams\n" + STOCK.replace(
        '"webrtc": object', f"{others}: {entry}"
    )
    assert (await run(write(text))).params == TransportParams(audio_out_sample_rate=8000)


@pytest.mark.parametrize(
    "head",
    [
        "# not a BotSession\n",
        "'BotSession'\n",
        "from voxwire_server import BotSession\ndef helper(session: BotSession): pass\n",
    ],
)
async def test_what_a_file_for_the_runner_says_of_ours_changes_nothing(
    head: str, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(utils, "create_transport", stock_create_transport)
    entry = '"webrtc": lambda: TransportParams(audio_out_sample_rate=8000)'
    text = "from pipecat.transports.base_transport import TransportParams\n" + STOCK.replace(
        '"webrtc": object', entry
    )
    assert (await run(write(head + text))).params == TransportParams(audio_out_sample_rate=8000)


def test_a_file_of_ours_leaves_pipecat_s_runner_alone(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(utils, "create_transport", stock_create_transport)
    load_bot(write("async def bot(session: 'voxwire_server.BotSession'): pass\n"))
    assert utils.create_transport is stock_create_transport


async def test_a_transport_of_the_connection_takes_names_as_the_stock_one_does(
    write: Write,
) -> None:
    text = (
        "from pipecat.transports.base_transport import TransportParams\n"
        "from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport\n"
        "async def bot(runner_args):\n"
        "    params = TransportParams(audio_out_sample_rate=8000)\n"
        "    SmallWebRTCTransport(runner_args.webrtc_connection, params, 'in', 'out')\n"
    )
    assert (await run(write(text))).params == TransportParams(audio_out_sample_rate=8000)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ('{"daily": object, "twilio": object}', "has 'daily', 'twilio', and no entry"),
        ("{}", 'has nothing, and no entry that this server serves: add "webrtc": lambda'),
    ],
)
async def test_a_bot_with_no_entry_that_fits_says_so(entries: str, said: str, write: Write) -> None:
    text = STOCK.replace('{"daily": object, "twilio": object, "webrtc": object}', entries)
    with pytest.raises(NotConfiguredError, match=said):
        await run(write(text))


async def test_a_key_that_is_missed_in_a_session_is_said_in_a_sentence(write: Write) -> None:
    text = "import os\nasync def bot(runner_args): os.environ['NO_SUCH_KEY']\n"
    with pytest.raises(NotConfiguredError, match=r"mybot.py needs NO_SUCH_KEY: set it"):
        await run(write(text))


async def test_the_arguments_are_those_of_pipecat_s_runner(write: Write) -> None:
    text = "async def bot(runner_args): SEEN.append(runner_args)\nSEEN = []\n"
    await run(write(text))
    [arguments] = sys.modules["voxwire_bot_mybot"].SEEN
    assert (arguments.body, arguments.session_id) == ({"name": "Ann"}, "s1")
    assert (arguments.handle_sigint, arguments.handle_sigterm) == (False, False)
    assert arguments.pipeline_idle_timeout_secs is None
    assert arguments.webrtc_connection.pc_id == "s1"
    assert arguments.session.id == "s1"


@pytest.mark.parametrize("kind", ["WorkerRunner", "PipelineRunner"])
async def test_the_signals_stay_the_server_s_however_many_bots_start_together(
    kind: str, write: Write
) -> None:
    text = (
        "import asyncio\n"
        "from pipecat.pipeline.runner import PipelineRunner, WorkerRunner\n"
        "READY = asyncio.Queue()\n"
        "async def bot(runner_args):\n"
        f"    runner = {kind}(handle_sigint=True, handle_sigterm=True)\n"
        "    @runner.event_handler('on_ready')\n"
        "    async def on_ready(runner):\n"
        "        READY.put_nowait(runner)\n"
        "    await runner.run(auto_end=False)\n"
    )
    loop, bot, told = asyncio.get_running_loop(), load_bot(write(text)), asyncio.Event()
    terminate = signal.getsignal(signal.SIGTERM)
    loop.add_signal_handler(signal.SIGINT, told.set)  # of a program that embeds the server
    try:
        bots = [asyncio.ensure_future(bot.run(any_session())) for _ in range(2)]
        async with asyncio.timeout(DEADLINE_S):
            ready = sys.modules["voxwire_bot_mybot"].READY
            runners = [await ready.get() for _ in bots]
            signal.raise_signal(signal.SIGINT)
            telling = asyncio.ensure_future(told.wait())
            await asyncio.wait([telling, *bots], return_when=asyncio.FIRST_COMPLETED)
            assert told.is_set()
            assert signal.getsignal(signal.SIGTERM) is terminate
            for runner in runners:
                await runner.cancel()
            await asyncio.gather(*bots)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def test_other_arguments_go_where_pipecat_sends_them() -> None:
    runner_file.install("")
    from pipecat.runner.types import RunnerArguments
    from pipecat.runner.utils import create_transport

    with pytest.raises(ValueError, match="Unsupported runner arguments type"):
        await create_transport(RunnerArguments(), {})


def test_the_command_says_it_in_one_line(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", write("async def bot(): pass"), "--port", "0"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("voxwire-server: 'bot' of mybot.py is called with one argument")


def test_the_help_names_both_kinds_of_file(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["run", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "async def bot(session)" in text
    assert "async def bot(runner_args)" in text


SAYS_ALL = """
ACCEPTS = ["image/*"]
EXAMPLES = ["hello"]
WAITS = False
CAPS = {"turns": 500, "llm_tokens": 200_000}

async def bot(session): pass
"""


def test_what_stands_beside_the_function_is_what_the_bot_says_of_itself(write: Write) -> None:
    bot = load_bot(write(SAYS_ALL))
    assert (bot.accepts, bot.examples) == (("image/*",), ("hello",))
    assert (bot.waits, bot.caps) == (False, {"turns": 500, "llm_tokens": 200_000})
    assert Bots([bot]).all == [bot]
    silent = load_bot(write("async def bot(session): pass"))
    assert (silent.accepts, silent.examples, silent.waits, silent.caps) == (None, (), None, {})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("WAITS = 1", "whether clients of mybot wait for a place is True or False"),
        ("WAITS = 'no'", "is True or False"),
        ("CAPS = 'turns=500'", 'the caps of mybot: write it as {"seconds": 3600'),
        ("CAPS = {'words': 5}", "seconds, turns, llm_tokens, tts_characters"),
        ("CAPS = {'turns': 0}", "the caps of mybot: turns is 1 to"),
    ],
)
def test_a_bot_that_says_what_cannot_be_is_not_served(line: str, said: str, write: Write) -> None:
    bot = load_bot(write(f"{line}\nasync def bot(session): pass"))
    with pytest.raises(BotsError, match=re.escape(said)):
        Bots([bot])
