"""The pytest plugin of `voxwire`: the fixture ``voice_session``.

It stands beside the package, so that pytest, which imports every plugin that is installed, does
not import the client where no test asks for it.
"""

import functools
import inspect
import re
from collections.abc import Awaitable, Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from voxwire.testing.voice import AsyncVoiceSession, VoiceSession
    from voxwire.testing.voice.bot_files import BotFiles
    from voxwire.testing.voice.bots import VoiceBot

_VOICE: "pytest.StashKey[VoiceSession | AsyncVoiceSession]" = pytest.StashKey()
_FOLDER: "pytest.StashKey[Path]" = pytest.StashKey()
_FILES: "pytest.StashKey[BotFiles]" = pytest.StashKey()

_NO_BOT = (
    "who answers? @pytest.mark.voxwire(bot=BOT), --voxwire-bot, the ini option voxwire_bot, or a"
    " fixture voxwire_bot: a script (async def bot(session: FakeSession)), a URL, or a bot's file"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds what the fixture is told."""
    group = parser.getgroup("voxwire", "conversations with voice bots (voice_session)")
    group.addoption(
        "--voxwire-bot",
        metavar="URL|FILE",
        help="who answers in place of the tests' own bots: a server (ws://host:port), a bot's file"
        " that voxwire-server runs, 'offline', or a recording (.voxrec)",
    )
    group.addoption(
        "--voxwire-pictures",
        metavar="DIR",
        help="where the pictures of failed conversations go (default: beside the JUnit XML, else"
        " pytest's temporary folder)",
    )
    group.addoption(
        "--voxwire-record",
        metavar="DIR",
        help="records what the bots say, a file for each test, to be gone through by"
        " --voxwire-replay",
    )
    group.addoption(
        "--voxwire-replay",
        metavar="DIR",
        help="the recordings answer in place of the bots, without a network and in no time",
    )
    parser.addini("voxwire_bot", "who answers where a test does not say: see --voxwire-bot")
    parser.addini("voxwire_within_ms", "how long an expectation waits", default="10000")


def pytest_configure(config: pytest.Config) -> None:
    """Names the mark."""
    config.addinivalue_line(
        "markers",
        "voxwire(bot=None, **options): who answers in voice_session, and options of connect",
    )


def pytest_unconfigure(config: pytest.Config) -> None:
    """Ends the servers of bots' files."""
    if (files := config.stash.get(_FILES, None)) is not None:
        files.close()


@pytest.fixture
def voxwire_bot(request: pytest.FixtureRequest) -> "VoiceBot":
    """Who answers in ``voice_session``: the command line, the mark or the ini file say.

    Override it where only a fixture knows.
    """
    config = request.config
    if (replay := config.getoption("--voxwire-replay")) is not None:
        path = _recording(request.node, replay)
        if not path.exists():
            raise pytest.UsageError(f"nothing was recorded at {path}: --voxwire-record does")
        return path
    if given := config.getoption("--voxwire-bot"):
        return _placed(given, config.invocation_params.dir)
    for mark in request.node.iter_markers("voxwire"):
        if "bot" in mark.kwargs:
            return _placed(mark.kwargs["bot"], request.path.parent)
    if written := config.getini("voxwire_bot"):
        return _placed(written, config.rootpath)
    raise pytest.UsageError(_NO_BOT)


@pytest.fixture
def voxwire_options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Arguments of `voxwire.connect` for ``voice_session``: those of the marks.

    Override it for tools, tokens and the like that only a fixture knows, and for `bot`, the name of
    one among several.
    """
    options: dict[str, Any] = {}
    for mark in request.node.iter_markers("voxwire"):
        options = {**mark.kwargs, **options}
    options.pop("bot", None)
    return options


@pytest.fixture
def voice_session(
    request: pytest.FixtureRequest,
    voxwire_bot: "VoiceBot",
    voxwire_options: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> "Generator[VoiceSession | AsyncVoiceSession]":
    """A conversation with a bot: `voxwire.testing.VoiceSession`.

    An async test gets an `AsyncVoiceSession`.
    """
    from voxwire.testing.voice import AsyncVoiceSession, VoiceSession

    bot, item = _served(voxwire_bot, request.config), request.node
    item.stash[_FOLDER] = tmp_path_factory.getbasetemp()
    more: dict[str, Any] = {
        "within_ms": int(request.config.getini("voxwire_within_ms")),
        "options": voxwire_options,
    }
    if (folder := request.config.getoption("--voxwire-record")) is not None:
        more["recording"] = _recording(item, folder)
        more["recording"].parent.mkdir(parents=True, exist_ok=True)
    if inspect.iscoroutinefunction(inspect.unwrap(item.obj)):
        voice = AsyncVoiceSession(bot, **more)
        item.stash[_VOICE] = voice
        if inspect.iscoroutinefunction(item.obj):
            item.obj = _within(voice, item.obj)
        yield voice
        return
    plain = VoiceSession(bot, **more)
    item.stash[_VOICE] = plain
    try:
        plain.open()
        yield plain
    finally:
        plain.close()


def _within(
    voice: "AsyncVoiceSession", test: Callable[..., Awaitable[None]]
) -> Callable[..., Awaitable[None]]:
    """The test, with the session open, in whosever loop it runs."""

    @functools.wraps(test)
    async def run(*args: Any, **kwargs: Any) -> None:
        __tracebackhide__ = True
        async with voice:
            await test(*args, **kwargs)

    return run


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs an async test with ``voice_session`` where no other plugin does."""
    __tracebackhide__ = True
    voice: Any = pyfuncitem.stash.get(_VOICE, None)
    if voice is None or not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    test = pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names})
    if voice.in_memory:
        from voxwire.testing import VirtualTime

        VirtualTime().run(test)
    else:
        import asyncio

        asyncio.run(test)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: "pytest.CallInfo[None]"
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A conversation that failed is shown: as text, and as a picture that JUnit's XML names."""
    report = yield
    voice = item.stash.get(_VOICE, None)
    if voice is None or call.when != "call" or not report.failed:
        return report
    text = str(voice.conversation) or "nothing was said"
    item.user_properties.append(("voxwire_conversation", text))
    path = _picture_path(item)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(voice.picture(item.nodeid), "utf-8")
    except OSError as error:
        text += f"\nno picture: {error}"
    else:
        item.user_properties.append(("voxwire_picture", _named(path, item.config)))
        text += f"\npicture: {path}"
    report.sections.append(("conversation", text))
    return report


