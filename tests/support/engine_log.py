"""What an engine of a test was asked: its own log, which then holds every command."""

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import redis

__all__ = ["LOGS_ALL", "runs_of"]

LOGS_ALL: Final = ("--slowlog-log-slower-than", "0", "--slowlog-max-len", "200000")
"""On the command line of a Redis server: nothing is too quick to be logged."""


def runs_of(url: str, script: str) -> list[Sequence[bytes]]:
    """With which keys and arguments a script was run, the last one first.

    What is longer than 128 bytes is cut by the server, which says so behind it.

    Args:
        url: Of a server that was started with ``LOGS_ALL``.
        script: Its text.
    """
    digest = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest().encode()
    client: Any = redis.Redis.from_url(url)
    try:
        commands = [it[3] for it in client.execute_command("SLOWLOG", "GET", "-1")]
    finally:
        client.close()
    # a command, the script, how many keys there are, the keys and the arguments
    return [it[3:] for it in commands if it[0].upper() == b"EVALSHA" and it[1] == digest]
