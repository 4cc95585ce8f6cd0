"""Every public verb with what it cannot use: a typed error at once, and nothing is sent."""

import datetime
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from peer import Peer, serving

import voxwire
from voxwire.session import Session
from voxwire_protocol.errors import ErrorCode

NAN = float("nan")
CIRCLE: dict[str, Any] = {}
CIRCLE["a"] = CIRCLE


def deep() -> Any:
    value: Any = {}
    for _ in range(100_000):
        value = {"a": value}
    return value


def weather(city: str) -> str:
    """Tells the weather."""
    return city


CONNECT: list[tuple[str, Any, str]] = [
    ("metadata", {"a": "x" * 17_000}, "above 8192 bytes"),
    ("metadata", {"a": "ü" * 4100}, "above 8192 bytes"),
    ("metadata", {"a": NAN}, "finite numbers"),
    ("metadata", {"a": float("inf")}, "finite numbers"),
    ("metadata", {"a": datetime.datetime(2026, 1, 1)}, "JSON"),
    ("metadata", {"a": {1}}, "JSON"),
    ("metadata", {"a": b"x"}, "JSON"),
    ("metadata", {"a": "\ud800"}, "JSON"),
    ("metadata", {(1, 2): 3}, "JSON"),
    ("metadata", CIRCLE, "JSON"),
    ("metadata", deep(), "JSON"),
    ("metadata", [1], "a dict, not list"),
    ("metadata", "{}", "a dict, not str"),
    ("token", "tökén", "printable ASCII"),
    ("token", "a b", "printable ASCII"),
    ("token", "a\n", "printable ASCII"),
    ("token", "\ud800", "surrogate"),
    ("token", b"abc", "a str or a function that gives one, not bytes"),
    ("token", 5, "a str or a function that gives one, not int"),
    ("token", "x" * 20_000, "at most"),
    ("token", "x" * 16_000, "above 15872 bytes: token 16000"),
    ("bot", 5, "a str, not int"),
    ("audio_response", 0, "True or False"),
    ("bot", "\ud800", "surrogate"),
    ("bot", "x" * 300, "at most 256"),
    ("url", None, "ws://127.0.0.1:7860"),
    ("url", 5, "ws://127.0.0.1:7860"),
    ("url", b"ws://a", "ws://127.0.0.1:7860"),
    ("url", "", "ws://127.0.0.1:7860"),
    ("url", "ftp://a", "ws://127.0.0.1:7860"),
    ("url", "ws://a b", "without spaces"),
    ("url", "ws://127.0.0.1\n:7", "without spaces"),
    ("url", "ws://a\0b", "without spaces"),
    ("url", "ws://a/\ud800", "without spaces"),
    ("url", "ws://[::1", "ws://127.0.0.1:7860"),
    ("url", "ws://127.0.0.1:99999", "ws://127.0.0.1:7860"),
    ("url", "ws://127.0.0.1:port", "ws://127.0.0.1:7860"),
    ("url", "ws://" + "a" * 70 + ".example", "ws://127.0.0.1:7860"),
    ("url", "ws://me:secret@127.0.0.1", "token="),
    ("transport", None, "one of auto, webrtc, websocket"),
    ("transport", ["webrtc"], "one of auto, webrtc, websocket"),
    ("timeouts", 5, "voxwire.Timeouts(connect_ms=5000), not int"),
    ("timeouts", {"connect_ms": 5}, "voxwire.Timeouts"),
    ("resume", "no", "True or False"),
    ("resume", None, "True or False"),
    ("tools", None, "a list, not NoneType"),
    ("tools", weather, "a list, not function"),
    ("tools", {"weather": weather}, "a list, not dict"),
    ("tools", [5], "cannot be a tool"),
    ("tools", [weather, weather], "the same name"),
    ("ice_policy", None, "one of all, relay"),
    ("ice_servers", "stun:a", "a list, not str"),
    ("ice_servers", 5, "a list, not int"),
    ("ice_servers", [{"urls": "stun:a"}], "voxwire.IceServer"),
    ("ice_servers", [voxwire.IceServer(urls="http://a")], "begins with stun:"),
    ("ice_servers", [voxwire.IceServer(urls=[5])], "begins with stun:"),  # type: ignore[list-item]
    ("ice_servers", [voxwire.IceServer("turn:a", "\ud800")], "surrogate"),
    ("speaker", 5.5, "an object like Recording()"),
    ("speaker", "", "not empty"),
    ("speaker", voxwire.Recording, "pass an instance"),
    ("microphone", 5.5, "voxwire.Audio"),
]


