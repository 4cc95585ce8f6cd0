"""``voxwire-server`` behind the files of ``examples/self-host``, and callers elsewhere.

[caller] 198.51.100.20 -- .1 [host] 203.0.113.10. The files are the shipped ones; only the paths in
them are others. What the README does to them is taken from the README.
"""

import contextlib
import ctypes
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tests.support.front import Certificates, make_certificates
from tests.support.namespaces import ROOT, Network, network
from tests.support.self_host import CALLER, FOLDER, HOST, INSIDE, NAMES, fences_of_the_recipe
from voxwire_server.tokens import KeyRing, TokenIssuer

__all__ = ["WAYS", "Shipped", "shipped"]

KEY: Final = "an operator's secret of more than 32 characters"
PORT: Final = 7860
HOST_6: Final = "2001:db8::10"
WAYS: Final = ("direct", "caddy", "nginx", "caddy alone")
"""``caddy``: nginx shares out port 443, as the recipe has it; ``nginx``: it ends TLS, too; ``caddy
alone``: TURN has an address of its own."""
NETNS: Final = 0x40000000
"""CLONE_NEWNET."""
MODULE: Final = "/usr/lib/nginx/modules/ngx_stream_module.so"
NGINX: Final = """load_module {module};
user root;
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log stderr info;
events {{ worker_connections 4096; }}
{stream}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    {site}
}}
"""


