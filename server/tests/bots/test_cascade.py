"""Which services a cascade is made of, and what it says when one cannot be made."""

from typing import Any

import pytest
from pipecat.services.openai.llm import OpenAILLMService

from voxwire_server.bots.cascade import Cascade
from voxwire_server.bots.cascade.table import LAST_VOICE, PRESETS, preset, presets_of
from voxwire_server.bots.conversing import INSTRUCTION
from voxwire_server.bots.loaded_bot import BotNotFoundError
from voxwire_server.bots.needs import NotConfiguredError
from voxwire_server.bots.providers import HEARING, MIND, VOICE, Providers
from voxwire_server.bots.registry import load_bot
from voxwire_server.config import check_names

PARTS = (HEARING, MIND, VOICE)
KEYS = (
    *("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "DEEPGRAM_API_KEY"),
    *("CARTESIA_API_KEY", "ELEVENLABS_API_KEY"),
)


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (*KEYS, *(name for each in PRESETS for name in each.variables)):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key for each provider, and a voice where one is needed."""
    for name in KEYS:
        monkeypatch.setenv(name, f"the key {name}")
    for each in presets_of(VOICE):
        if "voice" in each.told:
            monkeypatch.setenv(each.variable("voice"), "a-voice")


def test_a_name_is_given_once_for_each_part() -> None:
    named = [(each.part, each.name) for each in PRESETS]
    assert len(set(named)) == len(named)
    assert {each.part for each in PRESETS} == set(PARTS)


def test_the_servers_settings_know_all_variables_of_the_providers() -> None:
    check_names([name for each in PRESETS for name in each.variables])


@pytest.mark.parametrize(
    "variable",
    ["VOXWIRE_CARTESIA_TTS_VOICE", "VOXWIRE_OLLAMA_LLM_URL", "VOXWIRE_OPENAI_LLM_MODEL"],
)
def test_a_variable_is_named_by_provider_part_and_what_it_sets(variable: str) -> None:
    assert variable in [name for each in PRESETS for name in each.variables]


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_nobody_plays_is_named_with_who_could(part: str) -> None:
    named = {"stt": "openai", "llm": "openai", "tts": LAST_VOICE, part: ""}
    with pytest.raises(NotConfiguredError, match=f"--{part} .*one or several of") as error:
        Cascade(**named)
    for each in presets_of(part):
        assert each.name in str(error.value)


@pytest.mark.usefixtures("keys")
def test_a_provider_that_is_not_known_is_named_with_those_that_are() -> None:
    with pytest.raises(NotConfiguredError, match=r"'clara'.*anthropic, openai, ollama"):
        Cascade(stt="openai", llm="openai, clara", tts="openai")


@pytest.mark.parametrize("each", [it for it in PRESETS if it.needs.keys], ids=lambda it: it.name)
def test_a_key_that_is_missing_is_named_with_where_to_get_it(each: Any) -> None:
    pytest.importorskip(each.needs.package)
    with pytest.raises(NotConfiguredError) as error:
        each.check()
    told = str(error.value)
    assert each.name in told
    assert f"{each.needs.keys[0]}=..." in told
    assert each.needs.get_key in told


@pytest.mark.parametrize("each", PRESETS, ids=lambda it: f"{it.part} {it.name}")
def test_a_package_that_is_missing_is_named_with_its_extra(
    each: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voxwire_server.bots.needs.find_spec", lambda _: None)
    with pytest.raises(NotConfiguredError, match=rf"voxwire-server\[{each.needs.extra}\]"):
        each.check()


def test_local_says_which_model_to_download_and_where_to_put_its_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("voxwire_server.bots.needs.find_spec", lambda _: True)
    with pytest.raises(BotNotFoundError, match=r"VOXWIRE_WHISPER_STT_MODEL.*faster-distil-whisper"):
        load_bot("local")
    monkeypatch.setenv("VOXWIRE_WHISPER_STT_MODEL", "/models/whisper")
    with pytest.raises(BotNotFoundError, match=r"VOXWIRE_OLLAMA_LLM_MODEL.*ollama list"):
        load_bot("local")
    monkeypatch.setenv("VOXWIRE_OLLAMA_LLM_MODEL", "llama3.2")
    with pytest.raises(BotNotFoundError, match="VOXWIRE_KOKORO_TTS_VOICE"):
        load_bot("local")
    monkeypatch.setenv("VOXWIRE_KOKORO_TTS_VOICE", "af_heart")
    with pytest.raises(
        BotNotFoundError, match=r"VOXWIRE_KOKORO_TTS_MODEL_PATH.*kokoro-v1\.0\.onnx"
    ):
        load_bot("local")
    monkeypatch.setenv("VOXWIRE_KOKORO_TTS_MODEL_PATH", "/models/none.onnx")
    with pytest.raises(
        BotNotFoundError, match=r"there is no /models/none\.onnx.*release model-files"
    ):
        load_bot("local")
    monkeypatch.setenv("VOXWIRE_KOKORO_TTS_MODEL_PATH", __file__)
    with pytest.raises(
        BotNotFoundError, match=r"VOXWIRE_KOKORO_TTS_VOICES_PATH.*voices-v1\.0\.bin"
    ):
        load_bot("local")


def test_who_is_untested_is_named_before_the_first_session(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr("voxwire_server.bots.needs.find_spec", lambda _: True)
    monkeypatch.setattr("voxwire_server.bots.cascade.cascade.share_models", lambda _: None)
    for name in ("VOXWIRE_WHISPER_STT_MODEL", "VOXWIRE_KOKORO_TTS_VOICE"):
        monkeypatch.setenv(name, "any")
    monkeypatch.setenv("VOXWIRE_OLLAMA_LLM_MODEL", "small")
    for name in ("VOXWIRE_KOKORO_TTS_MODEL_PATH", "VOXWIRE_KOKORO_TTS_VOICES_PATH"):
        monkeypatch.setenv(name, str(tmp_path))
    order, *rest = load_bot("local").notes
    assert order == f"stt: whisper, llm: ollama, tts: kokoro then {LAST_VOICE}"
    assert rest == ["kokoro is offered untested"]


@pytest.mark.usefixtures("keys")
def test_several_are_asked_in_the_order_in_which_they_are_named() -> None:
    voices = "elevenlabs, openai ,cartesia,openai"
    cascade = Cascade(stt="openai", llm="openai", tts=voices)
    assert cascade.names == {
        "stt": ["openai"],
        "llm": ["openai"],
        "tts": ["elevenlabs", "openai", "cartesia", LAST_VOICE],
    }
    bot = load_bot("cascade", Providers("openai", "openai", "cartesia"))
    assert bot.name == "cascade"
    assert bot.notes == (f"stt: openai, llm: openai, tts: cartesia then {LAST_VOICE}",)


@pytest.mark.usefixtures("keys")
def test_model_voice_and_address_are_pipecats_unless_they_are_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mind = preset(MIND, "openai")
    assert mind is not None
    assert mind.make()._settings.model == OpenAILLMService(api_key="k")._settings.model
    monkeypatch.setenv("VOXWIRE_OPENAI_LLM_MODEL", "another")
    monkeypatch.setenv("VOXWIRE_OPENAI_LLM_URL", "http://127.0.0.1:9/v1")
    service = mind.make(INSTRUCTION)
    assert service._settings.model == "another"
    assert service._settings.system_instruction == INSTRUCTION
    assert str(service._client.base_url) == "http://127.0.0.1:9/v1/"
    assert service._client.max_retries == 0
    assert service._client.api_key == "the key OPENAI_API_KEY"


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    "each",
    [it for it in PRESETS if it.name not in ("whisper", "kokoro", "ollama")],
    ids=lambda it: f"{it.part} {it.name}",
)
async def test_each_is_made_with_pipecats_defaults(each: Any) -> None:
    pytest.importorskip(each.needs.package)
    each.check()
    assert each.make(INSTRUCTION) is not None
