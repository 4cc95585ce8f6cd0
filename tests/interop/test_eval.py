"""``voxwire eval`` with Pipecat's scenario files against the real server."""

import asyncio
import json
import sys
from pathlib import Path

from tests.integration.test_stock_sockets import HOUSE
from tests.support.eval_server import bots
from tests.support.evals import MISSES, SCENARIOS, check, commands, read_case, run_all
from tests.support.waiting import PATIENT, until
from voxwire_server.testing import running_server

SPOKEN = Path(__file__).parent / "spoken.yaml"


async def eval_apart(*arguments: str) -> tuple[int, str, str]:
    """Run the program in a process of its own: exit code, standard output, standard error."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "voxwire.cli", "eval", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_the_eight_scenarios_pass_over_a_socket_and_each_finds_its_fault(
    tmp_path: Path,
) -> None:
    assert {path.stem for path in SCENARIOS} == set(MISSES)
    async with running_server(bots(), max_sessions=32, **PATIENT) as server:
        asked = commands(tmp_path, "--url", server.url, "--transport", "websocket")
        codes = await asyncio.to_thread(run_all, list(asked.values()))
        await until(lambda: len(server.registry) == 0)
    check(tmp_path, dict(zip(asked, codes, strict=True)))


async def test_a_user_who_speaks_hears_the_bot_and_cuts_it_off(tmp_path: Path) -> None:
    """Both audio modalities: what a voice says is understood, and what the bot says is heard."""
    report = tmp_path / "report.xml"
    # a socket: sound that a busy machine sends late is all there
    options = ["--transport", "websocket", "--junit", str(report), "--verbose"]
    async with running_server(HOUSE, **PATIENT) as server:
        code, out, err = await eval_apart(str(SPOKEN), "--url", server.url, *options)
    assert code == 0, out + err
    assert read_case(report).turns == ("passed", "passed", "passed")
    assert "the user speaks with the voice of --voice, not with 'kokoro'" in err
    assert "nothing is transcribed" in err


async def test_a_judge_decides_what_only_a_judge_can(tmp_path: Path) -> None:
    path = tmp_path / "judged.yaml"
    path.write_text(
        "name: judged\njudge: {eval: {strict: true}}\nscenarios:\n- name: one\n  turns:\n"
        "  - user: my name is Emma\n    expect:\n"
        "    - {event: llm_response, eval: greets Emma by name}\n"
    )
    (tmp_path / "judges.py").write_text(
        "import json, pathlib\n"
        "async def judge(messages, criterion, config):\n"
        "    path = pathlib.Path(__file__).with_name('asked.json')\n"
        "    path.write_text(json.dumps([messages, criterion, config]))\n"
        "    said = messages[-1]['content']\n"
        "    return ('yes', 'it does') if 'Nice to meet you, Emma' in said else 'continue'\n"
    )
    async with running_server(bots(), **PATIENT) as server:
        options = [str(path), "--url", server.url, "--transport", "websocket", "--bot", "memory"]
        code, out, _ = await eval_apart(*options)
        assert code == 3
        assert "NOT RUN: needs a judge for 'eval': name one with --judge" in out
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "voxwire.cli", "eval", *options, "--judge", "judges:judge"),
            cwd=tmp_path,
        )
        assert await process.wait() == 0
    messages, criterion, config = json.loads((tmp_path / "asked.json").read_text())
    assert messages[0] == {"role": "user", "content": "my name is Emma"}
    assert (criterion, config) == ("greets Emma by name", {"strict": True})
