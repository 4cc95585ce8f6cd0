"""What the model is told: schemas without references, results that are never empty."""

import pytest

from voxwire_protocol.errors import ErrorCode
from voxwire_protocol.event_enums import ToolOutcome
from voxwire_protocol.tools import CallError
from voxwire_server.pipeline.bot_tools import for_model, inlined
from voxwire_server.tools.values import Outcome


@pytest.mark.parametrize("value", [None, {}, [], 0, False, "", "text", [1]])
def test_a_result_is_an_object_that_is_not_empty(value: object) -> None:
    assert for_model(Outcome(ToolOutcome.DONE, value=value)) == {"result": value}


def test_an_object_is_passed_on_and_what_went_wrong_is_said() -> None:
    assert for_model(Outcome(ToolOutcome.DONE, value={"a": 1})) == {"a": 1}
    error = CallError(ErrorCode.TIMEOUT, "too long")
    told = for_model(Outcome(ToolOutcome.TIMED_OUT, error=error))
    assert told == {"error": {"code": "TIMEOUT", "reason": "too long"}}
    told = for_model(Outcome(ToolOutcome.CANCELLED, reason="not now"))
    assert told == {"cancelled": True, "reason": "not now"}


def test_references_are_replaced_by_what_they_name() -> None:
    place = {"type": "object", "properties": {"name": {"type": "string"}}}
    schema = {
        "type": "object",
        "properties": {"to": {"$ref": "#/$defs/place", "description": "where"}},
        "$defs": {"place": place},
    }
    assert inlined(schema)["properties"]["to"] == {**place, "description": "where"}
    assert "$defs" not in inlined(schema)


def test_what_refers_to_itself_or_explodes_is_refused() -> None:
    loop = {"type": "object", "$ref": "#/$defs/a", "$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}}
    bomb = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 10} for n in range(6)}
    bomb["d6"] = {"allOf": []}
    for schema in (loop, {"type": "object", "$ref": "#/$defs/d0", "$defs": bomb}):
        with pytest.raises(ValueError, match="schema"):
            inlined(schema)
