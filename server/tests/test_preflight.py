"""What is wrong with a server's settings is said before it starts, each fault by its own name."""

import asyncio
import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.gemini_tls import make_certificate, server_context
from voxwire_server.config import Settings
from voxwire_server.preflight import Finding, preflight

KEY = "k" * 40
TURN = {"turn_urls": "turn:127.0.0.1:1", "turn_secret": "shared"}


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def failures(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.state != "ok"]


def check(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("VOXWIRE_")}
    return subprocess.run(
        [sys.executable, "-m", "voxwire_server.cli", "check", "--port", "0", *arguments],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_healthy_one_has_nothing_wrong_and_a_program_can_read_it() -> None:
    result = check("--json")
    found = json.loads(result.stdout)
    assert (result.returncode, found["ok"]) == (0, True)
    assert [each["state"] for each in found["findings"]] == ["ok"] * 5


def test_every_setting_that_is_wrong_is_named_at_once() -> None:
    result = check(VOXWIRE_KEEY=KEY, VOXWIRE_TRUN_URLS="turn:a")
    assert result.returncode == 1
    assert [line.split()[:2] for line in result.stdout.splitlines()] == [["settings", "FAILED"]] * 2
    assert KEY not in result.stdout + result.stderr
    values = check(VOXWIRE_MAX_SESSIONS="0", VOXWIRE_GRACE_MS="soon", VOXWIRE_KEY=KEY)
    assert "VOXWIRE_MAX_SESSIONS: " in values.stdout
    assert "VOXWIRE_GRACE_MS: " in values.stdout
    caps = check(VOXWIRE_CAPS_PER_USER="turns=5;seconds=9", VOXWIRE_CAPS_PER_BOT="words=5")
    for name in ("USER", "BOT"):
        assert f"VOXWIRE_CAPS_PER_{name}: Value error, write it as seconds=3600" in caps.stdout


@pytest.mark.parametrize(
    ("settings", "name", "state", "said"),
    [
        ({"key": "short"}, "key", "failed", "at least 32 bytes"),
        ({"keys": "{}"}, "key", "failed", "VOXWIRE_KEYS must be a JSON list"),
        ({"keys_file": "/nowhere/keys"}, "key", "failed", "/nowhere/keys: No such file"),
        ({"turn_urls": "turn:a", "turn_secret_file": "/x"}, "turn", "failed", "_SECRET_FILE: /x"),
        ({"authenticator": "nothing"}, "key", "failed", "must be package.module:function"),
        ({"authenticator": "json:nobody"}, "key", "failed", "json has no function nobody"),
        ({"host": "0.0.0.0"}, "port", "failed", "Set a key first"),
        ({"trusted_proxies": "127.0.0.1"}, "proxy", "failed", "need VOXWIRE_KEY"),
        ({"trusted_proxies": "me", "key": KEY}, "proxy", "failed", "me is no address"),
        ({"public_url": "ws://a", "key": KEY}, "proxy", "failed", "must be like https://"),
        ({"public_url": "http://127.0.0.1", "key": KEY}, "proxy", "warning", "is empty"),
        (
            {
                **{"public_url": "http://bot.example", "trusted_proxies": "::1", "key": KEY},
                "ice_addresses": "203.0.113.10",
            },
            "proxy",
            "warning",
            "browsers give no microphone",
        ),
        ({"turn_urls": "turn:a"}, "turn", "failed", "go together"),
        ({"server_ice": "relay"}, "turn", "failed", "no TURN server"),
        ({"ready_needs_turn": True}, "turn", "failed", "could never be ready"),
        (
            {**TURN, "ready_needs_turn": True, "turn_check_s": 0},
            "turn",
            "failed",
            "could never be ready",
        ),
        ({"ice_servers": "[{}]"}, "turn", "failed", "urls is missing"),
        ({"log_file": "/nowhere/log"}, "log", "failed", "VOXWIRE_LOG_FILE"),
        ({"bot": "nobot.py"}, "bot", "failed", "there is no bot 'nobot.py'"),
        ({"bot": "offline,offline"}, "bot", "failed", "the same name"),
    ],
)
async def test_each_fault_is_named_and_no_other(
    settings: dict[str, Any], name: str, state: str, said: str
) -> None:
    given: dict[str, Any] = {"port": 0, **settings}
    wrong = failures(await preflight(Settings(**given)))
    assert [(finding.name, finding.state) for finding in wrong] == [(name, state)]
    assert said in wrong[0].detail
    assert KEY not in wrong[0].detail


BOT = "async def bot(session): pass\n"


@pytest.mark.parametrize(
    ("says", "settings", "state", "said"),
    [
        ("", {"max_waiting": 5, "caps_per_bot": "turns=5"}, "", ""),
        ("WAITS = True", {"max_waiting": 5}, "", ""),
        ("WAITS = False", {}, "", ""),
        ("WAITS = True", {}, "warning", "clients of story would wait, and VOXWIRE_MAX_WAITING is"),
        ("WAITS = False", {"max_waiting": 5}, "ok", "clients of story do not wait for a place"),
        ("CAPS = {'turns': 9}", {}, "ok", "a day of story may cost turns=9"),
        (
            *("CAPS = {'turns': 9}", {"caps_per_bot": "turns=5,seconds=60"}),
            *("ok", "a day of story may cost seconds=60,turns=9"),
        ),
        ("CAPS = {'turn': 9}", {}, "failed", "the caps of story: write it as"),
        ("WAITS = 0", {}, "failed", "whether clients of story wait for a place is True or False"),
    ],
)
async def test_what_a_bot_says_of_itself_is_told_beside_the_settings(
    says: str,
    settings: dict[str, Any],
    state: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    path = tmp_path / "story.py"
    path.write_text(f"{says}\n{BOT}", "utf-8")
    found = await preflight(Settings(port=0, bot=str(path), **settings))
    of_bot = [finding for finding in found if finding.name == "bot"]
    if state != "failed":
        assert of_bot.pop(0) == Finding("bot", "ok", "story can be served")
    assert [finding.state for finding in of_bot] == ([state] if state else [])
    assert all(said in finding.detail for finding in of_bot)


async def test_a_port_that_is_taken_is_named(taken: int) -> None:
    [wrong] = failures(await preflight(Settings(port=taken)))
    assert (wrong.name, wrong.state) == ("port", "failed")
    assert wrong.detail.startswith(f"cannot listen on 127.0.0.1:{taken}: Address already in use")


async def test_a_turn_server_that_is_not_there_is_named(taken: int) -> None:
    urls = f"turn:127.0.0.1:{taken}?transport=udp,turn:127.0.0.1:1?transport=tcp"
    wrong = failures(await preflight(Settings(port=0, turn_urls=urls, turn_secret="secret")))
    assert [finding.name for finding in wrong] == ["turn", "turn"]
    assert f"turn:127.0.0.1:{taken}" in wrong[0].detail
    assert "turn:127.0.0.1:1?transport=tcp cannot be reached" in wrong[1].detail
    assert all("secret" not in finding.detail for finding in wrong)


@asynccontextmanager
async def listening(context: ssl.SSLContext | None) -> AsyncIterator[str]:
    """The public URL of something that listens on this machine."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def certificate_of(url: str) -> Finding:
    settings = Settings(port=0, public_url=url, trusted_proxies="127.0.0.1", key=KEY)
    [found] = [each for each in await preflight(settings) if each.name == "certificate"]
    return found


async def test_a_certificate_is_tried_as_a_client_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_certificate(tmp_path / "pem")
    async with listening(server_context(tmp_path / "pem")) as url:
        stranger = await certificate_of(url)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "pem"))
        soon = await certificate_of(url)
    gone = await certificate_of(url)
    async with listening(None) as url:
        plain = await certificate_of(url)
    assert [found.state for found in (stranger, soon, gone, plain)] == [
        *("failed", "warning", "warning", "failed")
    ]
    assert "no client takes that of" in stranger.detail
    assert "is good for 1 days more" in soon.detail
    assert "is the proxy running?" in gone.detail
    assert "speaks no TLS" in plain.detail


async def test_nothing_of_it_remains(tmp_path: Path) -> None:
    log, place = tmp_path / "log", tmp_path / "socket"
    assert failures(await preflight(Settings(host=f"unix:{place}", log_file=str(log)))) == []
    assert list(tmp_path.iterdir()) == []
    log.write_text("kept")
    await preflight(Settings(port=0, log_file=str(log)))
    assert log.read_text() == "kept"


async def test_who_needs_no_token_is_said() -> None:
    [_, key, *_] = await preflight(Settings(port=0, key=KEY))
    assert "programs of this machine need none" in key.detail
    [_, key, *_] = await preflight(Settings(host="0.0.0.0", port=0, key=KEY))
    assert "need none" not in key.detail


async def test_files_of_secrets_that_others_may_read_are_named(tmp_path: Path) -> None:
    keys, turn = tmp_path / "keys", tmp_path / "turn"
    keys.write_text(json.dumps([{"kid": "a", "alg": "HS256", "secret": KEY}]))
    turn.write_text("secret")
    keys.chmod(0o640)
    turn.chmod(0o644)
    settings = Settings(
        port=0,
        key=KEY,
        keys_file=str(keys),
        turn_urls="turn:127.0.0.1:1?transport=tcp",
        turn_secret_file=str(turn),
    )
    wrong, unanswered = failures(await preflight(settings))
    assert (wrong.name, wrong.state) == ("turn", "warning")  # mounted secrets may be so
    assert "is open to others (mode 0644): chmod 0640" in wrong.detail
    assert (unanswered.name, unanswered.state) == ("turn", "failed")
    keys.chmod(0o604)
    first, *_ = failures(await preflight(settings))
    assert (first.name, first.state) == ("key", "warning")


async def test_an_authenticator_is_said_to_be_asked() -> None:
    found = await preflight(Settings(port=0, authenticator=lambda _: None))
    assert not failures(found)
    said = " ".join(finding.detail for finding in found if finding.name == "key")
    assert "asked by the authenticator" in said and "need none" not in said


@pytest.mark.parametrize(
    ("settings", "warned"),
    [
        ({}, True),
        ({"host": "unix:{folder}/server.sock"}, True),
        ({"ice_addresses": "203.0.113.10"}, False),
        ({"host": "0.0.0.0"}, False),
        ({"public_url": "http://localhost:8080"}, False),
        ({"public_url": ""}, False),
    ],
)
async def test_a_server_behind_a_proxy_that_offers_loopback_alone_is_named(
    settings: dict[str, str], warned: bool, tmp_path: Path
) -> None:
    made = {"public_url": "http://bot.example", "trusted_proxies": "::1", "key": KEY, **settings}
    made = {name: value.format(folder=tmp_path) for name, value in made.items()}
    found = await preflight(Settings(port=0, **made))  # type: ignore[arg-type]
    said = [each.detail for each in found if each.name == "ice" and each.state == "warning"]
    assert bool(said) == warned
    assert all("VOXWIRE_ICE_ADDRESSES" in detail for detail in said)


@pytest.mark.parametrize(
    ("settings", "state", "detail"),
    [
        ({}, "ok", "the webhook to tell twilio is http://localhost/voice/phone/twilio"),
        ({"public_url": ""}, "failed", "calls by twilio need VOXWIRE_PUBLIC_URL"),
        ({"call_prefixes": "49"}, "failed", "VOXWIRE_CALL_PREFIXES cannot be used"),
        ({"phone_telnyx_key": "x"}, "failed", "VOXWIRE_PHONE_TELNYX_KEY cannot be used"),
    ],
)
async def test_what_a_telephones_vendor_is_to_be_told_is_printed(
    settings: dict[str, str], state: str, detail: str
) -> None:
    given = {"public_url": "http://localhost/voice", "phone_twilio_token": "t", **settings}
    findings = await preflight(Settings(port=0, key=KEY, **given))
    [finding] = [each for each in findings if each.name == "phone"]
    assert finding.state == state
    assert detail in finding.detail
