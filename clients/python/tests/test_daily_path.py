"""`transport="daily"`: only who asks for it gets it, and what is missing is said."""

from dataclasses import replace

import pytest
from virtual import virtual

import voxwire
from voxwire import _voxwire_server
from voxwire._options import ladder, path_name
from voxwire.rtvi import PipecatBot
from voxwire.testing import FakeServer
from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode

DAILY = wire.Carrier.CARRIER_DAILY


def test_it_is_a_carrier_of_its_own_and_no_part_of_auto() -> None:
    assert ladder("daily") == (DAILY,)
    assert DAILY not in ladder("auto")
    assert path_name(DAILY) == "daily"


def test_without_dailys_sdk_the_install_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_voxwire_server, "daily_ready", lambda: False)
    with pytest.raises(voxwire.UsageError, match=r"pip install 'voxwire\[daily\]'") as error:
        voxwire.connect("ws://127.0.0.1", transport="daily")
    assert error.value.code == ErrorCode.MISSING_EXTRA


def test_a_stock_bot_is_not_spoken_with_so() -> None:
    pytest.importorskip("httpx")
    with pytest.raises(voxwire.UsageError) as error:
        voxwire.connect("http://127.0.0.1:7860", transport="daily", peer=PipecatBot())
    assert error.value.code == ErrorCode.UNSUPPORTED


def no_sdk(**_: object) -> None:
    raise ImportError("no module named daily")


class Side:
    """A side of a room that is never entered."""

    def __init__(self, **_: object) -> None:
        self.left = 0

    def on_audio(self, _: object) -> None:
        pass

    on_left = on_joined = on_message = on_audio

    async def leave(self) -> None:
        self.left += 1


@virtual
async def test_an_sdk_that_cannot_be_loaded_is_said_too() -> None:
    async with FakeServer() as server:
        around = replace(server.environment, make_room=no_sdk)  # type: ignore[arg-type]
        with pytest.raises(voxwire.UsageError) as error:
            async with voxwire.connect(server.url, transport="daily", environment=around):
                pass
        assert error.value.code == ErrorCode.MISSING_EXTRA


@virtual
async def test_a_server_without_rooms_refuses_and_this_side_is_let_go() -> None:
    sides: list[Side] = []

    def make(**options: object) -> Side:
        sides.append(Side(**options))
        return sides[-1]

    async with FakeServer() as server:
        around = replace(server.environment, make_room=make)  # type: ignore[arg-type]
        with pytest.raises(voxwire.VoxwireError) as error:
            async with voxwire.connect(server.url, transport="daily", environment=around):
                pass
        assert error.value.code == ErrorCode.UNSUPPORTED
        [hello] = server.hellos
        assert wire.Feature.FEATURE_DAILY in hello.features
    assert sides[0].left >= 1


@virtual
async def test_who_does_not_ask_names_no_such_feature() -> None:
    async with FakeServer() as server:
        async with voxwire.connect(server.url, environment=server.environment):
            pass
        [hello] = server.hellos
        assert wire.Feature.FEATURE_DAILY not in hello.features
