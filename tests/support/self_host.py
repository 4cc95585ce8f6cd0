"""The recipe of ``examples/self-host``, followed on a machine of its own, and a caller elsewhere.

[caller] 198.51.100.20 -- .1 [middle] 203.0.113.1 -- .10 [host]; a test says what passes the middle.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.support.namespaces import ROOT, Network, network
from tests.support.readmes import Fence, read_fences
from tests.support.vm import Machine

__all__ = [
    *("CALL", "CALLER", "CALLERS", "FOLDER", "HOST", "INSIDE", "NAMES"),
    *("SelfHost", "fences_of_the_recipe", "self_host"),
]

FOLDER: Final = ROOT / "examples/self-host"
HOST: Final = "203.0.113.10"
CALLER: Final = "198.51.100.20"
CALLERS: Final = tuple(f"198.51.100.{number}" for number in range(21, 25))
"""More addresses of the caller's."""
NAMES: Final = ("voice.example.com", "turn.example.com")
CALL: Final = "8. A call"
"""The heading of what happens on another machine."""
LINEAGE: Final = "/etc/letsencrypt/live/voice.example.com"
BLOCK_S: Final = 240.0
CALL_S: Final = 120.0

INSIDE: Final = (
    'mount --bind "$1/hosts" /etc/hosts; mount --bind "$1/resolv.conf" /etc/resolv.conf;'
    ' shift; exec "$@"'
)
"""Names are looked up in a file of ours; who asks for others is refused at once."""


def fences_of_the_recipe() -> list[Fence]:
    """The blocks of the README, in their order."""
    return [
        fence
        for fence in read_fences(
            (FOLDER / "README.md").read_text("utf-8"), "examples/self-host/README.md"
        )
        if fence.language == "sh"
    ]


