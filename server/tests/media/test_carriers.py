"""Who opens which carrier; what cannot be opened has a code."""

import sys

import pytest

from tests.support.stage import Stage
from voxwire_protocol import wire
from voxwire_protocol.virtual_time import in_virtual_time
from voxwire_server.control.link import ControlLink
from voxwire_server.media.carriers import CarrierSettings, make_carriers
from voxwire_server.media.websocket import WebSocketPath
from voxwire_server.ports import Opened, PathError

WEBSOCKET, WEBRTC = wire.Carrier.CARRIER_WEBSOCKET, wire.Carrier.CARRIER_WEBRTC
SETTINGS = CarrierSettings(
    capture_rate=16_000,
    playout_rate=24_000,
    block_ms=20,
    opus=True,
    host="127.0.0.1",
    ice_addresses="",
    dead_after_ms=5000,
)


async def open_path(
    carrier: wire.Carrier, *, link: ControlLink | None = None, **fields: str
) -> Opened:
    stage = Stage()
    carriers = make_carriers(stage.voice, stage.port, SETTINGS, link=lambda: link, ice=None)
    paths = stage.voice.paths
    request = wire.PathOpen(path_id=1, carrier=carrier, **fields)  # type: ignore[arg-type]
    return await carriers[carrier](request, paths.sink(1), lambda rate: paths.sound(1, rate))


async def refused(carrier: wire.Carrier, **fields: str) -> wire.ErrorCode:
    with pytest.raises(PathError) as error:
        await open_path(carrier, **fields)
    return error.value.code


async def nowhere(_: object) -> None:
    """Sends nothing."""


@in_virtual_time
async def test_a_websocket_path_travels_on_the_control_channel() -> None:
    opened = await open_path(WEBSOCKET, link=ControlLink(nowhere))
    assert isinstance(opened.path, WebSocketPath)
    assert opened.on_channel
    assert opened.path.formats.capture.sample_rate == 16_000
    assert opened.path.formats.playout.sample_rate == 24_000


@in_virtual_time
async def test_without_a_socket_there_is_no_websocket_path() -> None:
    assert await refused(WEBSOCKET) == wire.ErrorCode.ERROR_CODE_CONNECTION_LOST


@in_virtual_time
async def test_an_offer_that_is_none_has_a_code() -> None:
    assert await refused(WEBRTC, sdp_offer="v=0") == wire.ErrorCode.ERROR_CODE_BAD_SDP


@in_virtual_time
async def test_a_missing_extra_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "voxwire_server.media.webrtc", None)
    with pytest.raises(PathError, match=r"pip install 'voxwire-server\[webrtc\]'") as error:
        await open_path(WEBRTC)
    assert error.value.code == wire.ErrorCode.ERROR_CODE_MISSING_EXTRA
