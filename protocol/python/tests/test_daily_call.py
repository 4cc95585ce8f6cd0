"""What is made of Daily's SDK: a stub of it that calls from a thread, as its documentation says."""

import asyncio
import sys
import threading
from array import array
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from voxwire_protocol.daily import OTHER_LEFT, DailyCall, daily_ready
from voxwire_protocol.errors import ErrorCode, VoxwireError

BLOCK = bytes(960)
OTHER = {"id": "p-2", "info": {"isLocal": False, "userName": "user"}}


class Client:
    """A CallClient that does what a test says, in threads of its own."""

    def __init__(self, event_handler: Any) -> None:
        self.events = event_handler
        self.asked: list[str] = []
        self.settings: dict[str, Any] = {}
        self.profiles: dict[str, Any] = {}
        self.join_error: str | None = ""
        self.participants: dict[str, Any] = {"local": {"id": "p-1", "info": {"isLocal": True}}}
        self.leaves = True
        self.released = threading.Event()
        self.hold = threading.Event()
        self.hold.set()
        self.renderer: tuple[Any, ...] = ()
        self.messages: list[tuple[Any, str]] = []
        self.user_name = ""

    @staticmethod
    def later(work: Callable[[], object]) -> None:
        threading.Thread(target=work, daemon=True).start()

    def set_user_name(self, name: str) -> None:
        self.user_name = name

    def update_subscription_profiles(self, profiles: dict[str, Any]) -> None:
        self.profiles = profiles

    def join(self, url: str, token: str, *, client_settings: Any, completion: Any) -> None:
        self.asked.append(f"join {url} {token}")
        self.settings = client_settings
        if self.join_error == "":
            self.later(lambda: completion({"participants": self.participants}, None))
        elif self.join_error is not None:
            self.later(lambda: completion(None, self.join_error))

    def leave(self, completion: Any) -> None:
        self.asked.append("leave")
        if self.leaves:
            self.later(lambda: completion(None))

    def release(self) -> None:
        self.hold.wait(10)
        self.released.set()

    def set_audio_renderer(self, who: str, call: Any, **options: Any) -> None:
        self.renderer = (who, call, options)

    def send_app_message(self, message: Any, who: str) -> None:
        self.messages.append((message, who))


class Source:
    """A CustomAudioSource: what is written leaves when the test says so."""

    def __init__(self, sample_rate: int, channels: int) -> None:
        assert channels == 1
        self.sample_rate = sample_rate
        self.pending: list[Callable[[int], None]] = []

    def write_frames(self, pcm: bytes, completion: Callable[[int], None]) -> None:
        self.pending.append(completion)

    def leave(self) -> None:
        completion = self.pending.pop(0)
        threading.Thread(target=lambda: completion(480), daemon=True).start()


class Call:
    """A call on a stub."""

    def __init__(self, **options: Any) -> None:
        self.sources: list[Source] = []
        self.clients: list[Client] = []

        def source(rate: int, channels: int) -> Source:
            self.sources.append(Source(rate, channels))
            return self.sources[-1]

        def client(event_handler: Any) -> Client:
            self.clients.append(Client(event_handler))
            return self.clients[-1]

        class Handler:
            pass

        sdk = SimpleNamespace(
            CustomAudioSource=source,
            CustomAudioTrack=lambda _: SimpleNamespace(id="track-1"),
            CallClient=client,
            EventHandler=Handler,
        )
        options = {"join_ms": 2000, **options}
        self.room = DailyCall(
            send_rate=24_000, receive_rate=16_000, user_name="bot", sdk=sdk, **options
        )
        self.told: list[Any] = []
        self.room.on_joined(lambda: self.told.append("joined"))
        self.room.on_left(lambda reason: self.told.append(("left", reason)))
        self.room.on_audio(lambda pcm: self.told.append(("audio", pcm)))
        self.room.on_message(lambda message: self.told.append(("message", message)))
        [self.client], [self.source] = self.clients, self.sources

    async def say(self, name: str, *args: Any) -> None:
        """The SDK tells something, from a thread; returns when the loop has heard it."""
        thread = threading.Thread(target=lambda: getattr(self.client.events, name)(*args))
        thread.start()
        thread.join()
        for _ in range(5):
            await asyncio.sleep(0)

    async def entered(self) -> None:
        await self.room.join("https://x.daily.co/r", "token")


async def test_it_joins_with_sound_and_nothing_else() -> None:
    call = Call()
    await call.entered()
    assert call.client.asked == ["join https://x.daily.co/r token"]
    microphone = call.client.settings["inputs"]["microphone"]
    assert microphone == {"isEnabled": True, "settings": {"customTrack": {"id": "track-1"}}}
    assert call.client.settings["inputs"]["camera"] is False
    assert call.client.settings["publishing"]["microphone"]["isPublishing"] is True
    assert call.client.profiles["base"]["camera"] == "unsubscribed"
    assert call.client.user_name == "bot"
    await call.room.leave()
    assert call.client.asked[-1] == "leave"
    assert call.client.released.is_set()


@pytest.mark.parametrize("before", [True, False])
async def test_the_first_other_is_the_other_whenever_he_came(before: bool) -> None:
    call = Call()
    if before:
        call.client.participants["p-2"] = OTHER
    await call.entered()
    await call.say("on_participant_joined", {"id": "p-1", "info": {"isLocal": True}})
    await call.say("on_participant_joined", OTHER)
    await call.say("on_participant_joined", {"id": "p-3", "info": {"isLocal": False}})
    assert call.told == ["joined"]
    who, hear, options = call.client.renderer
    assert (who, options["sample_rate"], options["callback_interval_ms"]) == ("p-2", 16_000, 20)
    stereo = array("h", [1, -1, 2, -2, 3, -3]).tobytes()
    hear("p-2", SimpleNamespace(audio_frames=stereo, num_channels=2), "microphone")
    hear("p-2", SimpleNamespace(audio_frames=b"\1\0", num_channels=1), "microphone")
    await asyncio.sleep(0)
    assert call.told[1:] == [("audio", array("h", [1, 2, 3]).tobytes()), ("audio", b"\1\0")]
    await call.room.leave()


