"""Which of Pipecat's transport parameters are acted on."""

from pipecat.transports.base_transport import TransportParams

from voxwire_server.pipeline.transport_params import not_served


def test_what_was_not_set_is_not_told() -> None:
    assert not_served(TransportParams()) == []


def test_what_is_acted_on_is_not_told() -> None:
    params = TransportParams(
        audio_in_enabled=True,
        audio_out_enabled=True,
        audio_in_sample_rate=8000,
        audio_out_sample_rate=8000,
        audio_out_volume=0.5,
        audio_in_stream_on_start=False,
        audio_out_10ms_chunks=2,
    )
    assert not_served(params) == []


def test_video_and_further_destinations_are_told_by_name() -> None:
    params = TransportParams(
        video_in_enabled=True, video_out_width=640, audio_out_destinations=["music"]
    )
    assert not_served(params) == ["audio_out_destinations", "video_in_enabled", "video_out_width"]


def test_what_another_transport_s_parameters_add_is_its_own_affair() -> None:
    class Others(TransportParams):
        serializer: object = None

    assert not_served(Others(serializer=object())) == []
