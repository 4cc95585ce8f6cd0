"""Settings of the environment: a name that is none is no secret."""

import pytest

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
    name: str, near: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(UnknownSettingError, match=f"{name} is no setting: did you mean {near}"):
        Settings()


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
