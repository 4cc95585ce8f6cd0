"""A session against a scripted server: what is heard, when, and how it ends."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from peer import RATE, UNIT_S, Peer, connect, now_s, serving, tone
from virtual import virtual

import voxwire
from voxwire.playout import Block
from voxwire_protocol import wire

QUIET = 33
"""-60 dBFS as a peak of int16 samples."""


class Ear(voxwire.Recording):
    """A recording that also knows when each block sounds."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks: list[tuple[float, Block]] = []

    def write(self, block: Block, at: float) -> None:
        self.blocks.append((at, block))
        super().write(block, at)

    def sounds_between(self, start: float, end: float) -> float:
        """How long there is sound between two moments, seconds."""
        total = 0
        for at, block in self.blocks:
            times = at + np.arange(len(block.samples)) / RATE
            within = (times >= start) & (times < end)
            total += int((np.abs(block.samples.astype(int))[within] > QUIET).sum())
        return total / RATE

    def time_of(self, media_ms: int) -> float:
        """When the sample at a position sounded."""
        position = media_ms * RATE // 1000
        for at, block in self.blocks:
            for span in block.spans:
                if span.kind.moves and span.position <= position < span.position + span.length:
                    return at + (span.offset + position - span.position) / RATE
        raise AssertionError(f"{media_ms} ms was not played")


@virtual
async def test_words_fire_in_order_when_their_position_sounds() -> None:
    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.utterance("u1", 100, words=8, word_ms=95)
        await peer.audio(100, tone(300))
        await asyncio.sleep(0.2)
        await peer.audio(400, tone(460))
        await peer.reported(860)
        await peer.goodbye()

    ear = Ear()
    fired: list[tuple[float, voxwire.BotWord]] = []
    async with (
        serving(script) as url,
        connect(url, transport="websocket", speaker=ear) as session,
    ):
        async for event in session:
            if isinstance(event, voxwire.BotWord):
                fired.append((now_s(), event))
    assert [word.index for _, word in fired] == list(range(8))
    assert [word.text for _, word in fired] == [f"word{index}" for index in range(8)]
    errors_ms = [abs(at - ear.time_of(word.start_ms)) * 1000 for at, word in fired]
    assert max(errors_ms) <= 0.1, errors_ms


@virtual
async def test_a_word_of_an_utterance_that_waits_for_its_audio_does_not_fire() -> None:
    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.utterance("u1", 0, words=2, word_ms=100)
        await asyncio.sleep(0.3)
        assert all(not report.playing and not report.media_ms for _, report in peer.reports)
        await peer.audio(0, tone(200))
        await peer.reported(200)
        await peer.goodbye()

    ear = Ear()
    async with (
        serving(script) as url,
        connect(url, transport="websocket", speaker=ear) as session,
    ):
        await session.wait_for(voxwire.BotWord)
        assert abs(now_s() - ear.time_of(0)) < 0.0001


