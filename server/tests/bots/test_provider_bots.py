"""Bots of providers: what is missing is said in words that one can follow."""

import sys
from pathlib import Path

import pytest

from voxwire_server import cli
from voxwire_server.bots import needs
from voxwire_server.bots.registry import BotNotFoundError, load_bot

KEYS = {
    "gemini": ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
    "openai-realtime": ("OPENAI_API_KEY",),
    "nova-sonic": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
}
EXTRAS = {"gemini": "gemini", "openai-realtime": "openai", "nova-sonic": "nova"}


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No key in the environment, and a folder of its own; what .env brings goes again."""
    for name in {name for names in KEYS.values() for name in names}:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("bot", KEYS)
def test_a_missing_key_says_which_where_it_goes_and_where_to_get_it(
    bot: str, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(needs, "_installed", lambda _package: True)
    with pytest.raises(BotNotFoundError) as failure:
        load_bot(bot)
    message = str(failure.value)
    assert KEYS[bot][0] in message
    assert str(bare / ".env") in message
    assert "get one at" in message


@pytest.mark.parametrize("bot", KEYS)
def test_a_missing_package_says_what_to_install(bot: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "_installed", lambda _package: False)
    with pytest.raises(BotNotFoundError, match="pip install") as failure:
        load_bot(bot)
    assert f"'voxwire-server[{EXTRAS[bot]}]'" in str(failure.value)


@pytest.mark.parametrize("name", KEYS["gemini"])
def test_a_key_is_taken_from_the_environment_or_from_dot_env(
    name: str, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "k")
    assert load_bot("gemini").name == "gemini"
    monkeypatch.delenv(name)
    (bare / ".env").write_text(f"{name}=from-file\n")
    assert load_bot("gemini").name == "gemini"


def test_the_environment_wins_over_dot_env(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from voxwire_server.bots.gemini import NEEDS

    (bare / ".env").write_text("GOOGLE_API_KEY=from-file\n")
    monkeypatch.setenv("GOOGLE_API_KEY", "from-environment")
    load_bot("gemini")
    assert NEEDS.key(NEEDS.keys[0]) == "from-environment"


def test_the_command_says_it_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["voxwire-server"])
    assert cli.main(["run", "gemini", "--port", "0"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("voxwire-server: the gemini bot needs GOOGLE_API_KEY")


def test_an_unknown_bot_names_those_that_there_are() -> None:
    with pytest.raises(BotNotFoundError, match="offline, cascade, local, gemini, openai-real"):
        load_bot("nobody")
