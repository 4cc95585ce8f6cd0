"""A stock client's channel and the wires that carry it: what a lost one did not bring."""

import json

import pytest

from tests.support.stock_peer import FakeWire, Peer
from voxwire_protocol import wire
from voxwire_protocol.channel import ChannelError
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.lifecycle import Event

RESUME = frozenset({wire.Feature.FEATURE_RESUME})


@in_virtual_time
async def test_what_is_said_while_nothing_carries_it_comes_first_on_the_next_wire(
    time: VirtualTime,
) -> None:
    peer = Peer(time, features=RESUME)
    peer.channel.lost(peer.wire)
    peer.tell(response_started=wire.ResponseStarted())
    await time.advance(3000)
    peer.tell(response_text=wire.ResponseText(text="Yes"))
    again = FakeWire()
    peer.channel.rebind(again)
    peer.tell(response_ended=wire.ResponseEnded())
    assert peer.wire.sent == []
    assert again.types == [
        *("bot-llm-started", "bot-llm-text", "bot-transcription", "bot-llm-stopped")
    ]
    assert peer.inbox.told[-1] == "back None"
    newer = FakeWire()
    before_ms = time.now_ms()
    peer.channel.rebind(newer)
    assert again.closed is not None
    assert peer.inbox.told[-1] == f"back {before_ms}"
    peer.channel.lost(again)  # the one before is told of late
    assert peer.channel.attached


@pytest.mark.parametrize("noticed", [False, True])
@in_virtual_time
async def test_what_a_wire_took_and_did_not_bring_comes_again(
    time: VirtualTime, noticed: bool
) -> None:
    """All but a call that the page runs: it would run it twice, if it had it after all."""
    peer = Peer(time, features=RESUME)
    peer.tools = {"look"}
    peer.tell(response_started=wire.ResponseStarted())
    peer.wire.confirmed = len(peer.wire.sent)
    peer.tell(tool_call_started=wire.ToolCallStarted(call_id="c", name="look"))
    peer.tell(tool_call_started=wire.ToolCallStarted(call_id="d", name="pay"))
    peer.tell(response_text=wire.ResponseText(text="Yes"))
    if noticed:
        peer.channel.lost(peer.wire)
    again = FakeWire()
    peer.channel.rebind(again)
    peer.tell(response_ended=wire.ResponseEnded())
    calls = [data["tool_call_id"] for data in again.of("llm-function-call-in-progress")]
    assert calls == ["d"]
    assert [kind for kind in again.types if kind.startswith("bot-llm")] == [
        *("bot-llm-text", "bot-llm-stopped")
    ]
    third = FakeWire()
    peer.channel.rebind(third)
    assert third.sent == []  # all of it had come


@pytest.mark.parametrize("noticed", [False, True])
@in_virtual_time
async def test_a_call_that_was_lost_with_the_wire_has_failed_at_once(
    time: VirtualTime, noticed: bool
) -> None:
    peer = Peer(time, features=RESUME)
    peer.tools = {"look"}
    peer.tell(tool_request=wire.ToolRequest(call_id="a", name="look", call_token=b"A"))
    peer.wire.confirmed = len(peer.wire.sent)
    peer.tell(tool_request=wire.ToolRequest(call_id="b", name="look", call_token=b"B"))
    await time.advance(1)
    if noticed:
        peer.channel.lost(peer.wire)
    again = FakeWire()
    peer.channel.rebind(again)
    await time.advance(1)
    assert peer.inbox.kinds == ["tool_accepted", "tool_accepted", "tool_result"]
    failed = peer.inbox.messages[-1].tool_result
    assert (failed.call_id, failed.call_token) == ("b", b"B")
    assert failed.error.code == wire.ErrorCode.ERROR_CODE_CONNECTION_LOST
    assert failed.error.reason == "lost with the connection"
    assert again.sent == []
    for call_id in "ab":  # both had come, after all
        data = {"tool_call_id": call_id, "function_name": "look", "result": 7}
        peer.say("llm-function-call-result", data)
    assert again.types == ["error-response"]
    assert peer.inbox.messages[-1].tool_result.call_id == "a"


