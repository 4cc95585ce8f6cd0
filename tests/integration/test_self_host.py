"""The recipe of examples/self-host, followed in order on a machine with systemd, and calls to it.

The blocks of its README.md are run as they are written. The caller is in another network, whose
firewall leaves it one way at a time. The certificate is of an authority of this test's.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.namespaces import ROOT, why_not
from tests.support.self_host import (
    CALL,
    CALLERS,
    HOST,
    NAMES,
    SelfHost,
    fences_of_the_recipe,
    self_host,
)
from tests.support.vm import why_no_machine
from voxwire_server.config import Settings

REASON = why_not() or why_no_machine(
    *("caddy", "nginx", "turnserver", "nft", "certutil", "systemd-analyze", "openssl", "curl")
)
needs_machine = pytest.mark.skipif(bool(REASON), reason=REASON)
pytestmark = pytest.mark.timeout(600)

WEB = 'tcp dport 443 counter accept comment "443"'
TURN_TCP = 'tcp dport 3478 counter accept comment "turn tcp"'
TURN_UDP = 'udp dport 3478 counter accept comment "turn udp"'
UDP = 'udp dport != 3478 counter accept comment "udp"'
PATHS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "direct": ("webrtc", (WEB, UDP), "udp"),
    "TURN over UDP": ("webrtc", (WEB, TURN_UDP), "turn udp"),
    "TURN over TCP": ("webrtc", (WEB, TURN_TCP), "turn tcp"),
    "TURN over TLS": ("webrtc", (WEB,), "443"),
    "WebSocket": ("websocket", (WEB,), "443"),
}
"""Transport, what the caller's network lets out, and the rule that the sound goes through."""
SOUND_PACKETS = 100
"""Of 20 ms each: the question alone has as many."""
ANSWER = re.compile(
    r"Let me check\. In Paris it (is|will be) .+ today, with a high of \d+ degrees and a low"
)
QUESTION = "what is the weather in paris"
ATTEMPTS = int(Settings.model_fields["starts_per_address"].default.partition("/minute")[0])
"""With a wrong key, from one address, a minute."""
AUDIBLE = 0.05
"""Of the largest sample there is."""


def test_at_most_five_blocks_are_not_run_and_each_says_why() -> None:
    fences = fences_of_the_recipe()
    left_out = [fence for fence in fences if fence.kind == "not here"]
    assert len(left_out) == 4
    assert all(len(fence.of.split()) > 3 for fence in left_out)
    run = [fence for fence in fences if fence.kind == "program"]
    assert len(run) == len(fences) - 4 == 23
    assert {fence.of for fence in run} == {"tests/integration/test_self_host.py"}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SelfHost]:
    """The machine after step 7."""
    with self_host(tmp_path_factory.mktemp("self-host")) as made:
        yield made


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The question for a browser's microphone."""
    path = tmp_path_factory.mktemp("microphone") / "question.wav"
    _run_here("tests/support/microphone_file.py", path, "0.3", QUESTION, "60")
    return path


def _run_here(script: str, *arguments: str | Path) -> None:
    subprocess.run([sys.executable, ROOT / script, *arguments], check=True, timeout=60)


def call_options(host: SelfHost, transport: str, **more: Any) -> str:
    """Of the Python client that asks by voice."""
    given = {"url": f"wss://{NAMES[0]}", "tokens": [host.token()], "transport": transport}
    question = str(ROOT / "examples/question.wav")
    return json.dumps({**given, "question": question, "answer": "low", "polite": True, **more})