@virtual
async def test_a_flush_is_silence_at_once_and_a_report_of_where_it_stopped() -> None:
    moments: list[float] = []
    reports: list[wire.PlayoutReport] = []

    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.utterance("u1", 0, words=20, word_ms=100)
        await peer.audio(0, tone(2000))
        await peer.reported(500)
        moments.append(now_s())
        await peer.say(flush=wire.Flush(path_id=peer.path_id, flush_id=7, until_media_ms=2000))
        reports.append(await peer.flushed(7))
        moments.append(now_s())
        await peer.audio(1000, tone(500))  # late audio of what was cut
        await peer.say(
            utterance_words=wire.UtteranceWords(
                utterance_id="u1",
                first_index=20,
                base_media_ms=1500,
                text="late",
                words=[wire.Word(char_end=4, end_ms=100)],
            )
        )
        await asyncio.sleep(0.3)
        await peer.utterance("u2", 2000, words=1, word_ms=200)
        await peer.audio(2000, tone(200))
        await peer.reported(2200)
        await peer.goodbye()

    ear = Ear()
    words: list[voxwire.BotWord] = []
    flushed: list[voxwire.Flushed] = []
    async with (
        serving(script) as url,
        connect(url, transport="websocket", speaker=ear) as session,
    ):
        async for event in session:
            match event:
                case voxwire.BotWord():
                    words.append(event)
                case voxwire.Flushed():
                    flushed.append(event)
                case _:
                    pass
    sent, reported = moments
    assert reported - sent < 0.003
    (report,) = reports
    assert not report.playing
    assert [(f.flush_id, f.media_ms) for f in flushed] == [(7, report.media_ms)]
    assert ear.sounds_between(sent, sent + 0.3) < 0.031
    timeline = np.abs(ear.samples.astype(int))
    stop = report.media_ms * RATE // 1000 + RATE // 1000
    assert timeline[stop : 2000 * RATE // 1000].max() == 0
    assert [word.utterance_id for word in words][-1] == "u2"
    before = [word for word in words if word.utterance_id == "u1"]
    assert [word.index for word in before] == list(range(len(before)))
    assert all(word.start_ms < report.media_ms for word in before)
    assert len(before) == -(-report.media_ms // 100)


@virtual
async def test_a_flush_of_what_was_played_already_changes_nothing() -> None:
    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.audio(0, tone(200))
        await peer.reported(200)
        await peer.say(flush=wire.Flush(path_id=peer.path_id, flush_id=1, until_media_ms=200))
        assert (await peer.flushed(1)).media_ms == 200
        await peer.goodbye()

    async with serving(script) as url, connect(url, transport="websocket") as session:
        assert (await session.wait_for(voxwire.Flushed)).media_ms == 200


@virtual
async def test_a_state_is_applied_when_the_speaker_reaches_it() -> None:
    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.state("THINKING")
        await peer.state("SPEAKING", media_ms=300)
        await peer.state("IDLE", media_ms=500)
        await asyncio.sleep(0.15)
        await peer.audio(300, tone(200))
        await peer.reported(500)
        await peer.goodbye()

    ear = Ear()
    seen: list[tuple[str, float]] = []
    async with (
        serving(script) as url,
        connect(url, transport="websocket", speaker=ear) as session,
    ):
        async for event in session:
            if isinstance(event, voxwire.StateChanged):
                seen.append((event.bot, now_s()))
    assert [state for state, _ in seen] == ["thinking", "speaking", "idle"]
    assert abs(seen[1][1] - ear.time_of(300)) < 0.0001
    assert abs(seen[2][1] - ear.time_of(499)) < 0.003


@virtual
async def test_reports_come_every_100_ms_while_the_bot_speaks_and_never_go_back() -> None:
    collected: list[tuple[int, wire.PlayoutReport]] = []

    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.audio(0, tone(1000))
        await peer.reported(1000)
        await asyncio.sleep(0.3)
        collected.extend(peer.reports)
        await peer.goodbye()

    async with serving(script) as url, connect(url, transport="websocket") as session:
        async for _ in session:
            pass
    positions = [report.media_ms for _, report in collected]
    assert positions == sorted(positions)
    assert positions[0] < 40
    assert positions[-1] == 1000
    assert not collected[-1][1].playing
    assert 9 <= len(collected) <= 14
    assert all(report.path_id == 1 for _, report in collected)


@virtual
async def test_the_microphone_is_sent_in_real_time_and_silence_follows() -> None:
    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.heard("audio", count=25)
        await peer.until_bye()
        chunks = [m.audio for m in peer.received if m.WhichOneof("payload") == "audio"]
        assert [c.sample_index for c in chunks] == [320 * n for n in range(len(chunks))]
        assert all(len(c.data) == 640 for c in chunks)
        data = b"".join(c.data for c in chunks)
        sent = np.frombuffer(data, "<i2")
        assert (sent[:3200] == 1000).all()
        assert (sent[3200:] == 0).all()

    start = now_s()
    async with (
        serving(script) as url,
        connect(url, transport="websocket", microphone=np.full(3200, 1000, np.int16)) as session,
    ):
        await asyncio.sleep(0.6)
        await session.close()
    assert now_s() - start < 3 * UNIT_S


@virtual
async def test_a_muted_microphone_sends_nothing() -> None:
    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.heard("audio")
        await peer.heard("mute")
        count = len([m for m in peer.received if m.WhichOneof("payload") == "audio"])
        await asyncio.sleep(0.2)
        assert len([m for m in peer.received if m.WhichOneof("payload") == "audio"]) == count
        await peer.until_bye()

    async with (
        serving(script) as url,
        connect(url, transport="websocket", microphone=np.ones(16000, np.int16)) as session,
    ):
        await asyncio.sleep(0.1)
        await session.mute()
        await asyncio.sleep(0.4)


@virtual
async def test_a_microphone_that_fails_ends_the_session_with_a_media_error() -> None:
    async def broken():
        yield b"\0\0" * 320
        raise OSError("unplugged")

    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.socket.wait_closed()

    async def listen(url: str) -> None:
        async with connect(url, transport="websocket", microphone=broken()) as session:
            async for _ in session:
                pass

    async with serving(script) as url:
        with pytest.raises(voxwire.MediaError, match="unplugged"):
            await listen(url)


@virtual
async def test_what_the_user_does_reaches_the_server() -> None:
    async def script(peer: Peer) -> None:
        await peer.ready()
        text = (await peer.heard("send_text")).send_text
        assert (text.text, text.run_immediately, text.audio_response) == ("hi", True, True)
        await peer.heard("interrupt")
        message = (await peer.heard("app_message")).app_message
        assert (message.type, message.data_json, message.request_id) == ("k", '{"a":1}', "r")
        await peer.say(
            app_message=wire.AppMessage(type="k", data_json="[1]", request_id="r", response=True)
        )
        await peer.until_bye()

    async with serving(script) as url, connect(url, transport="websocket") as session:
        await session.send_text("hi")
        await session.interrupt()
        await session.send_message("k", {"a": 1}, request_id="r")
        answer = await session.wait_for(voxwire.AppMessage)
        assert (answer.data, answer.response) == ([1], True)


@virtual
async def test_a_bot_that_says_goodbye_ends_the_iteration_after_its_audio_was_played() -> None:
    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.audio(0, tone(400))
        await peer.goodbye()
        await peer.socket.wait_closed()

    ear = Ear()
    seen: list[voxwire.Event] = []
    async with (
        serving(script) as url,
        connect(url, transport="websocket", speaker=ear) as session,
    ):
        async for event in session:
            seen.append(event)
        with pytest.raises(voxwire.UsageError):
            await session.send_text("too late")
    assert isinstance(seen[-1], voxwire.SessionEnded)
    assert seen[-1].reason == "bot"
    assert len(ear.samples) == 400 * RATE // 1000


async def abort(peer: Peer) -> None:
    peer.socket.transport.abort()


async def close_lost(peer: Peer) -> None:
    await peer.socket.close(4000 + voxwire.ErrorCode.GOING_AWAY, "bye")


async def fall_silent(peer: Peer) -> None:
    peer.socket.transport.pause_reading()
    await asyncio.sleep(4 * UNIT_S)


async def fail_fatally(peer: Peer) -> None:
    code = wire.ErrorCode.ERROR_CODE_BOT_FAILED
    await peer.say(error=wire.Error(code=code, reason="oops", fatal=True))


async def end_with_error(peer: Peer) -> None:
    code = wire.ErrorCode.ERROR_CODE_BOT_FAILED
    await peer.say(error=wire.Error(code=code, reason="oops"))
    reason = wire.EndReason.END_REASON_ERROR
    await peer.say(session_ended=wire.SessionEnded(reason=reason))


async def drop_path(peer: Peer) -> None:
    await peer.say(path_close=wire.PathClose(path_id=peer.path_id, reason="gone"))


@pytest.mark.parametrize(
    ("fault", "family"),
    [
        (abort, voxwire.TransportError),
        (close_lost, voxwire.SessionError),
        (fall_silent, voxwire.TransportError),
        (fail_fatally, voxwire.BotError),
        (end_with_error, voxwire.BotError),
        (drop_path, voxwire.TransportError),
    ],
)
@pytest.mark.parametrize("waiting", ["iterating", "wait_for", "body"])
@virtual
async def test_a_session_that_dies_is_a_typed_error_for_whoever_waits(
    fault, family: type[voxwire.VoxwireError], waiting: str
) -> None:
    async def script(peer: Peer) -> None:
        await peer.ready()
        await fault(peer)

    async def wait(url: str) -> None:
        async with connect(url, transport="websocket") as session:
            if waiting == "iterating":
                async for _ in session:
                    pass
            elif waiting == "wait_for":
                await session.wait_for(voxwire.BotWord, timeout_ms=6000 * UNIT_S)
            else:
                with contextlib.suppress(voxwire.UsageError):
                    while True:
                        await asyncio.sleep(0.05)
                        await session.interrupt()

    async with serving(script) as url, asyncio.timeout(8 * UNIT_S):
        with pytest.raises(family):
            await wait(url)


@virtual
async def test_wait_for_has_a_deadline() -> None:
    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.until_bye()

    async with serving(script) as url, connect(url, transport="websocket") as session:
        with pytest.raises(voxwire.TransportError, match="BotWord"):
            await session.wait_for(voxwire.BotWord, timeout_ms=100)


@virtual
async def test_two_tasks_that_read_events_are_told_so() -> None:
    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.until_bye()

    async with serving(script) as url, connect(url, transport="websocket") as session:
        await session.wait_for(voxwire.PathChanged)

        async def read() -> None:
            async for _ in session:
                pass

        task = asyncio.create_task(read())
        await asyncio.sleep(0.05)
        with pytest.raises(voxwire.UsageError, match="another task"):
            await anext(session)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@virtual
async def test_one_bad_message_ends_nothing() -> None:
    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.socket.send(b"\xff\xff\xff")
        await peer.socket.send("text")
        await peer.socket.send(wire.Envelope(bye=wire.Bye(), seq=99).SerializeToString())
        await peer.state("LISTENING")
        await peer.until_bye()

    async with serving(script) as url, connect(url, transport="websocket") as session:
        assert (await session.wait_for(voxwire.StateChanged)).bot == "listening"


@virtual
async def test_a_ping_is_answered_and_the_round_trip_is_measured() -> None:
    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.say(ping=wire.Ping(number=3, t0_us=5))
        pong = (await peer.heard("pong")).pong
        assert (pong.number, pong.t0_us) == (3, 5)
        assert pong.t1_us <= pong.t2_us
        await peer.heard("ping", count=2)
        await peer.until_bye()

    async with serving(script) as url, connect(url, transport="websocket") as session:
        await asyncio.sleep(0.5)
        assert session.round_trip_ms is not None
        assert session.round_trip_ms == 2


@virtual
async def test_closing_is_bounded_when_the_server_does_not_answer_bye() -> None:
    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.socket.wait_closed()

    async with serving(script) as url, connect(url, transport="websocket") as session:
        start = now_s()
        await session.close()
        await session.close()
        assert now_s() - start < 3 * UNIT_S


@virtual
async def test_leaving_by_an_exception_or_by_cancellation_says_bye_and_leaves_nothing() -> None:
    byes: list[Peer] = []

    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.until_bye()
        byes.append(peer)

    async with serving(script) as url:
        with pytest.raises(ZeroDivisionError):
            async with connect(url, transport="websocket"):
                raise ZeroDivisionError

        async def stay() -> None:
            async with connect(url, transport="websocket") as session:
                async for _ in session:
                    pass

        task = asyncio.create_task(stay())
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert len(byes) == 2


async def test_ctrl_c_ends_a_program_in_order(tmp_path: Path) -> None:
    said_bye = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.audio(0, tone(1000))
        await peer.until_bye()
        said_bye.set()

    program = """
        import asyncio, sys, voxwire
        async def main():
            _, url, out = sys.argv
            async with voxwire.connect(url, transport="websocket", speaker=out) as s:
                print("ready", flush=True)
                async for _ in s:
                    pass
        asyncio.run(main())
    """
    out = tmp_path / "bot.wav"
    async with serving(script) as url:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            textwrap.dedent(program),
            url,
            str(out),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        await process.stdout.readline()
        await asyncio.sleep(0.6)  # real time: moment
        os.kill(process.pid, signal.SIGINT)
        async with asyncio.timeout(10 * UNIT_S):
            _, error = await process.communicate()
        assert b"KeyboardInterrupt" in error
        assert b"Task was destroyed" not in error
        assert said_bye.is_set()
    size = int.from_bytes(out.read_bytes()[40:44], "little")
    assert size == out.stat().st_size - 44 > 1000
