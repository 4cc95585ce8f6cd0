"""The control channel of a session with a stock bot, on a line that a test holds."""

import asyncio
import base64
import json
from itertools import pairwise

import pytest
from stock_line import READY, RTC, SOCKET, TRUSTED_S, FakeLine, Held, running

from voxwire import ErrorCode, Feature, TransportError, UsageError, VoxwireError
from voxwire._files import Files
from voxwire.rtvi._control import AGAIN_S, MAX_QUEUED, TRIES
from voxwire.rtvi._frames import Interruption
from voxwire_protocol import wire
from voxwire_protocol.rtvi import RtviMessage
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time


@in_virtual_time
async def test_the_client_says_that_it_is_ready_and_is_attached_when_the_bot_is(
    time: VirtualTime,
) -> None:
    held = Held(time, FakeLine(RTC))
    async with running(held, time, ready=False) as line:
        assert line.kinds == ["client-ready"]
        assert held.control.features == frozenset()
        line.say(READY, READY)
        await time.settle()
        assert held.handler.told == ["attached 0 0"]
        assert held.handler.welcome.session_id == "s-1"
        assert held.control.features == {Feature.RECONNECT}
        assert held.control.sent is None  # nothing is numbered, and nothing acknowledged
    assert line.closed


@in_virtual_time
async def test_a_tap_sees_envelopes_and_the_json_that_they_are_on_the_line(
    time: VirtualTime,
) -> None:
    held = Held(time, FakeLine(RTC))
    async with running(held, time):
        held.send(send_text=wire.SendText(text="hello"))
        held.send(ping=wire.Ping())
    seen = [(it.direction, it.envelope.WhichOneof("payload")) for it in held.tapped]
    assert seen == [
        *(("out", "hello"), ("in", "welcome"), ("in", "state_changed"), ("out", "send_text"))
    ]
    written = [json.loads(it.data)["type"] for it in held.tapped]
    assert written == ["client-ready", "bot-ready", "bot-ready", "send-text"]


@pytest.mark.parametrize(("carrier", "resume_ms"), [(SOCKET, None), (RTC, 0)])
@in_virtual_time
async def test_what_cannot_come_back_says_so_and_ends(
    time: VirtualTime, carrier: wire.Carrier.ValueType, resume_ms: int | None
) -> None:
    held = Held(time, FakeLine(carrier), resume_ms=resume_ms)
    async with running(held, time) as line:
        assert held.control.features == frozenset()
        line.lose()
        failure = await held.failure()
    assert failure.code == ErrorCode.CONNECTION_LOST
    assert held.handler.told == ["attached 0 0"]


@in_virtual_time
async def test_another_line_is_asked_for_once_the_bot_has_given_this_one_up(
    time: VirtualTime,
) -> None:
    after = FakeLine(RTC)
    held = Held(time, FakeLine(RTC), after)
    async with running(held, time) as line:
        held.send(mute=wire.Mute(muted=True))
        began_ms = time.now_ms()
        line.lose()
        await time.settle()
        held.send(send_text=wire.SendText(text="hello"))
        await time.advance(TRUSTED_S * 1000 + 1)
        assert held.dialling.asked_ms == [began_ms + TRUSTED_S * 1000]
        assert held.dialling.muted == [True]
        assert held.handler.told == ["attached 0 0", "lost 1", "attached 1 3000", "skipped"]
        assert (held.handler.welcome.epoch, held.handler.welcome.resumed) == (2, True)
        assert line.closed
        assert after.kinds == ["send-text"]  # and not client-ready once more
        assert await held.control.wait_line() is after  # type: ignore[comparison-overlap]


@in_virtual_time
async def test_three_tries_and_it_is_over(time: VirtualTime) -> None:
    refused = TransportError(ErrorCode.UNREACHABLE, "nobody there", retryable=True)
    held = Held(time, FakeLine(RTC), *([refused] * TRIES))
    async with running(held, time) as line:
        line.lose()
        await time.advance((TRUSTED_S + AGAIN_S * TRIES) * 1000)
        failure = await held.failure()
    assert failure.code == ErrorCode.SESSION_EXPIRED
    assert "nobody there" in failure.reason
    gaps = [after - before for before, after in pairwise(held.dialling.asked_ms)]
    assert gaps == [AGAIN_S * 1000] * (TRIES - 1)


