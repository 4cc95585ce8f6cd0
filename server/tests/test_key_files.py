"""Secrets in files: read when told to, all or nothing, and never in a text."""

import json
import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from voxwire_server.config import Settings
from voxwire_server.hangups import on_hangup
from voxwire_server.ice_servers import IceServers, turn_credential
from voxwire_server.key_files import FileError, KeyFiles, Outcome, open_to_others, read_secret
from voxwire_server.keys import KeyRing
from voxwire_server.tokens import TokenError, TokenIssuer, TokenVerifier

NOW = 1_800_000_000
SECRET = "a secret that nobody may read anywhere"
PUBLIC = """-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
-----END PUBLIC KEY-----"""
BAD_KEYS = [
    "",
    "[]",
    "{}",
    "not json",
    json.dumps([{"kid": "b", "alg": "HS256", "secret": "short"}]),
    json.dumps([{"kid": "b", "alg": "none", "secret": SECRET}]),
    json.dumps([{"kid": "b", "alg": "EdDSA", "public_key": PUBLIC}]),  # it signs nothing
    json.dumps([{"kid": kid, "alg": "HS256", "secret": SECRET} for kid in "abc"]),
    "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
    "x" * 70_000,
]


def keys(*kids: str) -> str:
    return json.dumps([{"kid": kid, "alg": "HS256", "secret": SECRET + kid} for kid in kids])


class Rotated:
    """A ring, and TURN servers, whose secrets stand in two files."""

    def __init__(self, folder: Path) -> None:
        self.keys, self.turn = folder / "keys", folder / "turn"
        self.keys.write_text(keys("a"))
        self.turn.write_text("first\n")
        settings = Settings(
            keys_file=str(self.keys), turn_secret_file=str(self.turn), turn_urls="turn:a"
        )
        self.ring = KeyFiles.ring_of(settings)
        secret = KeyFiles.turn_secret_of(settings)
        self.ice = IceServers.parse(turn_urls="turn:a", turn_secret=secret)
        self.told: list[tuple[str, Outcome]] = []
        tell = self.told.append
        self.files = KeyFiles(
            settings, self.ring, self.ice, told=lambda file, came: tell((file, came))
        )
        self.issuer, self.verifier = TokenIssuer(self.ring), TokenVerifier(self.ring)

    def mints_with(self, secret: str) -> bool:
        (turn,) = self.ice.mint("x", now_s=NOW, ttl_s=None)
        return turn.credential == turn_credential(secret, turn.username)


@pytest.fixture
def rotated(tmp_path: Path) -> Rotated:
    return Rotated(tmp_path)


async def test_a_rotation_is_two_steps_and_every_token_in_between_is_good(rotated: Rotated) -> None:
    old = rotated.issuer.issue("ada", now_s=NOW)
    rotated.keys.write_text(keys("b", "a"))
    rotated.turn.write_text("second")
    await rotated.files.reload()
    new = rotated.issuer.issue("ada", now_s=NOW)
    assert rotated.ring.kids == ("b", "a")
    for token in (old, new):
        assert rotated.verifier.verify(token, now_s=NOW).user == "ada"
    assert rotated.mints_with("second")
    rotated.keys.write_text(keys("b"))
    await rotated.files.reload()
    assert rotated.verifier.verify(new, now_s=NOW).user == "ada"
    with pytest.raises(TokenError, match="not valid here"):
        rotated.verifier.verify(old, now_s=NOW)
    assert rotated.told == [("keys", "ok"), ("turn_secret", "ok")] * 2


@pytest.mark.parametrize("bad", BAD_KEYS)
async def test_a_file_of_keys_that_cannot_be_used_changes_nothing_and_the_other_is_read(
    rotated: Rotated, bad: str, caplog: pytest.LogCaptureFixture
) -> None:
    token = rotated.issuer.issue("ada", now_s=NOW)
    rotated.keys.write_text(bad)
    rotated.turn.write_text("second")
    with caplog.at_level(logging.ERROR):
        await rotated.files.reload()
    assert rotated.told == [("keys", "failed"), ("turn_secret", "ok")]
    assert rotated.ring.kids == ("a",)
    assert rotated.verifier.verify(token, now_s=NOW).user == "ada"
    assert rotated.issuer.issue("ada", now_s=NOW)
    assert rotated.mints_with("second")
    [record] = caplog.records
    assert record.getMessage().endswith("; what was read before stays")
    assert SECRET not in caplog.text and "Traceback" not in caplog.text


async def test_a_file_that_is_gone_or_no_text_changes_nothing(
    rotated: Rotated, caplog: pytest.LogCaptureFixture
) -> None:
    rotated.keys.unlink()
    rotated.turn.write_bytes(b"\xff\xfe")
    await rotated.files.reload()
    assert rotated.told == [("keys", "failed"), ("turn_secret", "failed")]
    assert rotated.ring.kids == ("a",) and rotated.mints_with("first")
    assert "VOXWIRE_KEYS_FILE" in caplog.text and "No such file" in caplog.text
    assert "VOXWIRE_TURN_SECRET_FILE" in caplog.text and "is no text" in caplog.text


def test_an_empty_file_opens_no_server(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(" \n")
    settings = Settings(keys_file=str(tmp_path / "keys"), host="0.0.0.0")
    assert settings.has_key
    with pytest.raises(FileError, match="is empty"):
        KeyFiles.ring_of(settings)


@pytest.mark.parametrize("name", ["keys", "turn_secret"])
def test_a_secret_stands_in_one_place(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"VOXWIRE_{name.upper()}", SECRET)
    monkeypatch.setenv(f"VOXWIRE_{name.upper()}_FILE", "/run/secrets/x")
    with pytest.raises(ValidationError, match=f"there is VOXWIRE_{name.upper()} as well") as wrong:
        Settings()
    assert [error["loc"] for error in wrong.value.errors()] == [(f"{name}_file",)]


def test_a_ring_never_becomes_empty_nor_loses_what_signs() -> None:
    ring = KeyRing.parse(keys=keys("a"))
    for other in (
        KeyRing(),
        KeyRing.parse(keys=json.dumps([{"kid": "b", "alg": "EdDSA", "public_key": PUBLIC}])),
    ):
        with pytest.raises(ValueError):
            ring.become(other)
        assert ring.kids == ("a",) and ring.signer is not None
    checks = KeyRing.parse(keys=json.dumps([{"kid": "b", "alg": "EdDSA", "public_key": PUBLIC}]))
    with pytest.raises(ValueError, match="there is no key"):
        checks.become(KeyRing())
    assert checks.kids == ("b",)


@pytest.mark.parametrize(
    ("mode", "safe"), [(0o600, True), (0o640, True), (0o644, False), (0o660, False), (0o601, False)]
)
def test_a_file_that_others_may_read_or_write_is_named(
    tmp_path: Path, mode: int, safe: bool
) -> None:
    file = tmp_path / "keys"
    file.write_text(SECRET)
    file.chmod(mode)
    assert read_secret("VOXWIRE_KEYS_FILE", str(file)) == SECRET
    said = open_to_others(str(file))
    assert (said == "") is safe
    if not safe:
        assert f"mode {mode:04o}" in said and "chmod 0640" in said


@pytest.fixture
def hangups() -> Iterator[None]:
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hangups")
def test_whoever_waits_for_a_hangup_hears_it_beside_the_others() -> None:
    heard: list[str] = []
    on_hangup(lambda: heard.append("log"))
    on_hangup(lambda: heard.append("keys"))
    os.kill(os.getpid(), signal.SIGHUP)
    assert heard == ["log", "keys"]
