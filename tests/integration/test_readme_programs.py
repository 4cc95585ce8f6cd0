"""The programs of the READMEs run as they are written; those that talk, to the bot of README.md.

Only the address is another: 127.0.0.1:7860 (or https://bot.example) is where this test's server
listens. Those in a page are run by clients/js/test/browser/talk-readmes.test.ts, and checked for
their types here.
"""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

import voxwire
from tests.support.programs import ADDRESS, Ended, furnish, run, serving
from tests.support.readmes import Fence, fences
from tests.support.tarballs import MODULES, FreshApp, needs_node

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "an operator's secret of more than 32 characters"
QUESTION = "what is the weather in paris"
PAGES = Path(__file__).resolve().parents[2] / "clients/js/test/browser/talk-readmes.test.ts"
PROGRAMS = {fence.name: fence for fence in fences() if fence.runner is not None}
BOT = "README.md, Write a bot, python"
EXPECTED = {
    "README.md, Talk to it from your program, python": (
        f"you: {QUESTION}", "[get_weather]", "In Paris it is sunny today, with a high of 22",
    ),
    "README.md, Talk to it from your program, sh": (
        f"you: {QUESTION}", "[get_weather", "bot: In Paris it is sunny today, with a high of 22",
    ),
    "README.md, Running it, sh": ('"token":',),
    "clients/python/README.md, voxwire, python": (
        "SessionStarted(", f"text='{QUESTION}'", "UtteranceEnded(",
    ),
    "clients/python/README.md, A session, python": (
        "heard: ", "user: tell me a joke", "bot: ",
    ),
    "clients/python/README.md, Without async, python": ("user: what time is it", "bot: "),
    "clients/python/README.md, Files, python": (
        "the bot takes FileAcceptance(", "I got list.txt, a text of 14 bytes.",
    ),
    "clients/js/packages/client/README.md, Node, ts": (
        f"you: {QUESTION}", "In Paris it is sunny today, with a high of 22",
    ),
    "clients/js/packages/protocol/README.md, @voxwire/protocol, ts": ("the server got: Hello",),
}  # fmt: skip
WRITTEN = {
    "README.md, Talk to it from your program, python": ("answer.wav",),
    "README.md, Talk to it from your program, sh": ("bot.wav", "events.jsonl"),
    "clients/python/README.md, voxwire, python": ("bot.wav",),
    "clients/js/packages/client/README.md, Node, ts": ("answer.wav",),
}
TSCONFIG = {
    "compilerOptions": {
        "strict": True, "noUnusedLocals": True, "target": "ES2022", "module": "ESNext",
        "moduleResolution": "Bundler", "moduleDetection": "force", "jsx": "react-jsx",
        "lib": ["ES2022", "DOM", "DOM.Iterable"], "types": ["node"], "noEmit": True,
        "skipLibCheck": False,
    },
    "include": ["programs"],
}  # fmt: skip


async def test_every_program_is_run_by_one_of_the_runners() -> None:
    here = {name for name, fence in PROGRAMS.items() if fence.runner != "a page"}
    assert here == {*EXPECTED, BOT}
    in_pages = PAGES.read_text("utf-8")  # it has the list of its programs by README and language
    for fence in fences():
        if fence.runner == "a page":
            assert f'"{fence.path} {fence.language}"' in in_pages
        elif fence.runner is not None:
            assert PROGRAMS[fence.name] == fence, f"{fence.name}: two with one name"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The README's bot, which everything here talks to."""
    folder = tmp_path_factory.mktemp("bot")
    (folder / "bot.py").write_text(PROGRAMS[BOT].text, "utf-8")
    fields = {"VOXWIRE_KEY": KEY, "VOXWIRE_ACCEPTS": "text/plain"}
    async with serving(("python", "bot.py"), folder, **fields) as url:
        yield url


async def run_program(fence: Fence, folder: Path, url: str, app: FreshApp | None) -> Ended:
    """Runs one in a folder that looks like a clone, and in Node like an app as well."""
    text = with_address(fence.text, url)
    match fence.language:
        case "python":
            (folder / "program.py").write_text(text, "utf-8")
            command: tuple[str | Path, ...] = (".venv/bin/python", "program.py")
        case "sh":
            command = ("bash", "-ec", text)
        case _:
            assert app is not None
            (folder / "node_modules").symlink_to(app.folder / "node_modules")
            (folder / "program.ts").write_text(text, "utf-8")
            strip = (MODULES / ".bin/esbuild", "program.ts", "--outfile=program.mjs")
            assert (await run(strip, folder)).status == 0
            command = ("node", "program.mjs")
    return await run(command, folder, VOXWIRE_KEY=KEY)


def with_address(text: str, url: str) -> str:
    host = url.removeprefix("ws://")
    return text.replace(ADDRESS, host).replace("https://bot.example", f"http://{host}")


@pytest.mark.parametrize("name", EXPECTED)
async def test_a_program_does_what_its_readme_says(
    name: str, url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if in_node := PROGRAMS[name].runner == "Node":
        request.applymarker(needs_node)
    app = request.getfixturevalue("npm_app") if in_node else None
    ended = await run_program(PROGRAMS[name], furnish(tmp_path / "clone"), url, app)
    assert ended.status == 0, ended.err
    at = 0
    for expected in EXPECTED[name]:
        found = ended.out.find(expected, at)
        assert found >= 0, f"{expected!r} is not in {ended.out!r} {ended.err}"
        at = found
    for file in WRITTEN.get(name, ()):
        assert (tmp_path / "clone" / file).stat().st_size > 1000


async def test_the_bot_of_the_readme_is_run_by_the_command_as_well(tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text(PROGRAMS[BOT].text, "utf-8")
    async with serving(("voxwire-server", "run", "bot.py"), tmp_path) as url:
        async with voxwire.connect(url, transport="websocket") as session:
            assert (await session.wait_for(voxwire.SessionStarted)).bot == "bot"
            await session.send_text(QUESTION)
            words: list[str] = []
            while not words or words[-1] != "22":
                words.append((await session.wait_for(voxwire.BotWord)).text)
    assert " ".join(words).endswith("sunny today, with a high of 22")


@needs_node
async def test_the_programs_in_typescript_have_no_type_errors(npm_app: FreshApp) -> None:
    (npm_app.folder / "node_modules/@types").symlink_to(MODULES / "@types")
    folder = npm_app.folder / "programs"
    folder.mkdir()
    for at, fence in enumerate(typescript()):
        (folder / f"p{at}.{fence.language}").write_text(f"// {fence.name}\n{fence.text}", "utf-8")
    (npm_app.folder / "tsconfig.json").write_text(json.dumps(TSCONFIG))
    npm_app.checked(MODULES / ".bin/tsc", "-p", "tsconfig.json")


def typescript() -> Iterator[Fence]:
    return (f for f in fences() if f.runner is not None and f.language in ("ts", "tsx"))
