"""The relay of examples/self-host, run by coturn as it is shipped: it is of use to nobody else.

[client] 203.0.113.20 -- 203.0.113.10 [relay]
"""

import json
import re
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from tests.support.front import make_certificates
from tests.support.namespaces import ROOT, Network, network, why_not
from voxwire_server.ice_servers import turn_credential

REASON = why_not()
if not REASON and shutil.which("turnserver") is None:
    REASON = "coturn is missing: apt-get install coturn (as root, make test does it)"
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)

SHIPPED: Final = (ROOT / "examples/self-host/turnserver.conf").read_text("utf-8")
RELAY, CLIENT, RELAY_6 = "203.0.113.10", "203.0.113.20", "2001:db8::10"
PORTS: Final = {"plain": 3478, "tls": 5349}
SECRET: Final = "the secret that voxwire-server has, too"
WAYS: Final = ("udp", "tcp", "tls")
DENIED: Final = {
    "this machine": "127.0.0.1",
    "this machine, by another of its names": "127.8.8.8",
    "no address": "0.0.0.0",
    "a private network of class A": "10.0.0.1",
    "a private network of class B": "172.16.0.1",
    "a private network of class C": "192.168.0.1",
    "a carrier's network": "100.64.0.1",
    "link-local": "169.254.1.1",
    "the metadata of a cloud": "169.254.169.254",
    "multicast": "224.0.0.1",
    "everybody": "255.255.255.255",
    "a reserved network": "240.0.0.1",
    "a neighbour": "203.0.113.11",
    "another client": CLIENT,
    "the internet": "8.8.8.8",
}
DENIED_6: Final = {
    "this machine": "::1",
    "no address": "::",
    "link-local": "fe80::1",
    "a private network": "fd00::1",
    "the metadata of a cloud": "fd00:ec2::254",
    "multicast": "ff02::1",
    "this machine, mapped": "::ffff:127.0.0.1",
    "the relay, mapped": f"::ffff:{RELAY}",
    "the metadata of a cloud, mapped": "::ffff:169.254.169.254",
    "this machine, translated": "64:ff9b::7f00:1",
    "the relay itself": RELAY_6,
    "the internet": "2001:4860:4860::8888",
}


def shipped(folder: Path, *more: str) -> Path:
    """The file as it is shipped, but for the secret, the certificate and where it keeps its own."""
    made = make_certificates(folder)
    text = SHIPPED.replace("static-auth-secret=SECRET", f"static-auth-secret={SECRET}")
    text = re.sub(r"^cert=.*$", f"cert={made.chain}", text, flags=re.MULTILINE)
    text = re.sub(r"^pkey=.*$", f"pkey={made.key}", text, flags=re.MULTILINE)
    text = re.sub(r"^userdb=.*$", f"userdb={folder}/turndb", text, flags=re.MULTILINE)
    changed = set(text.splitlines()) - set(SHIPPED.splitlines())
    assert len(changed) == 4
    path = folder / "turnserver.conf"
    path.write_text("\n".join([text, f"pidfile={folder}/pid", *more, ""]), "utf-8")
    return path


class Relay(NamedTuple):
    """Its network, and whether it has an address of IPv6."""

    net: Network
    six: bool


@pytest.fixture(scope="module", params=["as it is shipped", "with an address of IPv6"])
def relay(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Relay]:
    """The two places, and coturn in one of them."""
    folder = tmp_path_factory.mktemp("relay")
    with network(folder) as made:
        made.add("client", "relay")
        made.join("client", f"{CLIENT}/24", "relay", f"{RELAY}/24")
        six = request.param == "with an address of IPv6"
        if six:
            made.ip("relay", "addr", "add", f"{RELAY_6}/64", "dev", "lo", "nodad")
        conf = shipped(folder, *([f"relay-ip={RELAY_6}"] if six else []))
        process = made.start("relay", "turnserver", "-c", conf, log="coturn.log")
        deadline = time.monotonic() + 60
        while len(listening(made)) < 4:
            assert process.poll() is None, made.log("coturn.log")[-4000:]
            assert time.monotonic() < deadline, made.log("coturn.log")[-4000:]
            time.sleep(0.05)  # real time: pace
        yield Relay(made, six)


def listening(net: Network) -> set[tuple[str, int]]:
    """Addresses and TCP ports where somebody listens in the relay's place."""
    said = net.run("relay", "ss", "-Hltn", timeout_s=20)
    places = (line.split()[3].rpartition(":") for line in said.splitlines())
    return {(host, int(port)) for host, _, port in places}


def credentials(*, ttl_s: int = 600, secret: str = SECRET, user: str = "ada") -> list[str]:
    """As voxwire-server makes them."""
    name = f"{int(time.time()) + ttl_s}:{user}"
    return [name, turn_credential(secret, name)]


def asked(relay: Relay, *steps: dict[str, Any]) -> list[Any]:
    """What a client is answered."""
    told = {"host": RELAY, "ports": PORTS, "steps": steps}
    script = ROOT / "tests/support/turn_by_hand.py"
    answers = json.loads(
        relay.net.run("client", sys.executable, script, json.dumps(told), timeout_s=60)
    )
    assert len(answers) == len(steps)
    return answers