async def test_who_leaves_or_is_put_out_is_told_once() -> None:
    call = Call()
    await call.entered()
    await call.say("on_participant_joined", OTHER)
    await call.say("on_participant_left", {"id": "p-9"}, "leftCall")
    assert call.told == ["joined"]
    await call.say("on_participant_left", OTHER, "leftCall")
    await call.say("on_call_state_updated", "left")
    assert call.told == ["joined", ("left", OTHER_LEFT)]
    await call.room.leave()


async def test_a_room_that_ends_puts_this_side_out() -> None:
    call = Call()
    await call.say("on_call_state_updated", "left")  # it has not joined: that is join's to say
    await call.entered()
    await call.say("on_call_state_updated", "joined")
    await call.say("on_call_state_updated", "left")
    assert [one[0] for one in call.told] == ["left"]
    await call.room.leave()


async def test_app_messages_are_of_the_other_and_to_him_alone() -> None:
    call = Call()
    await call.entered()
    call.room.say("too early")
    await call.say("on_participant_joined", OTHER)
    call.room.say({"label": "rtvi-ai"})
    assert call.client.messages == [({"label": "rtvi-ai"}, "p-2")]
    await call.say("on_app_message", {"n": 1}, "p-2")
    await call.say("on_app_message", {"n": 2}, "p-3")
    assert call.told[1:] == [("message", {"n": 1})]
    await call.room.leave()


async def test_a_join_that_is_refused_is_typed_and_quotes_nothing() -> None:
    call = Call()
    call.client.join_error = 'Connection(Api(RoomLookup("https://x.daily.co/secret")))'
    with pytest.raises(VoxwireError, match="Connection Api RoomLookup") as error:
        await call.entered()
    assert error.value.code == ErrorCode.UNREACHABLE
    assert "secret" not in str(error.value)
    await call.room.leave()
    assert "leave" not in call.client.asked


async def test_a_join_that_calls_nothing_back_has_a_deadline() -> None:
    call = Call(join_ms=50)
    call.client.join_error = None
    with pytest.raises(VoxwireError) as error:
        await call.entered()
    assert error.value.code == ErrorCode.TIMEOUT
    await call.room.leave()


async def test_a_release_that_hangs_is_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    call = Call()
    await call.entered()
    call.client.leaves = False
    call.client.hold.clear()
    async with asyncio.timeout(8):  # it would be held for 10 s
        await call.room.leave()
    assert "has not let go" in caplog.text
    call.client.hold.set()
    assert call.client.released.wait(5)


async def test_a_write_that_never_leaves_is_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxwire_protocol.daily.call._STUCK_MS", 100)
    call, left = Call(), list[int]()
    await call.entered()
    call.room.write(BLOCK, lambda: left.append(1))
    call.room.write(BLOCK, lambda: left.append(2))
    call.source.leave()
    while not call.told:
        await asyncio.sleep(0.01)  # real time: timeout
    assert (left, call.told) == ([1], [("left", "Daily's SDK takes no more audio")])
    await call.room.leave()


async def test_after_it_has_left_nothing_is_called() -> None:
    call, left = Call(), list[int]()
    await call.entered()
    await call.say("on_participant_joined", OTHER)
    call.room.write(BLOCK, lambda: left.append(1))
    await call.room.leave()
    call.source.leave()
    await call.say("on_participant_left", OTHER, "leftCall")
    await call.say("on_app_message", {}, "p-2")
    await asyncio.sleep(0.05)  # real time: silence
    assert (call.told, left) == (["joined"], [])


def test_an_sdk_that_calls_when_the_loop_is_closed_is_let_be() -> None:
    async def main() -> Call:
        call = Call()
        await call.entered()
        return call

    call = asyncio.run(main())
    call.client.events.on_participant_joined(OTHER)  # raises nothing
    call.source.pending.clear()


@pytest.mark.parametrize(
    ("latest", "rtt_ms"),
    [({"networkRoundTripTime": 0.08}, 80.0), ({"networkRoundTripTime": None}, None), ({}, None)],
)
async def test_the_round_trip_is_told_in_seconds(latest: Any, rtt_ms: float | None) -> None:
    call = Call()
    await call.say("on_network_stats_updated", {"stats": {"latest": latest}})
    assert call.room.stats().rtt_ms == rtt_ms
    await call.room.leave()


@pytest.mark.parametrize("odd", [None, 1, "x", [], {}, {"info": None}, {"id": 7}])
async def test_what_is_told_in_another_shape_harms_nothing(odd: Any) -> None:
    call = Call()
    call.client.participants = odd
    await call.entered()
    await call.say("on_participant_left", odd, "")
    await call.say("on_network_stats_updated", odd)
    await call.say("on_error", "an error")
    await call.room.leave()


async def test_without_the_sdk_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "daily", None)
    with pytest.raises(ImportError):
        DailyCall(send_rate=24_000, receive_rate=16_000, user_name="bot")


def test_whether_the_sdk_is_there_is_known_without_loading_it() -> None:
    assert daily_ready() in (True, False)
