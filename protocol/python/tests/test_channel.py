"""Numbered delivery loses nothing, repeats nothing and reorders nothing."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from voxwire_protocol import wire
from voxwire_protocol.channel import (
    ACK_DELAY_MS,
    ACK_EVERY,
    MIN_SEND_BYTES,
    Channel,
    ChannelError,
    ReplayLimits,
)

Code = wire.ErrorCode


def server(**options) -> Channel:
    return Channel(allowed=wire.CLIENT_PAYLOADS, **options)


def client(**options) -> Channel:
    return Channel(allowed=wire.SERVER_PAYLOADS, **options)


def app(name: str, **numbers: int) -> wire.Envelope:
    return wire.Envelope(app_message=wire.AppMessage(type=name), **numbers)


def audio(**numbers: int) -> wire.Envelope:
    return wire.Envelope(audio=wire.AudioChunk(path_id=1, data=bytes(640)), **numbers)


def encoded(name: str, **numbers: int) -> bytes:
    return app(name, **numbers).SerializeToString()


def names(messages: list[wire.Envelope] | tuple[wire.Envelope, ...]) -> list[str]:
    return [message.app_message.type for message in messages]


def raises(code: Code.ValueType, call: Callable[[], object]) -> ChannelError:
    with pytest.raises(ChannelError) as raised:
        call()
    assert raised.value.code == code
    assert str(raised.value) == raised.value.reason
    return raised.value


class TestSend:
    def test_reliable_messages_are_numbered_from_one(self) -> None:
        channel = client()
        sent = [wire.Envelope.FromString(channel.send(app("m"), 0)[0]).seq for _ in range(3)]
        assert sent == [1, 2, 3]
        assert (channel.last_sent, channel.unacknowledged) == (3, 3)

    def test_the_given_message_is_not_changed_and_its_numbers_are_ignored(self) -> None:
        channel = client()
        message = app("m", seq=9, ack=8)
        assert channel.send(message, 0) == [encoded("m", seq=1)]
        assert message == app("m", seq=9, ack=8)
        assert channel.send(audio(ack=8), 0) == [audio().SerializeToString()]

    def test_lossy_messages_are_neither_numbered_nor_kept(self) -> None:
        channel = client()
        assert channel.send(audio(), 0) == [audio().SerializeToString()]
        assert channel.last_sent == 0
        assert channel.resume(0, 0) == []

    def test_an_owed_ack_goes_with_audio_once(self) -> None:
        channel = server()
        channel.receive(encoded("m", seq=1), 0)
        assert channel.send(audio(), 1) == [audio(ack=1).SerializeToString()]
        assert channel.send(audio(), 2) == [audio().SerializeToString()]
        assert channel.outgoing(9999) == []

    def test_a_lossy_message_that_is_refused_leaves_the_ack_owed(self) -> None:
        channel = client(max_send_bytes=MIN_SEND_BYTES)
        channel.receive(encoded("a", seq=1), 0)
        raises(Code.ERROR_CODE_TOO_LARGE, lambda: channel.send(audio(), 0))
        [data] = channel.outgoing(ACK_DELAY_MS)
        assert wire.Envelope.FromString(data).ack == 1

    def test_a_welcome_carries_no_ack(self) -> None:
        channel = server()
        channel.receive(encoded("m", seq=1), 0)
        welcome = wire.Envelope(welcome=wire.Welcome(last_seq=1))
        assert channel.send(welcome, 1) == [welcome.SerializeToString()]
        assert channel.next_due_ms == ACK_DELAY_MS

    @pytest.mark.parametrize(
        "message", [wire.Envelope(), wire.Envelope(seq=1), wire.Envelope(chunk=wire.Chunk())]
    )
    def test_no_payload_and_chunks_are_refused(self, message: wire.Envelope) -> None:
        channel = client()
        raises(Code.ERROR_CODE_INVALID_ARGUMENT, lambda: channel.send(message, 0))
        assert channel.last_sent == 0

    def test_lossy_messages_above_the_limit_are_refused_and_reliable_ones_above_the_next(
        self,
    ) -> None:
        channel = client(max_send_bytes=600, max_message_bytes=2000)
        raises(Code.ERROR_CODE_TOO_LARGE, lambda: channel.send(audio(), 0))
        raises(Code.ERROR_CODE_TOO_LARGE, lambda: channel.send(app("x" * 2000), 0))
        assert channel.last_sent == 0
        assert len(channel.send(app("x" * 1900), 0)) == 4

    def test_the_limit_can_be_set_once_the_peer_has_said_it(self) -> None:
        channel = client()
        assert channel.max_send_bytes == wire.DEFAULT_MAX_MESSAGE_BYTES
        channel.max_send_bytes = MIN_SEND_BYTES
        assert len(channel.send(app("x" * 200), 0)) == 4
        with pytest.raises(ValueError, match="at least 128"):
            channel.max_send_bytes = MIN_SEND_BYTES - 1

    @given(size=st.integers(0, 3000), limit=st.integers(MIN_SEND_BYTES, 1000))
    def test_nothing_is_above_the_limit_even_when_replayed_with_a_long_ack(
        self, size: int, limit: int
    ) -> None:
        channel = client(max_send_bytes=limit)
        peer = server(max_receive_bytes=limit)
        first = channel.send(app("x" * size), 0)
        channel._received = 2**64 - 1
        again = channel.resume(0, 0)
        assert again is not None
        assert max(map(len, first + again)) <= limit
        got = [message for data in first for message in peer.receive(data, 0)]
        assert names(got) == ["x" * size]


class TestReceive:
    def test_audio_and_acks_are_not_numbered(self) -> None:
        channel = server()
        channel.send(app("m"), 0)
        assert channel.receive(audio(ack=1).SerializeToString(), 0) == [audio(ack=1)]
        assert channel.unacknowledged == 0
        assert channel.receive(wire.Envelope(ack_only=wire.Ack()).SerializeToString(), 0) == []

    def test_early_messages_wait_for_the_gap(self) -> None:
        channel = server()
        assert channel.receive(encoded("c", seq=3), 0) == []
        assert channel.receive(encoded("b", seq=2), 0) == []
        assert channel.receive(encoded("b", seq=2), 0) == []
        assert (channel.last_received, channel.next_due_ms) == (0, None)
        assert names(channel.receive(encoded("a", seq=1), 0)) == ["a", "b", "c"]
        assert channel.last_received == 3

    def test_what_is_held_is_bounded_and_a_refused_message_can_come_again(self) -> None:
        channel = server(limits=ReplayLimits(messages=3, total_bytes=200))
        wrong = Code.ERROR_CODE_UNEXPECTED_MESSAGE
        assert channel.receive(encoded("x" * 100, seq=2), 0) == []
        too_much = encoded("x" * 100, seq=3)
        assert raises(wrong, lambda: channel.receive(too_much, 0)).seq == 3
        assert channel.receive(encoded("x", seq=3), 0) == []
        too_far = encoded("x", seq=4)
        assert raises(wrong, lambda: channel.receive(too_far, 0)).seq == 4
        assert len(channel.receive(encoded("y" * 500, seq=1), 0)) == 3
        assert len(channel.receive(encoded("x", seq=4), 0)) == 1

    def test_what_was_delivered_does_not_count_against_what_may_be_held(self) -> None:
        channel = server(limits=ReplayLimits(total_bytes=200))
        for seq in range(1, 20):
            channel.receive(encoded("x" * 50, seq=seq), 0)
        assert channel.receive(encoded("x" * 100, seq=21), 0) == []

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"\xff",
            b"\x08\x01",
            b"\x08\x01\x10\x01",
            encoded("unnumbered"),
            audio(seq=1).SerializeToString(),
            encoded("acks the future", seq=1, ack=1),
            audio(ack=1).SerializeToString(),
        ],
    )
    def test_malformed_messages_change_nothing(self, data: bytes) -> None:
        channel = server()
        raises(Code.ERROR_CODE_MALFORMED, lambda: channel.receive(data, 0))
        assert (channel.last_received, channel.next_due_ms) == (0, None)
        assert names(channel.receive(encoded("a", seq=1), 0)) == ["a"]

    def test_a_message_above_the_limit_is_not_even_parsed(self) -> None:
        channel = server(max_receive_bytes=100)
        raises(Code.ERROR_CODE_TOO_LARGE, lambda: channel.receive(b"\xff" * 101, 0))

    @pytest.mark.parametrize(
        "payload", [b"\xca\x02\x00", b"\xc2\x3e\x00"], ids=["server only", "unknown"]
    )
    def test_a_wrong_payload_counts_so_that_those_behind_it_do_not_wait(
        self, payload: bytes
    ) -> None:
        channel = server()
        wrong = Code.ERROR_CODE_UNEXPECTED_MESSAGE
        raises(wrong, lambda: channel.receive(b"\x08\x01" + payload, 0))
        assert channel.receive(b"\x08\x01" + payload, 0) == []
        assert channel.receive(encoded("d", seq=4), 0) == []
        raises(wrong, lambda: channel.receive(b"\x08\x03" + payload, 0))
        assert names(channel.receive(encoded("b", seq=2), 0)) == ["b", "d"]
        error = raises(wrong, lambda: self._fill_a_gap_with(channel, payload))
        assert (error.seq, names(error.delivered)) == (5, ["f"])

    @staticmethod
    def _fill_a_gap_with(channel: Channel, payload: bytes) -> None:
        assert channel.receive(encoded("f", seq=6), 0) == []
        channel.receive(b"\x08\x05" + payload, 0)

    def test_an_unnumbered_wrong_payload_is_refused(self) -> None:
        welcome = wire.Envelope(welcome=wire.Welcome()).SerializeToString()
        error = raises(Code.ERROR_CODE_UNEXPECTED_MESSAGE, lambda: server().receive(welcome, 0))
        assert error.seq == 0

    @settings(max_examples=500)
    @given(garbage=st.lists(st.binary(max_size=40), max_size=8))
    def test_garbage_raises_nothing_but_channel_errors_and_the_channel_goes_on(
        self, garbage: list[bytes]
    ) -> None:
        channel = server()
        for data in garbage:
            try:
                channel.receive(data, 0)
            except ChannelError:
                pass
        following = channel.last_received + 1
        assert "ok" in names(channel.receive(encoded("ok", seq=following), 0))


class TestAcknowledge:
    def test_due_250_ms_after_the_oldest_message(self) -> None:
        channel = server()
        channel.receive(encoded("m", seq=1), 100)
        channel.receive(encoded("m", seq=2), 300)
        assert channel.next_due_ms == 100 + ACK_DELAY_MS
        assert channel.outgoing(100 + ACK_DELAY_MS - 1) == []
        ack = wire.Envelope(ack=2, ack_only=wire.Ack()).SerializeToString()
        assert channel.outgoing(100 + ACK_DELAY_MS) == [ack]
        assert channel.next_due_ms is None
        assert channel.outgoing(10_000) == []

    def test_due_at_once_after_32_messages(self) -> None:
        channel = server()
        for seq in range(1, ACK_EVERY + 1):
            assert channel.outgoing(7) == []
            channel.receive(encoded("m", seq=seq), 7)
        assert channel.next_due_ms == 7
        assert len(channel.outgoing(7)) == 1

    def test_due_at_once_after_a_repetition(self) -> None:
        channel = server()
        channel.receive(encoded("m", seq=1), 0)
        channel.outgoing(1000)
        assert channel.receive(encoded("m", seq=1), 2000) == []
        assert channel.next_due_ms == 2000
        channel.receive(encoded("m", seq=2), 2100)
        assert channel.next_due_ms == 2000

    def test_not_owed_any_more_on_a_lost_carrier(self) -> None:
        channel = server()
        channel.receive(encoded("m", seq=1), 0)
        channel.on_lost(1)
        assert channel.next_due_ms is None
        assert channel.last_received == 1


class TestResume:
    def test_repeats_what_is_missing_with_the_current_ack(self) -> None:
        channel = server()
        for name in "abc":
            channel.send(app(name), 0)
        channel.receive(encoded("x", seq=1), 0)
        channel.on_lost(0)
        assert channel.resume(1, 0) == [
            encoded("b", seq=2, ack=1),
            encoded("c", seq=3, ack=1),
        ]
        assert channel.unacknowledged == 2
        assert channel.resume(3, 0) == []

    def test_a_number_that_was_never_sent_is_refused(self) -> None:
        channel = server()
        channel.send(app("a"), 0)
        raises(Code.ERROR_CODE_MALFORMED, lambda: channel.resume(2, 0))
        assert channel.resume(0, 0) == [encoded("a", seq=1)]

    def test_going_back_behind_an_acknowledgement_cannot_be_repeated(self) -> None:
        channel = server()
        channel.send(app("a"), 0)
        channel.receive(audio(ack=1).SerializeToString(), 0)
        assert channel.resume(0, 0) is None

    @pytest.mark.parametrize(
        ("limits", "kept"),
        [
            (ReplayLimits(messages=2), 2),
            (ReplayLimits(total_bytes=len(encoded("m")) * 3), 3),
            (ReplayLimits(age_ms=20), 3),
        ],
    )
    def test_what_exceeds_a_limit_is_gone(self, limits: ReplayLimits, kept: int) -> None:
        channel = server(limits=limits)
        for at_ms in range(0, 50, 10):
            channel.send(app("m"), at_ms)
        assert channel.resume(5 - kept - 1, 40) is None
        missing = channel.resume(5 - kept, 40)
        assert missing is not None
        assert len(missing) == kept

    def test_a_restart_numbers_anew_in_both_directions(self) -> None:
        channel = server()
        channel.send(app("a"), 0)
        channel.receive(encoded("x", seq=1), 0)
        channel.receive(encoded("z", seq=3), 0)
        channel.restart()
        assert (channel.last_received, channel.last_sent, channel.unacknowledged) == (0, 0, 0)
        assert channel.next_due_ms is None
        assert channel.resume(0, 0) == []
        assert channel.send(app("b"), 0) == [encoded("b", seq=1)]
        assert names(channel.receive(encoded("x", seq=1), 0)) == ["x"]
        assert names(channel.receive(encoded("y", seq=2), 0)) == ["y"]


class TestChunks:
    def test_pieces_may_stand_between_others_and_continue_on_the_next_carrier(self) -> None:
        sender, receiver = client(max_send_bytes=128), server()
        pieces = sender.send(app("x" * 200), 0)
        assert len(pieces) == 4
        assert receiver.receive(pieces[0], 0) == []
        assert receiver.receive(audio().SerializeToString(), 0) == [audio()]
        receiver.on_lost(0)
        rest = sender.resume(receiver.last_received, 0)
        assert rest == pieces[1:]
        got = [message for data in rest for message in receiver.receive(data, 0)]
        assert got == [app("x" * 200, seq=4)]

    def test_a_message_of_exactly_the_limit_passes(self) -> None:
        size = len(encoded("x" * 400))
        sender = client(max_send_bytes=128, max_message_bytes=size)
        receiver = server(max_message_bytes=size)
        pieces = sender.send(app("x" * 400), 0)
        got = [message for data in pieces for message in receiver.receive(data, 0)]
        assert names(got) == ["x" * 400]

    @pytest.mark.parametrize(
        ("chunk", "code"),
        [
            (wire.Chunk(index=1, data=b"x"), Code.ERROR_CODE_MALFORMED),
            (wire.Chunk(total_bytes=2), Code.ERROR_CODE_MALFORMED),
            (wire.Chunk(total_bytes=1025, data=b"x"), Code.ERROR_CODE_TOO_LARGE),
            (wire.Chunk(total_bytes=1, data=b"xx", last=True), Code.ERROR_CODE_MALFORMED),
            (wire.Chunk(total_bytes=2, data=b"x", last=True), Code.ERROR_CODE_MALFORMED),
            (wire.Chunk(total_bytes=1, data=b"x"), Code.ERROR_CODE_MALFORMED),
            (wire.Chunk(total_bytes=1, data=b"\xff", last=True), Code.ERROR_CODE_MALFORMED),
        ],
    )
    def test_a_piece_that_does_not_fit_is_refused_and_counts(
        self, chunk: wire.Chunk, code: Code.ValueType
    ) -> None:
        channel = server(max_message_bytes=1024)
        data = wire.Envelope(seq=1, chunk=chunk).SerializeToString()
        assert raises(code, lambda: channel.receive(data, 0)).seq == 1
        assert names(channel.receive(encoded("next", seq=2), 0)) == ["next"]

    @pytest.mark.parametrize(
        ("inner", "code"),
        [
            (app("m", seq=1), Code.ERROR_CODE_MALFORMED),
            (app("m", ack=1), Code.ERROR_CODE_MALFORMED),
            (audio(), Code.ERROR_CODE_MALFORMED),
            (wire.Envelope(chunk=wire.Chunk(data=b"x")), Code.ERROR_CODE_MALFORMED),
            (wire.Envelope(flush=wire.Flush()), Code.ERROR_CODE_UNEXPECTED_MESSAGE),
        ],
    )
    def test_what_a_chunked_message_may_not_be(
        self, inner: wire.Envelope, code: Code.ValueType
    ) -> None:
        body = inner.SerializeToString()
        chunk = wire.Chunk(total_bytes=len(body), data=body, last=True)
        data = wire.Envelope(seq=1, chunk=chunk).SerializeToString()
        channel = server()
        raises(code, lambda: channel.receive(data, 0))
        assert channel.last_received == 1

    def test_several_faults_released_at_once_raise_the_first_and_lose_nothing(self) -> None:
        channel = server()
        bad = wire.Chunk(index=1, data=b"x")
        for seq in (3, 4):
            channel.receive(wire.Envelope(seq=seq, chunk=bad).SerializeToString(), 0)
        channel.receive(encoded("b", seq=2), 0)
        channel.receive(encoded("e", seq=5), 0)
        data = encoded("a", seq=1)
        error = raises(Code.ERROR_CODE_MALFORMED, lambda: channel.receive(data, 0))
        assert (error.seq, names(error.delivered)) == (3, ["a", "b", "e"])


class TwoSides(RuleBasedStateMachine):
    """Two channels over carriers that drop, repeat, reorder and break."""

    def __init__(self) -> None:
        super().__init__()
        options = {
            "max_send_bytes": 200,
            "max_receive_bytes": 200,
            "limits": ReplayLimits(messages=12, total_bytes=1500, age_ms=3000),
        }
        self.sides = (client(**options), server(**options))
        self.now_ms = 0
        self.count = 0
        self.forget()

    def forget(self) -> None:
        self.flying: tuple[list[bytes], list[bytes]] = ([], [])
        self.sent: tuple[list[str], list[str]] = ([], [])
        self.got: tuple[list[str], list[str]] = ([], [])

    def deliver(self, way: int, data: bytes) -> None:
        side = self.sides[1 - way]
        before = side.last_received
        try:
            messages = side.receive(data, self.now_ms)
        except ChannelError as error:  # too far ahead of a gap: the replay brings it again
            too_far = error.code == Code.ERROR_CODE_UNEXPECTED_MESSAGE and error.seq > before + 1
            if not too_far:
                raise
            return
        self.got[way].extend(names([m for m in messages if m.HasField("app_message")]))

    @rule(way=st.integers(0, 1), size=st.sampled_from([0, 10, 150, 400]))
    def send(self, way: int, size: int) -> None:
        self.count += 1
        name = f"{self.count}:" + "x" * size
        self.sent[way].append(name)
        self.flying[way].extend(self.sides[way].send(app(name), self.now_ms))

    @rule(way=st.integers(0, 1))
    def send_lossy(self, way: int) -> None:
        ping = wire.Envelope(ping=wire.Ping(number=1))
        self.flying[way].extend(self.sides[way].send(ping, self.now_ms))

    @rule(way=st.integers(0, 1), passed_ms=st.sampled_from([0, 50, 300, 2000]))
    def tick(self, way: int, passed_ms: int) -> None:
        self.now_ms += passed_ms
        due_ms = self.sides[way].next_due_ms
        written = self.sides[way].outgoing(self.now_ms)
        assert bool(written) == (due_ms is not None and due_ms <= self.now_ms)
        self.flying[way].extend(written)

    @precondition(lambda self: any(self.flying))
    @rule(data=st.data(), repeat=st.booleans(), drop=st.booleans())
    def carry(self, data: st.DataObject, repeat: bool, drop: bool) -> None:
        way = data.draw(st.sampled_from([way for way in (0, 1) if self.flying[way]]))
        flying = self.flying[way]
        at = data.draw(st.integers(0, min(len(flying) - 1, 3)))
        piece = flying[at] if repeat else flying.pop(at)
        if not drop:
            self.deliver(way, piece)

    @rule(keep_old=st.booleans())
    def reconnect(self, keep_old: bool) -> None:
        replays: list[list[bytes] | None] = []
        for way in (0, 1):
            self.sides[way].on_lost(self.now_ms)
        for way in (0, 1):
            last_seq = self.sides[1 - way].last_received
            replays.append(self.sides[way].resume(last_seq, self.now_ms))
        if any(replay is None for replay in replays):
            for side in self.sides:
                side.restart()
            self.forget()
            return
        for way in (0, 1):
            if not keep_old:
                self.flying[way].clear()
            self.flying[way].extend(replays[way] or [])

    @rule()
    def settle(self) -> None:
        """After a resume over a sound carrier nothing is missing."""
        self.reconnect(keep_old=False)
        for way in (0, 1):
            for piece in self.flying[way]:
                self.deliver(way, piece)
            self.flying[way].clear()
        assert self.got == self.sent
        for way in (0, 1):
            assert self.sides[way].last_sent == self.sides[1 - way].last_received

    @invariant()
    def delivered_is_a_prefix_of_sent(self) -> None:
        for way in (0, 1):
            assert self.got[way] == self.sent[way][: len(self.got[way])]
            side = self.sides[way]
            assert 0 <= side.unacknowledged <= side.last_sent


TwoSides.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestTwoSides = TwoSides.TestCase


def test_what_waits_for_the_peer_is_known_and_whether_more_fits() -> None:
    sender = client(limits=ReplayLimits(messages=2, total_bytes=400))
    assert sender.waiting_since_ms is None
    for now_ms, fits in ((5, True), (6, True), (7, False)):
        message = app(f"m{now_ms}")
        assert sender.has_room(message) == fits
        if fits:
            sender.send(message, now_ms)
    assert sender.waiting_since_ms == 5
    sender.resume(1, 8)
    assert (sender.waiting_since_ms, sender.unacknowledged) == (6, 1)
    assert sender.has_room(app("x"))
    assert not sender.has_room(app("x" * 400))
    sender.resume(2, 9)
    assert sender.waiting_since_ms is None
