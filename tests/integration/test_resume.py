"""A session goes on over a new socket: nothing lost, nothing twice, or a snapshot that says so."""

import asyncio
import itertools
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pipecat.processors.aggregators.llm_context import LLMContext

from tests.support.clicks import make_bot
from tests.support.inside import channel_messages, is_attached, only_session
from tests.support.raw import RawClient, dial
from tests.support.waiting import until
from voxwire_protocol import wire
from voxwire_server.testing import running_server

EXPIRED = 4000 + wire.ErrorCode.ERROR_CODE_SESSION_EXPIRED
SUPERSEDED = 4000 + wire.ErrorCode.ERROR_CODE_SUPERSEDED


@pytest.fixture
def sent() -> Iterator[list[bytes]]:
    """Every reliable message that the server has sent, in order, as it stands in the schema."""
    messages: list[bytes] = []

    def take(envelope: wire.Envelope) -> None:
        if envelope.WhichOneof("payload") in wire.RELIABLE_PAYLOADS:
            messages.append(envelope.SerializeToString())

    with channel_messages(take):
        yield messages


def received(client: RawClient) -> list[bytes]:
    """The same of the client's side."""
    messages = []
    for event in client.events:
        bare = wire.Envelope()
        bare.CopyFrom(event)
        bare.seq = bare.ack = 0
        messages.append(bare.SerializeToString())
    return messages


async def answered(client: RawClient, text: str, number: int) -> wire.UtteranceEnded:
    """Ask, and wait until the answer is heard to its end."""
    before = len(client.of("utterance_ended"))
    await client.send(send_text=wire.SendText(text=text))
    await client.until(lambda: len(client.of("utterance_ended")) >= before + number)
    ended: wire.UtteranceEnded = client.of("utterance_ended")[-1]
    return ended


