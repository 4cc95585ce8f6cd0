"""A server in a process of its own whose every secret is known, and what it has told of them."""

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.canaries import traces_of

__all__ = ["ROOT", "SECRETS", "Service", "command", "environment", "service"]

ROOT = Path(__file__).resolve().parents[2]

SECRETS = {
    kind: f"CANARY-{number}5ec2e7-{kind.replace(' ', '-')}-of-32-characters-and-more"
    for number, kind in enumerate(
        (
            *("key", "signing key", "admin key", "turn secret", "openai key", "gemini key"),
            *("words", "bot words", "metadata"),
        ),
        10,
    )
} | {"ice password": "CANARY205ec2e7icepassword"}
"""What an operator sets and what people say; what a server makes is added by the tests."""


def environment(**more: str) -> dict[str, str]:
    """Of a process of the service, with all of its secrets."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith("VOXWIRE_")}
    keys = [{"kid": "a", "alg": "HS256", "secret": SECRETS["signing key"]}]
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join([str(ROOT), kept.get("PYTHONPATH", "")]),
        "VOXWIRE_KEY": SECRETS["key"],
        "VOXWIRE_KEYS": json.dumps(keys),
        "VOXWIRE_ADMIN_KEY": SECRETS["admin key"],
        "VOXWIRE_TURN_URLS": "turn:127.0.0.1:9",
        "VOXWIRE_TURN_SECRET": SECRETS["turn secret"],
        "OPENAI_API_KEY": SECRETS["openai key"],
        "GEMINI_API_KEY": SECRETS["gemini key"],
        "BOT_WORDS": SECRETS["bot words"],
        **more,
    }


async def command(*arguments: str, **more: str) -> str:
    """Run a command line in the environment of the service: all that it prints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *arguments),
        cwd=ROOT,
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert b"Traceback" not in said, said.decode()
    return said.decode()


@dataclass
class Service:
    """A server, and what was learnt of it.

    Attributes:
        port: Where it listens on 127.0.0.1.
        secrets: What nobody may be told, by kind.
        told: What was told, by where.
    """

    port: int
    secrets: dict[str, str] = field(default_factory=lambda: dict(SECRETS))
    told: dict[str, str] = field(default_factory=dict)

    def found(self) -> list[tuple[str, str, str]]:
        """Kind and place of every secret that was told, and its surroundings."""
        places = {where: text.replace("\\\\", "") for where, text in self.told.items()}
        return [
            (kind, where, text[max(0, text.index(trace) - 200) :][:500])
            for kind, secret in self.secrets.items()
            for trace in {secret, *traces_of(secret)}
            for where, text in places.items()
            if trace in text
        ]


@contextlib.asynccontextmanager
async def service(folder: Path, *options: str) -> AsyncIterator[Service]:
    """Run it until the block ends; then its output and its log files are in ``told``."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "voxwire_server.cli", "run", "tests/support/telling_bot.py"),
        *("--port", "0", "--log-level", "TRACE", *options),
        cwd=ROOT,
        env=environment(
            VOXWIRE_LOG_FILE=str(folder / "server.log"),
            VOXWIRE_LOG_FILE_MAX_BYTES="20000",
            VOXWIRE_LOG_FILE_COUNT="99",
            VOXWIRE_DRAIN_MS="0",
        ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=1 << 20,
    )
    assert process.stdout is not None
    first = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
    found = re.search(r":(\d+)$", first.strip())
    assert found, first
    made = Service(int(found[1]))
    rest = asyncio.create_task(process.stdout.read())
    try:
        yield made
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 60)
        made.told["output"] = first + (await rest).decode()
        for file in sorted(folder.glob("server.log*")):
            made.told[file.name] = file.read_text("utf-8")