class Shipped:
    """The server, what is in front of it, and the two places.

    Attributes:
        way: How the caller comes to the server, one of `WAYS`.
        url: For a client at the caller's.
        server: The process.
    """

    def __init__(self, net: Network, way: str, certificates: Certificates) -> None:
        self._net = net
        self._certificates = certificates
        self.way = way
        self.folder = net.folder
        self.url = f"ws://{HOST}:{PORT}" if way == "direct" else f"wss://{NAMES[0]}"
        self.server: subprocess.Popen[bytes]
        self._proxies: dict[str, subprocess.Popen[bytes]] = {}

    # what is run

    def start(self, **settings: str) -> None:
        """Start the server, then what is in front of it.

        Args:
            settings: ``VOXWIRE_*`` beside the shipped ones.
        """
        env = {"VOXWIRE_BOT": str(ROOT / "tests/support/click_bot.py"), "VOXWIRE_KEY": KEY}
        env["VOXWIRE_MAX_LAG_MS"] = "0"  # a busy machine refuses no session of a test
        shared = (FOLDER / "voxwire.env.example").read_text("utf-8")
        env = dict(re.findall(r"^(VOXWIRE_\w+)=(.*)$", self._here(shared), re.MULTILINE)) | env
        for name in ("TURN_URLS", "TURN_SECRET_FILE", "KEYS_FILE", "ADMIN_ADDRESS"):
            del env[f"VOXWIRE_{name}"]
        if self.way == "direct":
            for name in ("TRUSTED_PROXIES", "PUBLIC_URL"):
                del env[f"VOXWIRE_{name}"]
            env |= {"VOXWIRE_HOST": HOST, "VOXWIRE_PORT": str(PORT)}
        env |= settings
        command = (Path(sys.executable).parent / "voxwire-server", "run")
        env |= {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        said = ["-i", *(f"{name}={value}" for name, value in env.items())]
        self.server = self._net.start("host", "env", *said, *command, log="server.log")
        self._wait_until_ready()
        if self.way in ("caddy", "caddy alone"):
            config = self.folder / "Caddyfile"
            config.write_text(self._here(self._caddyfile()))
            run = ("caddy", "run", "--config", config)
            home = f"XDG_DATA_HOME={self.folder}/caddy"
            self._proxies["caddy"] = self._net.start("host", "env", home, *run, log="caddy.log")
            self._net.wait_for("caddy.log", "serving initial configuration", self._proxies["caddy"])
        if self.way in ("caddy", "nginx"):
            routes = (FOLDER / "voxwire-routes.service").read_text("utf-8")
            for command in re.findall(r"^ExecStart=-?(.+)$", routes, re.MULTILINE):
                self._net.run("host", *command.split(), timeout_s=30)
            config = self.folder / "nginx.conf"
            config.write_text(self._here(self._nginx_conf()))
            run = ("nginx", "-c", config)
            self._proxies["nginx"] = self._net.start("host", *run, log="nginx.log")
            self._net.wait_for("nginx.log", "start worker process ", self._proxies["nginx"])

    def _caddyfile(self) -> str:
        text = (FOLDER / "Caddyfile").read_text("utf-8")
        return _edited(text, "Caddyfile") if self.way == "caddy alone" else text

    def _nginx_conf(self) -> str:
        stream = (FOLDER / "nginx-stream.conf").read_text("utf-8")
        site = (FOLDER / "nginx-site.conf").read_text("utf-8") if self.way == "nginx" else ""
        return NGINX.format(module=MODULE, folder=self.folder, stream=stream, site=site)

    def _here(self, text: str) -> str:
        """A shipped file with the paths of this place."""
        for path, mine in (
            ("/etc/voxwire/tls/fullchain.pem", self._certificates.chain),
            ("/etc/voxwire/tls/privkey.pem", self._certificates.key),
            ("/run/voxwire/server.sock", self.folder / "server.sock"),
            ("/run/caddy/admin.sock", self.folder / "admin.sock"),
            ("/var/log/nginx/", f"{self.folder}/"),
        ):
            text = text.replace(path, str(mine))
        return text

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + 60
        while self.ready_status() != 200:
            assert self.server.poll() is None, self.log("server.log")
            assert time.monotonic() < deadline, self.log("server.log")
            time.sleep(0.05)

    def terminate(self) -> None:
        """SIGTERM to the server."""
        self.server.send_signal(signal.SIGTERM)

    def reload_proxies(self) -> None:
        """Have the proxies read their files anew, as ``renew.sh`` does; wait until they have."""
        if "caddy" in self._proxies:
            config = self.folder / "Caddyfile"
            self._net.run("host", "caddy", "reload", "--force", "--config", config, timeout_s=60)
        if "nginx" in self._proxies:
            before = self.log("nginx.log").count("start worker process ")
            self._proxies["nginx"].send_signal(signal.SIGHUP)
            deadline = time.monotonic() + 30
            while self.log("nginx.log").count("start worker process ") == before:
                assert time.monotonic() < deadline, self.log("nginx.log")
                time.sleep(0.02)

    def log(self, name: str) -> str:
        """What a program has written."""
        return self._net.log(name)

    # who comes

    def token(self, user: str = "ada") -> str:
        """A token, good for one session."""
        return TokenIssuer(KeyRing.parse(key=KEY)).issue(user, now_s=int(time.time()), ttl_s=300)

    @property
    def at_the_caller(self) -> tuple[str | Path, ...]:
        """What runs a program at the caller's, where the names are known."""
        trust = f"SSL_CERT_FILE={self._certificates.authority}"
        return (
            *("ip", "netns", "exec", self._net.name("caller")),
            *("unshare", "--mount", "sh", "-euc", INSIDE, "sh", self.folder),
            *("env", trust, f"PYTHONPATH={ROOT}"),
        )

    @contextlib.contextmanager
    def inside(self, place: str = "caller") -> Iterator[None]:
        """Sockets that are made meanwhile in this thread are that place's, and stay it."""
        libc = ctypes.CDLL(None, use_errno=True)
        with Path("/proc/thread-self/ns/net").open() as mine:
            with Path(f"/run/netns/{self._net.name(place)}").open() as theirs:
                assert libc.setns(theirs.fileno(), NETNS) == 0, os.strerror(ctypes.get_errno())
            try:
                yield
            finally:
                assert libc.setns(mine.fileno(), NETNS) == 0

    def dial(self, address: str = CALLER, *, timeout_s: float = 10) -> socket.socket:
        """A TCP connection from an address of the caller's; nothing was said yet."""
        six = ":" in address
        with self.inside():
            made = socket.socket(socket.AF_INET6 if six else socket.AF_INET)
        made.settimeout(timeout_s)
        made.bind((address, 0))
        made.connect((HOST_6 if six else HOST, PORT if self.way == "direct" else 443))
        return made

    def speak_tls(self, made: socket.socket) -> socket.socket:
        """The same after the handshake, where there is one."""
        if self.way == "direct":
            return made
        return self.trusts.wrap_socket(made, server_hostname=NAMES[0])

    @property
    def trusts(self) -> ssl.SSLContext:
        """A client's side of TLS."""
        return ssl.create_default_context(cafile=str(self._certificates.authority))

    @property
    def authority(self) -> str:
        """The Host of a request."""
        return f"{HOST}:{PORT}" if self.way == "direct" else NAMES[0]

    def ready_status(self) -> int:
        """What the server answers to ``GET /readyz``, asked on its own socket; 0 = it does not."""
        request = b"GET /readyz HTTP/1.1\r\nHost: voice.example.com\r\nConnection: close\r\n\r\n"
        with contextlib.suppress(OSError):
            return int(self._ask(request).split()[1])
        return 0

    def _ask(self, request: bytes) -> bytes:
        if self.way == "direct":
            with self.inside("host"):
                asked = socket.socket()
            where: Any = (HOST, PORT)
        else:
            asked, where = socket.socket(socket.AF_UNIX), str(self.folder / "server.sock")
        with asked:
            asked.settimeout(10)
            asked.connect(where)
            asked.sendall(request)
            return asked.recv(4096)


def _edited(text: str, name: str) -> str:
    """What the README's `sed -i` makes of a file of that name."""
    for fence in fences_of_the_recipe():
        for script, path in re.findall(r"sed -i '([^']+)' (\S+)", fence.text):
            if path.endswith(f"/{name}"):
                command = ["sed", script]
                done = subprocess.run(command, input=text, capture_output=True, text=True)
                assert done.returncode == 0 and done.stdout != text, done.stderr
                return done.stdout
    raise AssertionError(f"the README has no sed for {name}")


@contextlib.contextmanager
def shipped(way: str, **settings: str) -> Iterator[Shipped]:
    """One that is ready, until the block ends; whoever calls may do so from 198.51.100.20 to .60,
    and where nginx listens from 2001:db8::21, 2001:db8::22 and 2001:db8:0:1::21, ::22.

    Args:
        way: One of `WAYS`.
        settings: As for `Shipped.start`.
    """
    with tempfile.TemporaryDirectory(prefix="vx") as made, network(Path(made)) as net:
        folder = Path(made)
        net.add("caller", "host")
        net.join("caller", f"{CALLER}/24", "host", "198.51.100.1/24")
        net.ip("host", "addr", "add", f"{HOST}/32", "dev", net.end("host", "caller"))
        net.ip("caller", "route", "add", "default", "via", "198.51.100.1")
        here, there = net.end("caller", "host"), net.end("host", "caller")
        for number in range(21, 61):
            net.ip("caller", "addr", "add", f"198.51.100.{number}/24", "dev", here)
        for group in ("2001:db8:0:0:", "2001:db8:0:1:"):
            net.ip("host", "addr", "add", f"{group}:10/64", "dev", there, "nodad")
            for number in (21, 22):
                net.ip("caller", "addr", "add", f"{group}:{number}/64", "dev", here, "nodad")
        (folder / "hosts").write_text(f"127.0.0.1 localhost\n{HOST} {' '.join(NAMES)}\n")
        (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        one = Shipped(net, way, make_certificates(folder, name=NAMES[0]))
        one.start(**settings)
        yield one