def lines(text: str) -> list[dict[str, Any]]:
    """What the client has told."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def sound_went(host: SelfHost, name: str) -> None:
    """Assert that it went the one way that was left."""
    rule = PATHS[name][2]
    sent = host.sent()
    assert sent[rule] > SOUND_PACKETS, sent
    others = {way: count for way, count in sent.items() if way not in (rule, "443")}
    assert all(count == 0 for count in others.values()), sent


@needs_machine
def test_units_are_right_and_exposed_at_3_at_most_offline(host: SelfHost) -> None:
    units = ("voxwire-server", "coturn", "caddy", "nginx", "voxwire-routes")
    for unit in units:
        host.machine.must(f"systemd-analyze verify --man=no {unit}.service")
        host.machine.must(
            f"systemctl cat {unit} > /tmp/{unit}.service\n"
            "systemd-analyze security --no-pager --offline=true --threshold=30"
            f" /tmp/{unit}.service"
        )


@needs_machine
def test_the_commands_of_the_call_work_on_another_host(host: SelfHost) -> None:
    host.let_out("accept")
    _, direct, relayed = host.follow(CALL)
    assert "In Paris" in direct and "In Paris" in relayed


def sees_addresses(host: SelfHost, one: str, other: str) -> None:
    """Assert that the bot counts these two apart, whomever each of them names."""
    assert host.wrong_keys(one, ATTEMPTS + 2, says=other) == ["401"] * ATTEMPTS + ["429"] * 2
    assert host.wrong_keys(one, 1, says="192.0.2.1") == ["429"]
    assert host.wrong_keys(other, 1, says=one) == ["401"]


@needs_machine
def test_the_bot_sees_the_address_of_whoever_comes_whatever_he_names(host: SelfHost) -> None:
    host.let_out("accept")
    sees_addresses(host, *CALLERS[:2])


@needs_machine
@pytest.mark.parametrize("path", PATHS)
def test_a_question_of_the_python_client_is_answered(host: SelfHost, path: str) -> None:
    transport, rules, _ = PATHS[path]
    host.let_out(*rules)
    script = ROOT / "tests/support/auto_client.py"
    done = host.call(sys.executable, script, call_options(host, transport))
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    said = lines(done.stdout)
    assert said[-1]["event"] == "Over" and said[-1]["transport"] == transport
    finals = [s["text"] for s in said if s["event"] == "UserTranscript" and s["final"]]
    assert finals == [QUESTION]
    sound_went(host, path)


@needs_machine
@pytest.mark.parametrize("path", PATHS)
def test_a_question_in_chromium_is_answered(host: SelfHost, path: str, microphone: Path) -> None:
    transport, rules, _ = PATHS[path]
    host.let_out(*rules)
    script = ROOT / "tests/support/console_call.mjs"
    url = f"https://{NAMES[0]}"
    done = host.call("node", script, url, host.token(), transport, microphone, HOST, *NAMES)
    assert done.returncode == 0, done.stderr[-4000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["transport"] == transport
    assert result["asked"] == [QUESTION]
    assert ANSWER.fullmatch(result["answer"]), result
    assert min(result["loudest"]) > AUDIBLE, result
    sound_went(host, path)


def serial_served(host: SelfHost, name: str) -> str:
    """The serial number of the certificate that a client gets at port 443 today."""
    script = (
        f"openssl s_client -connect {HOST}:443 -servername {name} -CAfile $SSL_CERT_FILE"
        " -verify_return_error < /dev/null | openssl x509 -noout -serial"
    )
    done = host.call("bash", "-euo", "pipefail", "-c", script)
    assert done.returncode == 0, done.stderr
    return done.stdout.partition("=")[2].strip()


@needs_machine
@pytest.mark.parametrize("path", ["WebSocket", "TURN over TLS"])
def test_a_renewal_under_a_call_loses_no_word(host: SelfHost, path: str) -> None:
    said = renewed_under_a_call(host, path)
    changes = [s["state"] for s in said if s["event"] == "ConnectionChanged"]
    assert changes, "Caddy closed no WebSocket: the README says that it does"
    carriers = {s["carrier"] for s in said if s["event"] == "PathChanged"}
    assert carriers == {PATHS[path][0]}


@needs_machine
def test_sessions_and_certificates_are_shown_as_the_readme_says(host: SelfHost) -> None:
    host.let_out("accept")
    certificates, figures = host.follow("9. ")
    first, second = certificates.split("serial=")[1:]
    assert first == second
    assert re.fullmatch(r"\d+ sessions?", figures.splitlines()[-1])


@needs_machine
def test_new_secrets_under_a_call_lose_no_word_and_the_old_key_is_good_no_more(
    host: SelfHost,
) -> None:
    host.let_out(*PATHS["TURN over UDP"][1])
    script = ROOT / "tests/support/auto_client.py"
    old = host.token()
    client = host.begin(sys.executable, script, call_options(host, "webrtc"), log="secrets")
    host.wait_for("secrets", '"ToolCallEnded"', client)
    journal = "journalctl -u voxwire-server --no-pager --output=cat"
    told = "tokens are checked with the keys"
    for block in range(2):
        host.follow("10. ", blocks=slice(block, block + 1))
        host.machine.must(
            f"until [ $({journal} | grep -c '{told}') = {block + 1} ]; do sleep 1; done"
        )
    assert '"Over"' not in host.said("secrets"), "the call was over before the secrets were new"
    host.wait_for("secrets", '"Over"', client)
    said = lines(host.said("secrets"))
    assert not [s for s in said if s["event"] == "ConnectionChanged"]
    words = [s["text"] for s in said if s["event"] == "BotWord"]
    assert ANSWER.fullmatch(" ".join(words[words.index("Let") :])), words
    refused = host.call(
        *("voxwire", "talk", f"wss://{NAMES[0]}", "--token", old),
        *("--text", "hello"),
    )
    assert "UNAUTHORIZED" in refused.stdout + refused.stderr
    test_a_question_of_the_python_client_is_answered(host, "TURN over UDP")


@needs_machine
def test_with_nginx_in_caddys_place_both_clients_talk_and_a_renewal_cuts_nothing(
    host: SelfHost, microphone: Path
) -> None:
    host.let_out("accept")
    host.follow("nginx in Caddy")
    assert host.machine.sh("systemctl is-active caddy", timeout_s=30).returncode != 0
    sees_addresses(host, *CALLERS[2:])
    said = renewed_under_a_call(host, "WebSocket")
    assert not [s for s in said if s["event"] == "ConnectionChanged"]
    test_a_question_in_chromium_is_answered(host, "WebSocket", microphone)
    test_a_question_in_chromium_is_answered(host, "TURN over TLS", microphone)


def renewed_under_a_call(host: SelfHost, path: str) -> list[dict[str, Any]]:
    """Renew the certificate while the bot answers; what its client has told."""
    transport, rules, _ = PATHS[path]
    host.let_out(*rules)
    script = ROOT / "tests/support/auto_client.py"
    client = host.begin(sys.executable, script, call_options(host, transport), log="renewal")
    serial = host.issue()
    host.wait_for("renewal", '"ToolCallEnded"', client)
    host.follow("9. ", blocks=slice(0, 1))
    assert '"Over"' not in host.said("renewal"), "the call was over before the renewal"
    host.wait_for("renewal", '"Over"', client)
    said = lines(host.said("renewal"))
    assert {serial_served(host, name) for name in NAMES} == {serial}
    assert len([s for s in said if s["event"] == "SessionStarted"]) == 1
    words = [s["text"] for s in said if s["event"] == "BotWord"]
    assert ANSWER.fullmatch(" ".join(words[words.index("Let") :])), words
    return said
