"""Pipecat's own command line and runner, in ``.venv-pipecat``."""

import ast
import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.support.programs import ROOT, environment, run
from tests.support.waiting import DEADLINE_S, until

__all__ = ["OURS", "generated", "needs_pipecat_tools", "served_by_pipecat", "with_services"]

_PYTHON: Final = ROOT / ".venv-pipecat" / "bin" / "python"
needs_pipecat_tools = pytest.mark.skipif(
    not _PYTHON.exists(), reason="no .venv-pipecat: make test makes it"
)
_SERVICES: Final = "pipecat.services."
OURS: Final = {
    "STTService": "from voxwire_server.bots.offline.stt import SphinxSTTService as STTService",
    "LLMService": "from voxwire_server.bots.offline.agent import ConciergeLLMService as LLMService",
    "TTSService": "from voxwire_server.bots.offline.tts import HibariTTSService as TTSService",
}
"""What takes the place of a provider's service, by how the name of its class ends."""


async def generated(folder: Path, name: str, *options: str) -> Path:
    """Have ``pipecat init NAME`` write a bot for a page.

    Args:
        folder: Where.
        name: Of the bot.
        *options: Of ``pipecat init``: the mode and its services.

    Returns:
        The bot's file.
    """
    fixed = ("--bot-type", "web", "--client-framework", "none", "--no-deploy-to-cloud")
    module = "pipecat.cli.main"
    ended = await run((_PYTHON, "-m", module, "init", name, *fixed, *options), folder)
    assert ended.status == 0, ended.out + ended.err
    return folder / name / "server" / "bot.py"


@asynccontextmanager
async def served_by_pipecat(command: Sequence[str], folder: Path) -> AsyncIterator[str]:
    """Run a bot by Pipecat's runner until the block ends.

    Args:
        command: Of a shell, the last word a line to which the runner's options are added;
            ``python`` in it is that of Pipecat's tools.
        folder: Where.

    Yields:
        The server's URL.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:  # the runner does not tell its port
        port = free.getsockname()[1]
    *shell, line = command
    process = await asyncio.create_subprocess_exec(
        *shell,
        f"{line.strip()} --host 127.0.0.1 --port {port}",
        cwd=folder,
        env=environment(PATH=f"{_PYTHON.parent}:{environment()['PATH']}"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await until(lambda: process.returncode is not None or _listens(port))
        assert process.returncode is None
        yield f"ws://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            async with asyncio.timeout(DEADLINE_S):
                await process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


def with_services(source: str) -> str:
    """A bot's source with services that need no provider; all the rest is as it was written.

    Every name that is imported from ``pipecat.services`` and made an object of is one of
    :data:`OURS`, made without arguments.
    """
    tree = ast.parse(source)
    lines = source.splitlines(keepends=True)
    names: dict[str, str] = {}
    cuts: list[tuple[ast.stmt | ast.expr, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith(_SERVICES):
            [imported] = node.names
            [kind] = [kind for kind in OURS if imported.name.endswith(kind)]
            names[imported.name] = kind
            cuts.append((node, OURS[kind]))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in names:
            cuts.append((node, f"{names[ast.unparse(node.func)]}()"))
    for node, text in sorted(cuts, key=lambda cut: cut[0].lineno, reverse=True):
        first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
        head = lines[first].encode()[: node.col_offset].decode()
        tail = lines[last].encode()[node.end_col_offset :].decode()
        lines[first : last + 1] = [head + text + tail]
    return "".join(lines)