@in_virtual_time
async def test_a_refusal_that_is_final_is_not_tried_again(time: VirtualTime) -> None:
    refused = UsageError(ErrorCode.UNSUPPORTED, "no such session")
    held = Held(time, FakeLine(RTC), refused)
    async with running(held, time) as line:
        line.lose()
        await time.advance(TRUSTED_S * 1000 + 1)
        failure = await held.failure()
    assert failure.code == ErrorCode.SESSION_EXPIRED
    assert len(held.dialling.asked_ms) == 1


@in_virtual_time
async def test_no_longer_than_the_caller_wants(time: VirtualTime) -> None:
    held = Held(time, FakeLine(RTC), resume_ms=1000)
    async with running(held, time) as line:
        line.lose()
        await time.advance(TRUSTED_S * 1000 + 1)
        assert (await held.failure()).code == ErrorCode.SESSION_EXPIRED
    assert held.dialling.asked_ms == []


@in_virtual_time
async def test_a_bot_that_hangs_up_ends_the_session_in_order(time: VirtualTime) -> None:
    held = Held(time, FakeLine(RTC))
    async with running(held, time) as line:
        await time.advance(1500)
        line.lose(ended=True)
        await held.failure()
    [ended] = held.handler.of("session_ended")
    assert ended.reason == wire.EndReason.END_REASON_BOT
    assert ended.duration_ms == 1500


@in_virtual_time
async def test_who_hangs_up_does_not_wait_for_the_end_of_a_sentence(time: VirtualTime) -> None:
    held = Held(time, FakeLine(SOCKET))
    async with running(held, time) as line:
        held.send(bye=wire.Bye())
        await time.settle()
        assert line.kinds[-1] == "disconnect-bot"
        [ended] = held.handler.of("session_ended")
        assert ended.reason == wire.EndReason.END_REASON_CLIENT
        line.say(RtviMessage("bot-started-speaking"), Interruption())
        line.lose(ended=True)
        await held.failure()
        assert held.handler.envelopes[-1].HasField("session_ended")


@in_virtual_time
async def test_what_the_bot_has_no_message_for_is_refused_at_the_call(time: VirtualTime) -> None:
    held = Held(time, FakeLine(RTC))
    async with running(held, time) as line:
        with pytest.raises(UsageError) as refused:
            held.send(interrupt=wire.Interrupt())
        assert refused.value.code == ErrorCode.UNSUPPORTED
        held.send(playout_report=wire.PlayoutReport(media_ms=1))
        held.send(path_open=wire.PathOpen(path_id=1))
        await time.settle()
        assert line.kinds == ["client-ready"]


@in_virtual_time
async def test_what_is_too_large_is_refused_and_a_tool_is_answered_all_the_same(
    time: VirtualTime,
) -> None:
    held = Held(time, FakeLine(RTC), max_bytes=1000)
    async with running(held, time) as line:
        with pytest.raises(VoxwireError) as refused:
            held.send(send_text=wire.SendText(text="x" * 1000))
        assert refused.value.code == ErrorCode.TOO_LARGE
        call = {"tool_call_id": "c", "function_name": "show", "arguments": {"a": 1}}
        line.say(RtviMessage("llm-function-call-in-progress", call))
        await time.settle()
        [request] = held.handler.of("tool_request")
        assert request.timeout_ms == 600_000
        held.send(tool_result=wire.ToolResult(call_id="c", result_json='"' + "y" * 1000 + '"'))
        await time.settle()
        [result] = [m.data for m in line.written if m.type == "llm-function-call-result"]
        assert result["result"]["error"]["code"] == "too_large"
        assert result["arguments"] == {"a": 1}


@in_virtual_time
async def test_no_more_than_so_much_waits_for_a_line(time: VirtualTime) -> None:
    held = Held(time, FakeLine(RTC), FakeLine(RTC))
    async with running(held, time) as line:
        line.lose()
        await time.settle()
        for _ in range(MAX_QUEUED):
            held.send(send_text=wire.SendText(text="x"))
        with pytest.raises(VoxwireError) as refused:
            held.send(send_text=wire.SendText(text="x"))
        assert refused.value.code == ErrorCode.CAPACITY


