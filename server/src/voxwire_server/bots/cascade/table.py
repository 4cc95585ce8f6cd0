"""The providers that can be named."""

from typing import Any, Final

from voxwire_server.bots.cascade.presets import Preset
from voxwire_server.bots.needs import Needs
from voxwire_server.bots.providers import HEARING, MIND, VOICE

__all__ = ["LAST_VOICE", "PRESETS", "preset", "presets_of"]

LAST_VOICE: Final = "offline"
"""Speaks when nobody else does, where its extra is installed."""

_OPENAI_KEYS: Final = "https://platform.openai.com/api-keys"
_WHISPER: Final = (
    "the folder of a CTranslate2 model of whisper, such as"
    " huggingface.co/Systran/faster-distil-whisper-medium.en (all its files)"
)
_KOKORO: Final = "github.com/thewh1teagle/kokoro-onnx, release model-files-v1.0"


def _once(service: Any) -> None:
    """A client of OpenAI's asks once: its two tries more take longer than another provider."""
    service._client = service._client.with_options(max_retries=0)  # no parameter sets it


def _needs(name: str, package: str, key: str = "", get_key: str = "") -> Needs:
    return Needs(
        who=f"the provider {name}",
        package=package,
        extra=name,
        keys=(key,) if key else (),
        get_key=get_key,
    )


def _openai(part: str, service: str) -> Preset:
    return Preset(
        name="openai",
        part=part,
        service=f"pipecat.services.openai.{part}:{service}",
        needs=_needs("openai", "openai", "OPENAI_API_KEY", _OPENAI_KEYS),
        url="base_url",
        changed=_once,
    )


PRESETS: Final = (
    Preset(
        name="deepgram",
        part=HEARING,
        service="pipecat.services.deepgram.stt:DeepgramSTTService",
        needs=_needs("deepgram", "deepgram", "DEEPGRAM_API_KEY", "https://console.deepgram.com"),
        url="base_url",
    ),
    _openai(HEARING, "OpenAISTTService"),
    Preset(
        name="whisper",
        part=HEARING,
        service="pipecat.services.whisper.stt:WhisperSTTService",
        needs=_needs("whisper", "faster_whisper"),
        told={"model": _WHISPER},
    ),
    Preset(
        name="anthropic",
        part=MIND,
        service="pipecat.services.anthropic.llm:AnthropicLLMService",
        needs=_needs("anthropic", "anthropic", "ANTHROPIC_API_KEY", "https://platform.claude.com"),
        url="base_url",
        client="anthropic:AsyncAnthropic",
    ),
    _openai(MIND, "OpenAILLMService"),
    Preset(
        name="ollama",
        part=MIND,
        service="pipecat.services.ollama.llm:OLLamaLLMService",
        needs=_needs("ollama", "openai"),
        url="base_url",
        changed=_once,
        told={
            "model": "the name of a model that your server has (`ollama list`), such as llama3.2"
        },
    ),
    Preset(
        name="cartesia",
        part=VOICE,
        service="pipecat.services.cartesia.tts:CartesiaTTSService",
        needs=_needs("cartesia", "websockets", "CARTESIA_API_KEY", "https://play.cartesia.ai/keys"),
        url="url",
        told={"voice": "the id of a voice of play.cartesia.ai"},
    ),
    Preset(
        name="elevenlabs",
        part=VOICE,
        service="pipecat.services.elevenlabs.tts:ElevenLabsTTSService",
        needs=_needs(
            "elevenlabs",
            "websockets",
            "ELEVENLABS_API_KEY",
            "https://elevenlabs.io/app/settings/api-keys",
        ),
        url="url",
        told={"voice": "the id of a voice of elevenlabs.io"},
    ),
    _openai(VOICE, "OpenAITTSService"),
    Preset(
        name="kokoro",
        part=VOICE,
        service="pipecat.services.kokoro.tts:KokoroTTSService",
        needs=_needs("kokoro", "kokoro_onnx"),
        told={"voice": "the name of a voice of its file of voices, such as af_heart"},
        files={
            "model_path": f"the file kokoro-v1.0.onnx of {_KOKORO}",
            "voices_path": f"the file voices-v1.0.bin of {_KOKORO}",
        },
        tested=False,
    ),
    Preset(
        name=LAST_VOICE,
        part=VOICE,
        service="voxwire_server.bots.offline.tts:HibariTTSService",
        needs=_needs(LAST_VOICE, "hibari"),
    ),
)


def presets_of(part: str) -> list[Preset]:
    """Those of one part."""
    return [each for each in PRESETS if each.part == part]


def preset(part: str, name: str) -> Preset | None:
    """One by name."""
    return next((each for each in presets_of(part) if each.name == name), None)