class SelfHost:
    """The machine, the caller, and how far the recipe has been followed.

    Attributes:
        machine: The host.
        key: ``VOXWIRE_KEY`` of its bot.
    """

    def __init__(self, net: Network, machine: Machine) -> None:
        self._net = net
        self.machine = machine
        self.key = ""
        self._ca = net.folder / "ca.pem"
        self._hosts = net.folder / "hosts"
        self.home = net.folder / "home"

    def follow(self, *headings: str, blocks: slice = slice(None)) -> list[str]:
        """Run the blocks below these headings, in the README's order; what each prints.

        Args:
            headings: How they begin.
            blocks: Which of them; all to begin with.
        """
        found = [f for f in fences_of_the_recipe() if f.heading.startswith(headings)]
        return [self._run(fence) for fence in found[blocks]]

    def _run(self, fence: Fence) -> str:
        where = f"{fence.path}:{fence.line}"
        if fence.kind == "not here":
            if "certbot" in fence.text:
                self.issue()
            return ""
        if fence.heading == CALL:
            done = self.call("bash", "-euo", "pipefail", "-c", fence.text)
        else:
            done = self.machine.sh(fence.text, timeout_s=BLOCK_S)
        said = f"{where}\n{fence.text}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        assert done.returncode == 0, said
        return done.stdout

    def prepare(self) -> None:
        """What the caller's own machine and the network's name service do."""
        (self._net.folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        self._hosts.write_text(f"127.0.0.1 localhost\n{HOST} {' '.join(NAMES)}\n")
        self.machine.put("/etc/hosts", self._hosts.read_bytes())
        wheels = self._net.folder / "wheels"
        command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-index"]
        sources = [ROOT / name for name in ("protocol/python", "server", "clients/python")]
        subprocess.run(
            [*command, "--no-build-isolation", "-w", wheels, *sources], check=True, timeout=BLOCK_S
        )
        for path in (*FOLDER.rglob("*"), *wheels.iterdir()):
            if path.is_file():
                below = FOLDER if path.is_relative_to(FOLDER) else wheels
                mode = "0755" if os.access(path, os.X_OK) else "0644"
                target = f"self-host/{path.relative_to(below)}"
                self.machine.put(target, path.read_bytes(), mode=mode)
        cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        pip = (
            "[global]\nno-index = true\ndisable-pip-version-check = true\nno-cache-dir = true\n"
            f"find-links = {cache}/voxwire/wheels\nconstraint = {ROOT}/constraints.txt\n"
        )
        self.machine.put("/etc/pip.conf", pip.encode())
        self._make_authority()

    def _make_authority(self) -> None:
        key = self._net.folder / "ca.key"
        _openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-days", "90", "-subj", "/CN=Test authority", "-keyout", key, "-out", self._ca),
        )
        self.machine.put("/usr/local/share/ca-certificates/test.crt", self._ca.read_bytes())
        self.machine.must("update-ca-certificates")
        database = self.home / ".pki/nssdb"
        database.mkdir(parents=True)
        certutil = ["certutil", "-d", f"sql:{database}"]
        subprocess.run([*certutil, "-N", "--empty-password"], check=True)
        trust = ["-A", "-t", "C,,", "-n", "test", "-i", str(self._ca)]
        subprocess.run([*certutil, *trust], check=True)

    def issue(self) -> str:
        """Lay a new certificate where certbot would; its serial number, hexadecimal."""
        folder = self._net.folder
        made = folder / "made.pem"
        request, key, extensions = folder / "made.csr", folder / "made.key", folder / "made.ext"
        names = ",".join(f"DNS:{name}" for name in NAMES)
        extensions.write_text(f"subjectAltName={names}\nextendedKeyUsage=serverAuth\n")
        _openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-subj", f"/CN={NAMES[0]}", "-keyout", key, "-out", request),
        )
        _openssl(
            *("x509", "-req", "-in", request, "-CA", self._ca, "-CAkey", folder / "ca.key"),
            *("-days", "60", "-extfile", extensions, "-out", made),
        )
        self.machine.put(f"{LINEAGE}/fullchain.pem", made.read_bytes() + self._ca.read_bytes())
        self.machine.put(f"{LINEAGE}/privkey.pem", key.read_bytes(), mode="0600")
        return _openssl("x509", "-in", made, "-noout", "-serial").partition("=")[2].strip()

    def call(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a program at the caller's to its end; one that hangs is ended, with exit code 124."""
        return subprocess.run(
            ["timeout", str(CALL_S), *self._at_the_caller(command)],
            cwd=self._net.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def begin(self, *command: str | Path, log: str) -> "subprocess.Popen[bytes]":
        """Start a program at the caller's."""
        return self._net.start_here(*self._at_the_caller(command), log=log)

    def said(self, log: str) -> str:
        """What that program has written."""
        return self._net.log(log)

    def _at_the_caller(self, command: tuple[str | Path, ...]) -> list[str | Path]:
        values = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "SSL_CERT_FILE": str(self._ca),
            "CURL_CA_BUNDLE": str(self._ca),
            "VOXWIRE_KEY": self.key,
        }
        return [
            *("ip", "netns", "exec", self._net.name("caller")),
            *("unshare", "--mount", "sh", "-euc", INSIDE, "sh", self._net.folder),
            *("env", "-i", *(f"{name}={value}" for name, value in values.items())),
            *command,
        ]

    def token(self) -> str:
        """A token, as a backend asks for it."""
        done = self.call(
            *("curl", "--silent", "--show-error", "--fail", f"https://{NAMES[0]}/v1/tokens"),
            *("-H", f"Authorization: Bearer {self.key}", "-H", "Content-Type: application/json"),
            *("-d", '{"user": "ada"}'),
        )
        assert done.returncode == 0, done.stderr
        token: str = json.loads(done.stdout)["token"]
        return token

    def wrong_keys(self, address: str, count: int, *, says: str) -> list[str]:
        """Ask for a token with a wrong key, again and again: the HTTP status of each answer.

        There is no body: curl stops sending when it is refused before, and the answer is cut then.

        Args:
            address: Which of the caller's addresses it comes from.
            count: How often.
            says: The address that it names as its own.
        """
        done = self.call(
            *("curl", "--silent", "--show-error", "--interface", address),
            *("--output", "/dev/null", "--write-out", "%{http_code}\n"),
            *("-H", "Authorization: Bearer wrong", "-H", f"X-Forwarded-For: {says}"),
            *("--request", "POST", f"https://{NAMES[0]}/v1/tokens?number=[1-{count}]"),
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    def let_out(self, *rules: str) -> None:
        """Pass on what the caller sends if these rules of nftables accept it, and nothing else.

        What is dropped is dropped on its way: to the caller's programs it is sent.
        """
        body = "\n".join((f"ip saddr {HOST} accept", *rules, "counter drop"))
        table = (
            "flush ruleset\ntable inet middle { chain passes {\n"
            f"type filter hook forward priority 0; policy accept;\n{body}\n}}\n}}\n"
        )
        path = self._net.folder / "middle.nft"
        path.write_text(table)
        self._net.run("middle", "nft", "-f", path, timeout_s=30)

    def sent(self) -> dict[str, int]:
        """The caller's packets that have passed, by the comment of the rule that let them."""
        listed = self._net.run("middle", "nft", "-j", "list", "ruleset", timeout_s=30)
        counted: dict[str, int] = {}
        for entry in json.loads(listed)["nftables"]:
            rule = entry.get("rule", {})
            for part in rule.get("expr", ()):
                if rule.get("comment") and "counter" in part:
                    counted[rule["comment"]] = part["counter"]["packets"]
        return counted

    def wait_for(self, log: str, text: str, process: "subprocess.Popen[bytes]") -> None:
        """Wait until a program at the caller's has written that."""
        deadline = time.monotonic() + CALL_S
        while text not in self.said(log):
            assert process.poll() is None or text in self.said(log), self.said(log)[-4000:]
            assert time.monotonic() < deadline, self.said(log)[-4000:]
            time.sleep(0.02)


def _openssl(*arguments: Any) -> str:
    done = subprocess.run(
        ["openssl", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def self_host(folder: Path) -> Generator[SelfHost]:
    """A machine on which the recipe has been followed up to the call."""
    machine = None
    try:
        with network(folder) as net:
            net.add("caller", "middle", "host")
            net.join("caller", f"{CALLER}/24", "middle", "198.51.100.1/24")
            for address in CALLERS:
                here = ("dev", net.end("caller", "middle"))
                net.ip("caller", "addr", "add", f"{address}/24", *here)
            net.join("host", f"{HOST}/24", "middle", "203.0.113.1/24")
            net.ip("caller", "route", "add", "default", "via", "198.51.100.1")
            net.ip("host", "route", "add", "default", "via", "203.0.113.1")
            net.run("middle", "sysctl", "-qw", "net.ipv4.ip_forward=1", timeout_s=30)
            machine = Machine(net, "host")
            made = SelfHost(net, machine)
            made.prepare()
            made.follow(*(f"{step}. " for step in range(1, 8)))
            settings = machine.must("cat /etc/voxwire/voxwire.env")
            made.key = settings.partition("VOXWIRE_KEY=")[2].splitlines()[0]
            yield made
    finally:
        if machine is not None:
            machine.close()