@in_virtual_time
async def test_an_interruption_voids_what_came_and_has_not_sounded(time: VirtualTime) -> None:
    held = Held(time, FakeLine(SOCKET))
    async with running(held, time) as line:
        line.say(Interruption())  # of nothing
        held.inflow.end = 24_010
        line.say(Interruption(), Interruption())
        await time.settle()
        [flush] = held.handler.of("flush")
        assert (flush.flush_id, flush.until_media_ms) == (1, 1001)
        assert held.inflow.end == 24_024


@in_virtual_time
async def test_over_webrtc_a_message_says_it_if_there_is_something_to_cut(
    time: VirtualTime,
) -> None:
    held = Held(time, FakeLine(RTC))
    async with running(held, time) as line:
        held.inflow.end = 2400
        line.say(RtviMessage("bot-interrupted"))
        await time.settle()
        assert not held.handler.of("flush")
        line.say(RtviMessage("bot-tts-started"), RtviMessage("bot-started-speaking"))
        line.say(RtviMessage("bot-interrupted"))
        await time.settle()
        kinds = [e.WhichOneof("payload") for e in held.handler.envelopes]
        assert kinds[-3:] == ["flush", "utterance_ended", "interrupted"]


@in_virtual_time
async def test_a_word_is_where_the_last_sample_sounded(time: VirtualTime) -> None:
    held = Held(time, FakeLine(SOCKET))
    async with running(held, time) as line:
        held.handler.position_ms = 500
        line.say(
            RtviMessage("bot-tts-text", {"text": 7}), RtviMessage("bot-tts-text", {"text": "hi"})
        )
        await time.settle()
        [words] = held.handler.of("utterance_words")
        assert words.base_media_ms == 499
        assert words.source == wire.TimingSource.TIMING_SOURCE_ARRIVAL
        assert held.control.bad_messages == 1


@in_virtual_time
async def test_a_file_goes_to_the_bot_in_one_message(time: VirtualTime) -> None:
    held = Held(time, FakeLine(RTC))
    async with running(held, time) as line:
        assert held.handler.welcome.accepts.types == ["*/*"]
        files = Files(held.control.send)
        begin = wire.FileBegin(name="a.txt", type="text/plain", text="read this")
        sending = asyncio.create_task(files.send(begin, b"x" * 20_000))
        for _ in range(3):
            await time.settle()
            for payload in ("file_taken", "file_ended"):
                for said in held.handler.of(payload):
                    files.receive(wire.Envelope(**{payload: said}))
            held.handler.envelopes.clear()
        await sending
        [message] = [each for each in line.written if each.type == "send-file"]
        assert message.data["content"] == "read this"
        source = message.data["file"]["source"]
        assert base64.b64decode(source["bytes"]) == b"x" * 20_000
    [shown] = [it for it in held.tapped if it.envelope.WhichOneof("payload").startswith("file_")]
    assert (shown.direction, json.loads(shown.data)["type"]) == ("out", "send-file")


@in_virtual_time
async def test_a_file_that_is_no_message_of_the_carrier_is_refused(time: VirtualTime) -> None:
    held = Held(time, FakeLine(RTC))
    async with running(held, time):
        held.send(file_begin=wire.FileBegin(file_id="f", name="a", type="a/b", size=65_536))
        assert not held.handler.of("file_ended")  # soon, not at once
        await time.settle()
        [ended] = held.handler.of("file_ended")
        assert ended.code == wire.ErrorCode.ERROR_CODE_TOO_LARGE


