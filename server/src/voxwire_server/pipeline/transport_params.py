"""Which of Pipecat's transport parameters a session's transport acts on. Pure."""

from typing import Final

from pipecat.transports.base_transport import TransportParams

__all__ = ["not_served"]

_SERVED: Final = frozenset(
    {
        "audio_in_enabled",
        "audio_in_sample_rate",
        "audio_in_filter",
        "audio_in_stream_on_start",
        "audio_in_passthrough",
        "audio_out_enabled",
        "audio_out_sample_rate",
        "audio_out_volume",
    }
)
_OF_A_MEDIA_SENDER: Final = frozenset(
    {
        "audio_in_channels",
        "audio_out_channels",
        "audio_out_bitrate",
        "audio_out_10ms_chunks",
        "audio_out_end_silence_secs",
        "audio_out_auto_silence",
        "audio_out_write_timeout_secs",
    }
)
"""How Pipecat's own output feeds a network; the session has ways of its own, and what is said is
the same."""


def not_served(params: TransportParams) -> list[str]:
    """The parameters that were set, mean something, and that nothing here acts on."""
    known = _SERVED | _OF_A_MEDIA_SENDER
    return sorted(
        name
        for name, field in TransportParams.model_fields.items()
        if name not in known
        and getattr(params, name) != field.get_default(call_default_factory=True)
    )