@in_virtual_time
async def test_a_call_that_was_over_when_the_wire_was_lost_does_not_fail(time: VirtualTime) -> None:
    peer = Peer(time, features=RESUME)
    peer.tools = {"look"}
    peer.wire.confirmed = 0
    peer.tell(tool_request=wire.ToolRequest(call_id="a", name="look", call_token=b"A"))
    peer.tell(tool_call_ended=wire.ToolCallEnded(call_id="a"))
    again = FakeWire()
    peer.channel.rebind(again)
    await time.advance(1)
    assert "tool_result" not in peer.inbox.kinds
    assert "llm-function-call-in-progress" not in again.types


@in_virtual_time
async def test_a_client_that_comes_back_is_within_reach_before_it_says_anything(
    time: VirtualTime,
) -> None:
    peer = Peer(time, features=RESUME)
    await time.advance(9000)
    peer.channel.rebind(FakeWire())
    assert [told.split()[0] for told in peer.inbox.told] == ["alive", "back"]
    assert peer.channel.last_sign_ms == time.now_ms()


@in_virtual_time
async def test_a_session_that_is_over_takes_no_new_wire(time: VirtualTime) -> None:
    peer = Peer(time, features=RESUME)
    peer.inbox.life.on(Event.BYE)
    with pytest.raises(ChannelError) as refused:
        peer.channel.rebind(FakeWire())
    assert refused.value.code == wire.ErrorCode.ERROR_CODE_SESSION_EXPIRED
    peer.tell(session_ended=wire.SessionEnded())
    assert peer.wire.told_the_end


@in_virtual_time
async def test_a_message_above_the_wires_limit_is_not_sent(time: VirtualTime) -> None:
    peer = Peer(time)
    large = json.dumps("x" * 70_000)
    with pytest.raises(ChannelError) as refused:
        peer.tell(app_message=wire.AppMessage(type="t", data_json=large))
    assert refused.value.code == wire.ErrorCode.ERROR_CODE_TOO_LARGE
    assert peer.wire.sent == []


@in_virtual_time
async def test_a_message_above_the_limit_is_not_kept_for_a_client_that_is_away(
    time: VirtualTime,
) -> None:
    peer = Peer(time, features=RESUME)
    peer.channel.lost(peer.wire)
    with pytest.raises(ChannelError) as refused:
        peer.tell(app_message=wire.AppMessage(type="t", data_json=json.dumps("x" * 70_000)))
    assert refused.value.code == wire.ErrorCode.ERROR_CODE_TOO_LARGE
    peer.tell(app_message=wire.AppMessage(type="t", data_json='"short"'))
    again = FakeWire()
    peer.channel.rebind(again)
    assert [data["d"] for data in again.of("server-message")] == ["short"]
    assert peer.inbox.told[-1] == "back None"


@in_virtual_time
async def test_a_tool_of_the_clients_is_asked_for_once(time: VirtualTime) -> None:
    peer = Peer(time)
    peer.tools = {"look"}
    peer.tell(tool_call_started=wire.ToolCallStarted(call_id="c", name="look"))
    peer.tell(tool_request=wire.ToolRequest(call_id="c", name="look"))
    peer.tell(tool_call_started=wire.ToolCallStarted(call_id="d", name="pay"))
    calls = [data["tool_call_id"] for data in peer.wire.of("llm-function-call-in-progress")]
    assert calls == ["c", "d"]


@in_virtual_time
async def test_a_request_counts_as_taken_when_a_wire_has_it(time: VirtualTime) -> None:
    peer = Peer(time, features=RESUME)
    peer.tell(tool_request=wire.ToolRequest(call_id="c", name="look"))
    assert peer.inbox.messages == []  # not before the session has asked
    await time.advance(1)
    assert [m.tool_accepted.call_id for m in peer.inbox.messages] == ["c"]
    peer.channel.lost(peer.wire)
    peer.tell(tool_request=wire.ToolRequest(call_id="d", name="look"))
    await time.advance(1)
    again = FakeWire()
    peer.channel.rebind(again)
    assert (len(peer.inbox.messages), again.sent) == (1, [])  # the session asks again itself