@in_virtual_time
async def test_a_file_that_the_bot_is_too_far_behind_for_is_refused_to_whoever_sends_it(
    time: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(time, FakeLine(RTC))
    async with running(held, time) as line:
        files = Files(held.control.send)
        monkeypatch.setattr(held.handler, "handle", files.receive)
        line.holds = asyncio.Event()
        for _ in range(MAX_QUEUED):
            held.send(send_text=wire.SendText(text="hello"))
        with pytest.raises(VoxwireError, match="too much waits") as refused:
            await files.send(wire.FileBegin(name="a.txt", type="text/plain"), b"x" * 20_000)
        assert (refused.value.code, refused.value.retryable) == (ErrorCode.CAPACITY, True)
        line.holds.set()
        await time.settle()
        await files.send(wire.FileBegin(name="a.txt", type="text/plain"), b"x" * 20_000)
        assert line.kinds.count("send-file") == 1


@pytest.mark.parametrize("begin_size", [10, 1 << 20])
@in_virtual_time
async def test_what_telling_of_a_file_raises_ends_the_session(
    time: VirtualTime, monkeypatch: pytest.MonkeyPatch, begin_size: int
) -> None:
    def refuse(envelope: wire.Envelope) -> None:
        raise UsageError(ErrorCode.INTERNAL, envelope.WhichOneof("payload") or "")

    held = Held(time, FakeLine(RTC))
    async with running(held, time):
        monkeypatch.setattr(held.handler, "handle", refuse)
        held.send(file_begin=wire.FileBegin(file_id="f", name="a", type="a/b", size=begin_size))
        failure = await time.until(held.failure(), limit_ms=1000)
    assert failure.code == ErrorCode.INTERNAL
    assert failure.reason == ("file_taken" if begin_size == 10 else "file_ended")


def _output(spoken: str, rest: str) -> RtviMessage:
    progress = {"accumulated_text": spoken, "remaining_text": rest}
    data = {"text": spoken + rest, "segment_id": 1, "spoken_progress": progress}
    return RtviMessage("bot-output", data)


async def _owes(line: FakeLine, time: VirtualTime) -> None:
    """The bot has stopped, and its last word is missing."""
    line.say(RtviMessage("bot-started-speaking"), _output("", "It is."))
    line.say(RtviMessage("bot-tts-text", {"text": "It"}), RtviMessage("bot-stopped-speaking"))
    await time.settle()


@pytest.mark.parametrize(("after_ms", "heard"), [(180, 2), (999, 2), (1001, 1)])
@in_virtual_time
async def test_the_end_of_an_utterance_waits_a_second_for_a_word_that_is_late(
    time: VirtualTime, after_ms: int, heard: int
) -> None:
    held = Held(time, FakeLine(SOCKET))
    async with running(held, time) as line:
        await _owes(line, time)
        assert held.handler.of("utterance_ended") == []
        await asyncio.sleep(after_ms / 1000)
        line.say(_output("It is.", ""))
        await asyncio.sleep(5)
        [ended] = held.handler.of("utterance_ended")
        assert ended.heard_words == heard
        assert ended.end == wire.UtteranceEnd.UTTERANCE_END_COMPLETED


@in_virtual_time
async def test_what_telling_the_end_that_waited_raises_ends_the_session(
    time: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(envelope: wire.Envelope) -> None:
        raise UsageError(ErrorCode.INTERNAL, envelope.WhichOneof("payload") or "")

    held = Held(time, FakeLine(SOCKET))
    async with running(held, time) as line:
        await _owes(line, time)
        monkeypatch.setattr(held.handler, "handle", refuse)
        await time.advance(1001)
        assert held.running is not None
        assert held.running.done()
        assert (await held.failure()).reason == "utterance_ended"


@in_virtual_time
async def test_an_interruption_behind_the_end_throws_no_sound_away(time: VirtualTime) -> None:
    held = Held(time, FakeLine(RTC))
    async with running(held, time) as line:
        await _owes(line, time)
        held.inflow.end = 2400  # of which a part may still sound
        line.say(RtviMessage("bot-interrupted"))
        await time.settle()
        assert [it.end for it in held.handler.of("utterance_ended")] == [
            wire.UtteranceEnd.UTTERANCE_END_COMPLETED
        ]
        assert held.handler.of("interrupted") == held.handler.of("flush") == []


@in_virtual_time
async def test_the_end_that_waits_is_told_before_that_of_the_session(time: VirtualTime) -> None:
    held = Held(time, FakeLine(SOCKET))
    async with running(held, time) as line:
        await _owes(line, time)
        line.lose(ended=True)
        await held.failure()
        await asyncio.sleep(5)
    told = [envelope.WhichOneof("payload") for envelope in held.handler.envelopes]
    assert told[-2:] == ["utterance_ended", "session_ended"]
