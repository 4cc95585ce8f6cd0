"""Settings of the environment: a name that is none is no secret."""

import os
from pathlib import Path

import pytest

from tests.support.clicks import make_bot
from voxwire_server import serve
from voxwire_server.config import Settings, UnknownSettingError, check_names


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("VOXWIRE_MAX_SESSION", "VOXWIRE_MAX_SESSIONS"),
        ("VOXWIRE_IDLE", "VOXWIRE_IDLE_S"),
        ("VOXWIRE_TRUN_URLS", "VOXWIRE_TURN_URLS"),
        ("voxwire_loglevel", "VOXWIRE_LOG_LEVEL"),
    ],
)
def test_a_misspelt_setting_is_refused_with_the_nearest_one(
    name: str, near: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(UnknownSettingError, match=f"{name} is no setting: did you mean {near}"):
        check_names(os.environ)
    with pytest.raises(UnknownSettingError, match=name):
        serve(make_bot())
    caplog.clear()
    assert Settings().port == 7860
    assert Settings().port == 7860
    assert [name in record.getMessage() for record in caplog.records] == [True]


def test_what_kubernetes_tells_of_a_service_of_our_name_is_no_mistake() -> None:
    told = ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_7860_TCP")
    names = [f"VOXWIRE_SERVER_{name}" for name in (*told, "PORT_7860_TCP_ADDR")]
    check_names(names)


def test_a_service_named_voxwire_in_kubernetes_is_no_port_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    where = {"SERVICE_HOST": "10.0.0.1", "SERVICE_PORT": "80", "PORT": "tcp://10.0.0.1:80"}
    for name, value in {**where, "PORT_80_TCP_ADDR": "10.0.0.1"}.items():
        monkeypatch.setenv(f"VOXWIRE_{name}", value)
    check_names(os.environ)
    assert Settings().port == 7860
    monkeypatch.setenv("VOXWIRE_PORT", "4711")
    assert Settings().port == 4711


def test_a_port_of_no_service_is_a_mistake() -> None:
    with pytest.raises(UnknownSettingError, match="VOXWIRE_SERVER_PORT is no setting"):
        check_names(["VOXWIRE_SERVER_PORT"])


def test_files_of_settings_and_of_secrets_count(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("VOXWIRE_PORT=4711\n")
    (tmp_path / "voxwire_max_sessions").write_text("7")
    settings = Settings(_env_file=tmp_path / "env", _secrets_dir=tmp_path)  # type: ignore[call-arg]
    assert (settings.port, settings.max_sessions) == (4711, 7)


def test_each_of_several_is_named_and_what_is_near_none_is_said_so() -> None:
    with pytest.raises(UnknownSettingError) as refused:
        check_names(["PATH", "VOXWIRE_KEEY", "VOXWIRE_FLAVOUR_OF_ICE_CREAM"])
    first, second = str(refused.value).split("; ")
    assert (
        first
        == "VOXWIRE_FLAVOUR_OF_ICE_CREAM is no setting: names that begin with VOXWIRE_ are ours"
    )
    assert second.startswith("VOXWIRE_KEEY is no setting: did you mean VOXWIRE_KEY")


def test_settings_and_what_our_other_programs_read_pass() -> None:
    check_names(f"VOXWIRE_{name.upper()}" for name in Settings.model_fields)
    check_names(["VOXWIRE_TOKEN", "VOXWIRE_TEST_SEED", "VOXWIRE_GEMINI_MODEL", "voxwire_port", "X"])