@pytest.mark.parametrize(("name", "value", "says"), CONNECT)
def test_what_connect_cannot_use_is_a_usage_error_before_anything_is_dialled(
    name: str, value: Any, says: str
) -> None:
    arguments: dict[str, Any] = {"url": "ws://127.0.0.1:1", name: value}
    with pytest.raises(voxwire.UsageError) as caught:
        voxwire.connect(arguments.pop("url"), **arguments)
    assert caught.value.code == ErrorCode.INVALID_ARGUMENT
    assert says in caught.value.reason
    assert "secret" not in caught.value.reason


def test_what_connect_can_use_is_taken() -> None:
    """The edges of what is refused above."""
    for arguments in (
        {"metadata": {}},
        {"metadata": {"a": "x" * (8192 - 8)}},
        {"token": "x" * 15_000},
        {"token": ""},
        {"bot": "Ä" * 256},
        {"timeouts": voxwire.Timeouts(resume_ms=0, connect_ms=1e12, wait_ms=0)},
        {"tools": (weather,)},
        {"tools": iter([weather])},
        {"ice_servers": []},
        {"ice_servers": [voxwire.IceServer("turns:a:443?transport=tcp", "u", "p")]},
    ):
        voxwire.connect("wss://bücher.example:443/bots", **arguments)  # type: ignore[arg-type]


VERBS: dict[str, tuple[Callable[[Session], Any], str]] = {
    "text: None": (lambda s: s.send_text(None), "a str, not NoneType"),
    "text: bytes": (lambda s: s.send_text(b"x"), "a str, not bytes"),
    "text: surrogate": (lambda s: s.send_text("\ud800"), "surrogate"),
    "text: too long": (lambda s: s.send_text("x" * 65_537), "at most 65536"),
    "text: run": (lambda s: s.send_text("x", run="no"), "run must"),
    "text: interrupt": (lambda s: s.send_text("x", interrupt=1), "interrupt must"),
    "context: None": (lambda s: s.send_context(None), "a str, not NoneType"),
    "call: method": (lambda s: s.call(5), "method must be a str"),
    "call: data": (lambda s: s.call("m", NAN), "finite numbers"),
    "call: time": (lambda s: s.call("m", timeout_ms=-1), "timeout_ms"),
    "handle": (lambda s: s.handle("m", None), "a function"),
    "dtmf: empty": (lambda s: s.send_dtmf(""), "0-9, * and #"),
    "dtmf: letters": (lambda s: s.send_dtmf("12A"), "0-9, * and #"),
    "dtmf: a number": (lambda s: s.send_dtmf(12), "a str, not int"),
    "events: text": (lambda s: s.events("BotWord"), "classes"),
    "on: text": (lambda s: s.on("BotWord", print), "classes"),
    "on: no function": (lambda s: s.on(voxwire.BotWord, None), "a function"),
    "text: audio": (lambda s: s.send_text("x", speak=None), "speak must"),
    "message: type": (lambda s: s.send_message(5), "type must be a str"),
    "message: type too long": (lambda s: s.send_message("x" * 501), "at most 500"),
    "message: NaN": (lambda s: s.send_message("a", NAN), "finite numbers"),
    "message: datetime": (lambda s: s.send_message("a", datetime.date(2026, 1, 1)), "JSON"),
    "message: circle": (lambda s: s.send_message("a", CIRCLE), "JSON"),
    "message: surrogate": (lambda s: s.send_message("a", "\ud800"), "JSON"),
    "message: too large": (lambda s: s.send_message("a", "x" * 70_000), "above 61440 bytes"),
    "message: id": (lambda s: s.send_message("a", request_id=5), "request_id"),
    "message: response": (lambda s: s.send_message("a", response="yes"), "response"),
    "mute": (lambda s: s.mute("no"), "muted"),
    "mute: None": (lambda s: s.mute(None), "muted"),
    "wait_for: text": (lambda s: s.wait_for("BotWord"), "classes"),
    "wait_for: None": (lambda s: s.wait_for(None), "classes"),
    "wait_for: NaN": (lambda s: s.wait_for(voxwire.BotWord, NAN), "timeout_ms"),
    "wait_for: negative": (lambda s: s.wait_for(voxwire.BotWord, -1), "timeout"),
    "wait_for: text as time": (lambda s: s.wait_for(voxwire.BotWord, "1"), "timeout"),
    "freeze": (lambda s: s.simulate.freeze("1"), "duration_ms"),
    "slow": (lambda s: s.simulate.slow(None), "bytes_per_s"),
    "close": (lambda s: s.close(5), "reason must be a str"),
    "close: surrogate": (lambda s: s.close("\ud800"), "surrogate"),
}


