"""What is on its way to a context, and when it is there."""

from typing import Any

from pipecat.frames.frames import (
    FunctionCallCancelFrame,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    FunctionCallResultProperties,
)

from voxwire_server.pipeline.ahead import Ahead


def begins(call_id: str = "c1") -> FunctionCallInProgressFrame:
    return FunctionCallInProgressFrame("pay", call_id, {}, cancel_on_interruption=True)


def ends(call_id: str = "c1", *, is_final: bool = True) -> FunctionCallResultFrame:
    properties = FunctionCallResultProperties(is_final=is_final)
    return FunctionCallResultFrame("pay", call_id, {}, result=1, properties=properties)


def cancels(call_id: str = "c1") -> FunctionCallCancelFrame:
    return FunctionCallCancelFrame("pay", call_id)


def results(messages: list[Any]) -> list[str]:
    return [it["content"] for it in messages if it.get("role") == "tool"]


def test_a_call_is_behind_what_was_said_until_the_context_has_it() -> None:
    ahead, spoken = Ahead(), {"role": "assistant", "content": "one moment"}
    ahead.started(begins())
    messages = ahead.complete([spoken])
    assert messages[0] == spoken and results(messages) == ["IN_PROGRESS"]
    # the context has it, which is not known yet: and once
    assert ahead.complete(messages) == messages
    ahead.taken(begins())
    assert ahead.complete([spoken]) == [spoken]  # a summary has taken its place


def test_a_result_stands_in_its_place_before_the_context_has_it() -> None:
    ahead = Ahead()
    ahead.started(begins())
    context = ahead.complete([])
    ahead.taken(begins())
    ahead.ended(ends())
    assert results(ahead.complete(context)) == ["1"]
    assert results(context) == ["IN_PROGRESS"]  # which is the model's own
    ahead.taken(ends(is_final=False))
    assert results(ahead.complete(context)) == ["1"]
    ahead.taken(ends())
    assert ahead.complete(context) == context


def test_a_cancellation_that_overtakes_its_call_does_not_lose_it() -> None:
    ahead = Ahead()
    ahead.started(begins())
    ahead.ended(cancels())
    ahead.taken(cancels())
    assert results(ahead.complete([])) == ["CANCELLED"]
    ahead.taken(begins())
    ahead.taken(cancels())
    assert ahead.complete([]) == []


def test_a_model_may_use_an_id_twice() -> None:
    ahead = Ahead()
    ahead.started(begins())
    ahead.ended(ends())
    ahead.started(begins())
    assert results(ahead.complete([])) == ["1", "IN_PROGRESS"]
    ahead.taken(begins())
    ahead.taken(ends())
    assert results(ahead.complete([])) == ["IN_PROGRESS"]


def test_of_calls_that_no_context_takes_the_newest_are_remembered() -> None:
    ahead = Ahead()
    for number in range(300):
        ahead.started(begins(f"c{number}"))
    assert len(results(ahead.complete([]))) == 256


def test_a_text_is_on_its_way_until_its_frame_was_taken() -> None:
    ahead, frame = Ahead(), begins()
    first, second = ahead.told("one"), ahead.told("two")
    ahead.told("")  # beside a file nothing need be written
    assert ahead.texts == ["one", "two"]
    ahead.forget(first)
    ahead.forget(first)
    assert ahead.texts == ["two"]
    second.frame_id = frame.id
    ahead.taken(frame)
    assert ahead.texts == ["two"]  # that was a call
