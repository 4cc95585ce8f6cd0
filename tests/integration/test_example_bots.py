"""Every example is started for real: bots by Python and by `voxwire-server run`, clients by Python.

Where a provider's key is needed, an example runs to the error that names it, and, where there is a
peer in its place (tests/support), to a spoken answer. Their READMEs' commands: the installation is
looked at, the rest is what runs here.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from numpy.typing import NDArray

import voxwire
from tests.support.gemini_live_peer import running_peer
from tests.support.openai_realtime_peer import running_openai_peer
from tests.support.programs import ADDRESS, furnish, run, serving
from tests.support.readmes import fences

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
WAYS = {"python": ("python",), "voxwire-server run": ("voxwire-server", "run")}
KEYS = {
    "gemini-live": "There is no GOOGLE_API_KEY",
    "openai-realtime": "set OPENAI_API_KEY in the environment",
    "nova-sonic": "set AWS_ACCESS_KEY_ID in the environment",
}
CLIENTS: dict[str, tuple[str, ...]] = {
    "client/listen.py": ("[get_time]", "It is"),
    "client/drop.py": ("[reconnecting]", "[connected]", "story."),
    "client/tour.py": (
        "rtt: ok",
        "offline over ",
        "UNSUPPORTED: change the call",
        "tool_call_ended: show_on_map: ",
        "connection_changed: connected",
        "utterance_ended: all words heard",
        " words, ",
        "bot: (show_on_map: done) ",
        "p50 ",
    ),
    "tools/show_on_map.py": ("[show_on_map]", "[map] Paris", "[done]", "map"),
}
pytestmark = pytest.mark.asyncio(loop_scope="module")
both_ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)

NO_SDK = """
import runpy, sys, types
module = types.ModuleType("pipecat.services.aws.nova_sonic.llm")
module.AWSNovaSonicLLMService = object
sys.modules[module.__name__] = module
runpy.run_path(sys.argv[1], run_name="__main__")
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def offline_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """What `make run` starts."""
    async with serving(("voxwire-server", "run"), tmp_path_factory.mktemp("offline")) as url:
        yield url


@both_ways
async def test_the_echo_says_what_it_hears(way: tuple[str, ...], tmp_path: Path) -> None:
    microphone = voxwire.ClipMicrophone()
    beep = (8000 * np.sin(np.arange(32_000) * 0.2)).astype(np.int16)
    heard = asyncio.Event()

    def listen(samples: NDArray[np.int16], _: int) -> None:
        if np.abs(samples.astype(np.int32)).max() > 4000:
            heard.set()

    async with serving((*way, EXAMPLES / "echo/bot.py"), tmp_path) as url:
        async with voxwire.connect(
            url, microphone=microphone, speaker=listen, transport="websocket"
        ):
            microphone.play(beep)
            async with asyncio.timeout(60):
                await heard.wait()


@both_ways
@pytest.mark.parametrize("name", KEYS)
async def test_a_bot_without_its_key_says_which(
    name: str, way: tuple[str, ...], tmp_path: Path
) -> None:
    bot = tmp_path / "bot.py"  # beside it no .env of somebody's
    shutil.copy(EXAMPLES / name / "bot.py", bot)
    if name == "nova-sonic":  # Amazon's SDK is not here on Python 3.11
        way = ("python", "-c", NO_SDK)
    ended = await run((*way, bot), tmp_path, VOXWIRE_PORT="0")
    assert ended.status == 1
    assert KEYS[name] in ended.err
    assert "Traceback" not in ended.err


async def answers(way: tuple[str, ...], folder: Path, env: dict[str, str]) -> str:
    """What a bot says first, played to its end."""
    command = way if way[0] == "bash" else (*way, "bot.py")
    async with serving(command, folder, **env) as url:
        async with voxwire.connect(url, transport="websocket") as session:
            words: list[str] = []
            async for event in session:
                match event:
                    case voxwire.BotWord(text=text):
                        words.append(text)
                    case voxwire.UtteranceEnded():
                        break
                    case _:
                        pass
    return " ".join(words)


def commands(name: str) -> tuple[str, str]:
    """An example's README in the shell: what installs, and the rest."""
    [fence] = [fence for fence in fences() if fence.path == f"examples/{name}/README.md"]
    install, _, rest = fence.text.partition("\n")
    assert install.startswith("pip install ")  # its paths: test_named_things.py
    return install, rest.replace("voxwire-server run", "exec voxwire-server run")


@pytest.mark.parametrize("way", ["python", "the README"])
async def test_the_openai_bot_speaks_with_the_peer(way: str, tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "openai-realtime/bot.py", tmp_path)
    shell = ("bash", "-ec", commands("openai-realtime")[1])
    async with running_openai_peer(rate=220) as peer:
        said = await answers(WAYS.get(way, shell), tmp_path, peer.env)
        assert peer.received[-1].key == ("your-key" if way == "the README" else "local-peer-key")
        assert said == peer.received[-1].spoken[-1].text
        assert {tool["name"] for tool in peer.received[-1].sessions[-1]["tools"]} == {"get_weather"}


async def test_the_gemini_bot_speaks_with_the_peer_when_python_runs_it(tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "gemini-live/bot.py", tmp_path)
    async with running_peer(rate=220) as peer:
        assert await answers(WAYS["python"], tmp_path, peer.env) == peer.spoken[-1].text


async def test_the_nova_bot_starts_as_its_readme_says_or_says_what_is_missing(
    tmp_path: Path,
) -> None:
    shutil.copy(EXAMPLES / "nova-sonic/bot.py", tmp_path)
    shell = ("bash", "-ec", commands("nova-sonic")[1])
    if find_spec("aws_sdk_bedrock_runtime") is not None:
        async with serving(shell, tmp_path):
            return
    ended = await run(shell, tmp_path, VOXWIRE_PORT="0")
    assert ended.status == 1
    assert "Amazon's SDK is missing: the first line of README.md" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("name", CLIENTS)
async def test_a_client_does_what_its_docstring_says(
    name: str, offline_url: str, tmp_path: Path
) -> None:
    text = (EXAMPLES / name).read_text("utf-8")
    assert ADDRESS in text
    program = furnish(tmp_path / "clone") / "program.py"
    program.write_text(text.replace(ADDRESS, offline_url.removeprefix("ws://")), "utf-8")
    ended = await run((".venv/bin/python", "program.py"), program.parent)
    assert ended.status == 0, ended.err
    at = 0
    for expected in CLIENTS[name]:
        found = ended.out.find(expected, at)
        assert found >= 0, f"{expected!r} is not in {ended.out!r}"
        at = found