def test_it_listens_where_clients_come_and_nowhere_else(relay: Relay) -> None:
    hosts = (RELAY, "127.0.0.1")
    assert listening(relay.net) == {(host, port) for host in hosts for port in PORTS.values()}
    said = relay.net.run("relay", "ss", "-Hlun", timeout_s=20)
    udp = {line.split()[3] for line in said.splitlines()}
    assert udp == {f"{host}:{PORTS['plain']}" for host in hosts}


@pytest.mark.parametrize("way", WAYS)
def test_nobody_is_relayed_elsewhere(relay: Relay, way: str) -> None:
    places = list(DENIED.values())
    first = {"client": "a", "way": way, "credentials": credentials(user=way), "asks": "allocate"}
    steps = [
        {"client": "a", "asks": asks, "peer": [place, 80]}
        for place in places
        for asks in ("permission", "channel")
    ]
    last = {"client": "a", "asks": "permission", "peer": [RELAY, 61000]}
    assert asked(relay, first, *steps, last) == [0, *[403] * 2 * len(DENIED), 0]


@pytest.mark.parametrize("way", WAYS)
def test_nobody_is_relayed_to_an_address_of_ipv6(relay: Relay, way: str) -> None:
    steps = [
        {"client": "a", "asks": asks, "peer": [place, 80]}
        for place in DENIED_6.values()
        for asks in ("permission", "channel")
    ]
    who = credentials(user=f"six-{way}")
    first = {"client": "a", "way": way, "credentials": who, "asks": "allocate"}
    first["family"] = 6 if relay.six else 4
    answers = asked(relay, first, *steps)
    # 443: an allocation of IPv4 has no peers of IPv6 (RFC 8656 §9.2)
    assert answers == [0, *[403 if relay.six else 443] * 2 * len(DENIED_6)]
    assert asked(relay, {**first, "family": 6}) == [0 if relay.six else 440]


@pytest.mark.parametrize("way", WAYS)
def test_credentials_that_are_not_good_allocate_nothing(relay: Relay, way: str) -> None:
    name, password = credentials(user="grace")
    wrong = {
        "none": ["", ""],
        "of another secret": credentials(secret="guessed"),
        "expired": credentials(ttl_s=-1),
        "long expired": credentials(ttl_s=-86_400),
        "made longer": [f"{int(name.partition(':')[0]) + 9999}:grace", password],
        "of somebody else": [name.replace("grace", "ada"), password],
        "without a time": ["grace", password],
        "empty": [name, ""],
    }
    steps = [
        {"client": why, "way": way, "credentials": pair, "asks": "allocate"}
        for why, pair in wrong.items()
    ]
    assert asked(relay, *steps) == [401] * len(wrong)


def test_the_ninth_allocation_of_one_session_is_refused(relay: Relay) -> None:
    limit = int(re.findall(r"^user-quota=(\d+)$", SHIPPED, re.MULTILINE)[0])
    who = [credentials(user="linus", ttl_s=600 + number) for number in range(limit + 1)]
    steps = [
        {
            "client": f"{number}",
            "way": WAYS[number % 3],
            "credentials": pair,
            "asks": "allocate",
        }
        for number, pair in enumerate(who)
    ]
    other = {"client": "other", "credentials": credentials(user="margaret"), "asks": "allocate"}
    assert asked(relay, *steps, other) == [0] * limit + [486, 0]


def test_there_is_no_relay_of_tcp(relay: Relay) -> None:
    pair = credentials(user="tcp")
    steps = [
        {"client": way, "way": way, "credentials": pair, "asks": "allocate", "tcp": True}
        for way in WAYS
    ]
    assert asked(relay, *steps) == [442] * 3


@pytest.mark.parametrize("ways", [("udp", "udp"), ("udp", "tcp"), ("tcp", "tls"), ("tls", "udp")])
def test_two_clients_hear_each_other_through_it(relay: Relay, ways: tuple[str, str]) -> None:
    pair = [credentials(user=f"{'-'.join(ways)}-{number}") for number in range(2)]
    answers = asked(
        relay,
        {"client": "a", "way": ways[0], "credentials": pair[0], "asks": "allocate"},
        {"client": "b", "way": ways[1], "credentials": pair[1], "asks": "allocate"},
        {"client": "a", "asks": "permission", "peer": "b"},
        {"client": "b", "asks": "permission", "peer": "a"},
        {"client": "a", "asks": "send", "peer": "b", "text": "hello"},
        {"client": "b", "asks": "receive"},
        {"client": "b", "asks": "send", "peer": "a", "text": "hello to you"},
        {"client": "a", "asks": "receive"},
        {"client": "a", "asks": "relayed"},
    )
    host, port = answers.pop()
    assert answers == [0, 0, 0, 0, None, "hello", None, "hello to you"]
    assert host == RELAY
    assert 61000 <= port <= 65535


SOFTWARE, RESPONSE_ORIGIN, OTHER_ADDRESS = 0x8022, 0x802B, 0x802C


def test_it_says_nothing_of_itself_and_keeps_its_secret(relay: Relay) -> None:
    answers = asked(
        relay,
        {"client": "a", "asks": "binding"},
        {"client": "a", "asks": "allocate"},
        {"client": "a", "asks": "seen"},
    )
    assert answers[:2] == [0, 401]
    assert not {SOFTWARE, RESPONSE_ORIGIN, OTHER_ADDRESS} & set(answers[2])
    assert SECRET not in relay.net.log("coturn.log")