def gaps(client: RawClient, utterance: wire.UtteranceStarted, end_ms: int) -> list[int]:
    """Milliseconds of an utterance that the client got no audio for."""
    have = set()
    for chunk in client.audio:
        start = chunk.sample_index // 24
        have.update(range(start, start + len(chunk.data) // 48))
    return [ms for ms in range(utterance.media_ms, end_ms) if ms not in have]


@pytest.mark.parametrize("after_s", [0.05, 0.4, 0.9, 1.6])
async def test_a_cut_in_mid_sentence_loses_nothing(after_s: float, sent: list[bytes]) -> None:
    contexts: list[LLMContext] = []
    async with running_server(make_bot(contexts)) as server, dial(server.url) as client:
        await client.open_path(1)
        await client.send(send_text=wire.SendText(text="say 12"))
        await client.until(lambda: bool(client.audio))
        await asyncio.sleep(after_s)  # real time: moment
        for path_id in (2, 3):
            await client.drop()
            await client.attach()
            await client.until(lambda n=path_id: len(client.welcomes) == n)
            assert client.welcome.resumed
            assert client.welcome.epoch == path_id
            await client.open_path(path_id)
        await client.until(lambda: bool(client.of("utterance_ended")))
        [started], [ended] = client.of("utterance_started"), client.of("utterance_ended")
        assert ended.end == wire.UtteranceEnd.UTTERANCE_END_COMPLETED
        assert ended.heard_words == 12
        assert gaps(client, started, ended.heard_media_ms) == []
        await client.until(lambda: len(client.events) >= len(sent))
        assert received(client) == sent
        assert client.seqs == list(range(1, len(sent) + 1))
        assert len(server.registry) == 1
    assert contexts[0].get_messages()[-1]["content"].split()[-1] == "w11."


async def test_a_lost_welcome_is_given_again(sent: list[bytes]) -> None:
    async with running_server(make_bot()) as server:
        client = RawClient(server.url)
        nonce = b"n" * 16
        await client.open_socket()
        hello = client.hello(nonce=nonce)
        await client.send_raw(wire.Envelope(hello=hello).SerializeToString())
        await asyncio.sleep(0.2)  # real time: moment: the Welcome is on its way, nobody reads it
        first = client.socket
        assert first is not None
        await client.attach(client.hello(nonce=nonce))
        await client.until(lambda: bool(client.welcomes))
        assert not client.welcome.resumed
        assert client.welcome.epoch == 1
        assert len(server.registry) == 1
        await client.open_path(1)
        # the same on a resume, twice
        token = client.welcome.resume_token
        nonce = b"m" * 16
        resume = client.hello(nonce=nonce)
        await client.drop()
        for _ in range(2):
            await client.open_socket()
            await client.send_raw(wire.Envelope(hello=resume).SerializeToString())
            await asyncio.sleep(0.1)  # real time: moment
            client.socket.transport.abort()
        await client.attach(resume)
        await client.until(lambda: len(client.welcomes) == 2)
        assert client.welcome.resumed
        assert client.welcome.epoch == 2
        assert client.welcome.resume_token != token
        await client.open_path(2)
        ended = await answered(client, "say 3", 1)
        assert ended.heard_words == 3
        assert received(client)[: len(sent)] == sent
        assert len(server.registry) == 1
        # now that the new token was used, the one before it is void
        stale = RawClient(server.url)
        await stale.attach(client.hello(resume_token=token))
        await stale.until(lambda: stale.close_code is not None)
        assert stale.close_code == EXPIRED
        first.transport.abort()
        await client.drop()


async def test_a_half_open_socket_that_wakes_up_is_out_of_date(sent: list[bytes]) -> None:
    async with running_server(make_bot()) as server, dial(server.url) as client:
        await client.open_path(1)
        old, old_channel_seq = client.socket, client.channel.last_sent
        await client.attach()
        await client.until(lambda: len(client.welcomes) == 2)
        await client.open_path(2)
        late = wire.Envelope(seq=old_channel_seq + 50, send_text=wire.SendText(text="say 9"))
        with_old = wire.Envelope(seq=old_channel_seq + 1, bye=wire.Bye())
        assert old is not None
        for message in (late, with_old):
            try:
                await old.send(message.SerializeToString())
            except Exception:
                break  # closed already, as it should be
        await old.wait_closed()
        assert old.close_code == SUPERSEDED
        ended = await answered(client, "say 2", 1)
        assert ended.heard_words == 2
        assert received(client) == sent
        assert len(server.registry) == 1


async def test_a_voice_that_waited_too_long_is_cut_where_it_was_heard(sent: list[bytes]) -> None:
    contexts: list[LLMContext] = []
    settings = {"voice_gap_ms": 300, "heartbeat_ms": 500}
    async with (
        running_server(make_bot(contexts), **settings) as server,
        dial(server.url) as client,
    ):
        await client.open_path(1)
        await client.send(send_text=wire.SendText(text="say 20"))
        await client.until(lambda: client.heard_ms >= 1500)
        await client.drop()
        heard = client.heard_ms
        await asyncio.sleep(1.5)  # real time: timeout
        await client.attach()
        await client.until(lambda: len(client.welcomes) == 2)
        assert client.welcome.resumed
        audio = len(client.audio)
        await client.open_path(2)
        await client.until(lambda: bool(client.of("utterance_ended")))
        [started], [ended] = client.of("utterance_started"), client.of("utterance_ended")
        assert ended.end == wire.UtteranceEnd.UTTERANCE_END_INTERRUPTED
        assert abs(ended.heard_media_ms - heard) <= 300
        words: dict[int, int] = {}
        for batch in client.of("utterance_words"):
            words.update(onsets(batch))
        heard_words = sum(1 for onset in words.values() if onset < ended.heard_media_ms)
        assert ended.heard_words == heard_words
        assert ended.heard_media_ms > started.media_ms
        [cut] = client.of("interrupted")
        assert cut.source == wire.InterruptionSource.INTERRUPTION_SOURCE_GAP
        assert [flush.path_id for flush in client.of("flush")][-1] == 2
        await asyncio.sleep(0.3)  # real time: silence
        assert len(client.audio) == audio  # nothing is spoken late
        said = contexts[0].get_messages()[-1]["content"].split()
        assert len(said) == ended.heard_words
        # the bot speaks again
        ended = await answered(client, "say 3", 1)
        assert ended.heard_words == 3
        assert received(client) == sent


async def test_an_answer_to_somebody_who_is_just_back_is_not_late(sent: list[bytes]) -> None:
    async with (
        running_server(make_bot(), voice_gap_ms=400) as server,
        dial(server.url) as client,
    ):
        await client.open_path(1)
        await client.drop()
        await asyncio.sleep(0.8)  # real time: timeout
        await client.attach()
        await client.until(lambda: len(client.welcomes) == 2)
        await client.send(send_text=wire.SendText(text="say 3"))
        await client.until(lambda: bool(client.of("utterance_words")))  # it waits for a path
        await client.open_path(2)
        await client.until(lambda: bool(client.of("utterance_ended")))
        [ended] = client.of("utterance_ended")
        assert ended.end == wire.UtteranceEnd.UTTERANCE_END_COMPLETED
        assert ended.heard_words == 3
        assert received(client) == sent


def onsets(batch: wire.UtteranceWords) -> dict[int, int]:
    """Onsets of the words of a message by index, media clock."""
    numbered = enumerate(batch.words, batch.first_index)
    return {index: batch.base_media_ms + word.start_ms for index, word in numbered}


async def test_nobody_back_in_time_is_expired() -> None:
    async with (
        running_server(make_bot(), grace_ms=300) as server,
        dial(server.url) as client,
    ):
        await client.open_path(1)
        await client.drop()
        async with asyncio.timeout(60):
            while len(server.registry):
                await asyncio.sleep(0.02)
        await client.attach()
        await client.until(lambda: client.close_code is not None)
        assert client.close_code == EXPIRED
        assert len(client.welcomes) == 1


async def test_lost_events_are_said_with_a_snapshot(sent: list[bytes]) -> None:
    async with running_server(make_bot()) as server, dial(server.url) as client:
        await client.open_path(1)
        await answered(client, "say 3", 1)
        session = only_session(server)
        await client.drop()
        await until(lambda: not is_attached(session))
        for number in range(3000):
            session.emit(app_message=wire.AppMessage(type="n", data_json=str(number)))
        before = len(client.events)
        await client.attach()
        await client.until(lambda: len(client.welcomes) == 2)
        welcome = client.welcome
        assert not welcome.resumed
        turns = [(turn.role, turn.text, turn.unheard_text) for turn in welcome.snapshot.turns]
        assert turns == [
            (wire.TurnRole.TURN_ROLE_USER, "say 3", ""),
            (wire.TurnRole.TURN_ROLE_BOT, "w0 w1 w2.", ""),
        ]
        assert welcome.snapshot.heard_media_ms > 0
        del sent[:]
        await client.open_path(2)
        ended = await answered(client, "say 2", 1)
        assert ended.heard_words == 2
        assert [event.seq for event in client.events[before:]] == list(range(1, len(sent) + 1))
        assert received(client)[before:] == sent


async def test_a_session_is_only_its_owners() -> None:
    async with running_server(make_bot()) as server, dial(server.url) as client:
        good = client.hello()
        wrong: list[dict[str, Any]] = [
            {"resume_token": bytes(16)},
            {"resume_token": b""},
            {"session_id": good.session_id[:-1] + "!"},
        ]
        answers = set()
        for change in wrong:
            hello = wire.Hello()
            hello.CopyFrom(good)
            for name, value in change.items():
                setattr(hello, name, value)
            answers.add(await refusal(RawClient(server.url), hello))
        page = RawClient(server.url, origin=f"http://127.0.0.1:{server.port}")
        answers.add(await refusal(page, good))
        assert len(answers) == 1  # who is refused learns nothing
        assert next(iter(answers))[0] == EXPIRED
        ahead = wire.Hello()
        ahead.CopyFrom(good)
        ahead.last_seq = 1_000_000
        code, _ = await refusal(RawClient(server.url), ahead)
        assert code == 4000 + wire.ErrorCode.ERROR_CODE_MALFORMED
        assert len(server.registry) == 1
        await client.open_path(1)  # none of it did the session any harm
        assert (await answered(client, "say 1", 1)).heard_words == 1


async def refusal(client: RawClient, hello: wire.Hello) -> tuple[int, bytes]:
    """Close code and error of an attach that is refused."""
    await client.attach(hello)
    await client.until(lambda: client.close_code is not None)
    assert client.close_code is not None
    assert not client.welcomes
    return client.close_code, b"".join(received(client))


async def test_what_the_client_said_meanwhile_arrives_once() -> None:
    async with running_server(make_bot()) as server, dial(server.url) as client:
        await client.open_path(1)
        for path_id, count in zip(itertools.count(2), (2, 4, 3), strict=False):
            await client.drop()
            envelope = wire.Envelope(send_text=wire.SendText(text=f"say {count}"))
            client.channel.send(envelope, _now_ms())  # kept; no socket takes it
            await client.attach()
            await client.until(lambda n=path_id: len(client.welcomes) == n)
            await client.open_path(path_id)
            await client.until(lambda n=path_id: len(client.of("utterance_ended")) == n - 1)
            assert client.of("utterance_ended")[-1].heard_words == count
        typed = [t.text for t in client.of("transcript")]
        assert typed == ["say 2", "say 4", "say 3"]


def _now_ms() -> int:
    return int(time.monotonic() * 1000)