async def test_what_a_verb_cannot_use_is_a_usage_error_and_nothing_is_sent() -> None:
    sent: set[str] = set()

    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.until_bye()
        sent.update(str(m.WhichOneof("payload")) for m in peer.received)

    async with serving(script) as url:
        async with voxwire.connect(url, transport="websocket") as session:
            for name, (call, says) in VERBS.items():
                with pytest.raises(voxwire.UsageError) as caught:
                    result = call(session)
                    if isinstance(result, Awaitable):
                        await result
                assert caught.value.code == ErrorCode.INVALID_ARGUMENT, name
                assert says in caught.value.reason, name
            assert session.connection == voxwire.ConnectionState.CONNECTED
    assert not sent & {"send_text", "app_message", "mute", "interrupt"}


async def test_the_largest_message_that_is_taken_fits_the_server_s_limit() -> None:
    """64 KB, whatever the names are."""

    async def script(peer: Peer) -> None:
        await peer.ready()
        message = await peer.heard("app_message")
        assert message.app_message.ByteSize() <= 65_536
        await peer.until_bye()

    name = "\U0001f600" * 500
    async with serving(script) as url:
        async with voxwire.connect(url, transport="websocket") as session:
            await session.send_message(name, "x" * (61_440 - 2), request_id=name)


async def test_a_connection_is_entered_once() -> None:
    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.until_bye()

    async with serving(script) as url:
        connection = voxwire.connect(url, transport="websocket")
        async with connection as session:
            for _ in range(2):
                with pytest.raises(voxwire.UsageError, match="entered once") as caught:
                    await connection.__aenter__()
                assert caught.value.code == ErrorCode.INVALID_STATE
            assert session.connection == voxwire.ConnectionState.CONNECTED
        with pytest.raises(voxwire.UsageError, match="entered once"):
            await connection.__aenter__()


async def test_a_transcript_says_its_language_and_how_sure_the_recogniser_is() -> None:
    async def script(peer: Peer) -> None:
        from voxwire_protocol import wire

        await peer.ready()
        for confidence in (0.9, None):
            await peer.say(
                transcript=wire.Transcript(
                    text="hallo", final=True, language="de-DE", confidence=confidence
                )
            )
        await peer.until_bye()

    async with serving(script) as url:
        async with voxwire.connect(url, transport="websocket") as session:
            sure = await session.wait_for(voxwire.UserTranscript)
            unsure = await session.wait_for(voxwire.UserTranscript)
    assert (sure.language, sure.confidence) == ("de-DE", 0.9)
    assert unsure.confidence is None


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"connect_ms": 0}, "above 0"),
        ({"connect_ms": -1}, "above 0"),
        ({"connect_ms": NAN}, "a number"),
        ({"connect_ms": float("inf")}, "finite"),
        ({"connect_ms": "5"}, "a number"),
        ({"connect_ms": True}, "a number"),
        ({"connect_ms": None}, "a number"),
        ({"resume_ms": -1}, "at least 0"),
        ({"resume_ms": NAN}, "a number"),
        ({"resume_ms": "5"}, "a number"),
        ({"wait_ms": -1}, "at least 0"),
        ({"wait_ms": None}, "a number"),
    ],
)
def test_a_time_that_is_none_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(voxwire.UsageError, match=says) as caught:
        voxwire.Timeouts(**given)
    assert caught.value.code == ErrorCode.INVALID_ARGUMENT
