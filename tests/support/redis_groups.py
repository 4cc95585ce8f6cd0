"""Groups of Redis servers of a test's own: a trio with Sentinels, and a cluster of three."""

import contextlib
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import redis

__all__ = ["Node", "Trio", "cluster", "trio"]

_STARTS_S: Final = 20.0
_MASTER: Final = "voxwire"
_SLOTS: Final = 16_384


class Node:
    """A Redis server on a port of this machine, with nothing on disk but its configuration.

    Attributes:
        port: Where it listens.
    """

    def __init__(self, folder: Path, *settings: str, sentinel: bool = False) -> None:
        self.port = _free_port()
        own = folder / str(self.port)
        own.mkdir()
        config = own / "redis.conf"
        lines = [f"port {self.port}", "bind 127.0.0.1", f"dir {own}", "loglevel warning", *settings]
        config.write_text("\n".join(lines) + "\n")
        mode = ["--sentinel"] if sentinel else ["--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            ["redis-server", str(config), *mode], stdout=subprocess.DEVNULL
        )
        self.client: Any = redis.Redis(port=self.port, socket_timeout=5)
        _until(lambda: self.client.ping())

    def kill(self) -> None:
        """Kill it; idempotent."""
        self.client.close()
        self._process.kill()
        self._process.wait()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _until(true: Any) -> None:
    """Wait until something holds."""
    until_s = time.monotonic() + _STARTS_S
    while time.monotonic() < until_s:
        with contextlib.suppress(redis.RedisError, OSError):
            if true():
                return
        time.sleep(0.05)
    raise RuntimeError("Redis servers do not come together")


class Trio:
    """A server, two that follow it, and three Sentinels that look after them.

    Attributes:
        url: For ``VOXWIRE_ENGINE``.
    """

    def __init__(self, servers: list[Node], sentinels: list[Node]) -> None:
        self._servers = servers
        self._sentinels = sentinels
        hosts = ",".join(f"127.0.0.1:{it.port}" for it in sentinels)
        self.url = f"redis+sentinel://{hosts}/{_MASTER}"

    @property
    def master(self) -> Node:
        """The one that is written to, as the Sentinels have it."""
        found = self._sentinels[0].client.execute_command(
            "SENTINEL", "GET-MASTER-ADDR-BY-NAME", _MASTER
        )
        return next(it for it in self._servers if it.port == int(found[1]))

    def ready(self) -> bool:
        """Whether each Sentinel knows the others, and the servers that follow."""
        states = [it.client.sentinel_master(_MASTER) for it in self._sentinels]
        return all(it["num-other-sentinels"] == 2 and it["num-slaves"] == 2 for it in states)


@contextmanager
def trio() -> Iterator[Trio]:
    """Run one."""
    with tempfile.TemporaryDirectory(prefix="vw-redis-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)

        def node(*settings: str, sentinel: bool = False) -> Node:
            made = Node(folder, *settings, sentinel=sentinel)
            stack.callback(made.kill)
            return made

        first = node()
        servers = [first, *(node(f"replicaof 127.0.0.1 {first.port}") for _ in range(2))]
        look = [
            f"sentinel monitor {_MASTER} 127.0.0.1 {first.port} 2",
            f"sentinel down-after-milliseconds {_MASTER} 1000",
            f"sentinel failover-timeout {_MASTER} 5000",
        ]
        made = Trio(servers, [node(*look, sentinel=True) for _ in range(3)])
        _until(made.ready)
        yield made


@contextmanager
def cluster() -> Iterator[str]:
    """Run three servers that share the keys; their URL for ``VOXWIRE_ENGINE``."""
    with tempfile.TemporaryDirectory(prefix="vw-redis-") as name, contextlib.ExitStack() as stack:
        nodes: list[Node] = []
        for number in range(3):
            bus = f"cluster-port {_free_port()}"
            node = Node(Path(name), "cluster-enabled yes", bus)
            stack.callback(node.kill)
            slots = _SLOTS * number // 3, _SLOTS * (number + 1) // 3 - 1
            node.client.execute_command("CLUSTER", "ADDSLOTSRANGE", *slots)
            node.client.execute_command("CONFIG", "SET", "cluster-node-timeout", 2000)
            nodes.append(node)
        for node in nodes[1:]:
            bus = int(node.client.config_get("cluster-port")["cluster-port"])
            nodes[0].client.execute_command("CLUSTER", "MEET", "127.0.0.1", node.port, bus)
        _until(lambda: all(_is_whole(node) for node in nodes))
        yield "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes)


def _is_whole(node: Node) -> bool:
    info = node.client.cluster("INFO")
    return info["cluster_state"] == "ok" and info["cluster_known_nodes"] == "3"