def _file_name(item: pytest.Item) -> str:
    """A test's name as that of a file, without an end."""
    return re.sub(r"[^\w.\[\]-]+", "-", item.nodeid.replace("::", "."))[-200:]


def _recording(item: pytest.Item, folder: str) -> Path:
    return item.config.invocation_params.dir / folder / f"{_file_name(item)}.voxrec"


def _picture_path(item: pytest.Item) -> Path:
    config = item.config
    name = f"{_file_name(item)}.svg"
    if given := config.getoption("--voxwire-pictures"):
        return config.invocation_params.dir / given / name
    if xml := _junit_xml(config):
        return xml.parent / "voxwire-pictures" / name
    return item.stash[_FOLDER] / "voxwire-pictures" / name


def _junit_xml(config: pytest.Config) -> Path | None:
    given = config.getoption("xmlpath", None)
    return config.invocation_params.dir / given if given else None


def _named(path: Path, config: pytest.Config) -> str:
    """A picture as the XML names it: from where that is, if it is beside it."""
    xml = _junit_xml(config)
    beside = xml is not None and path.is_relative_to(xml.parent)
    return path.relative_to(xml.parent).as_posix() if xml and beside else str(path)


def _placed(bot: Any, folder: Path) -> Any:
    """A bot's file or a recording, from where it is named."""
    if callable(bot) or not str(bot).endswith((".py", ".voxrec")):
        return bot
    return folder / bot


def _served(bot: Any, config: pytest.Config) -> Any:
    """The bot; of a file and of a built-in one the address of a server that runs it."""
    if callable(bot) or str(bot).endswith(".voxrec") or "://" in str(bot):
        return bot
    from voxwire.testing.voice.bot_files import BotFiles

    if _FILES not in config.stash:
        config.stash[_FILES] = BotFiles()
    return config.stash[_FILES].url_of(str(bot))
