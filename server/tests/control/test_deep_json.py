"""JSON that nests deep: shown or read up to 128, then a fixed answer on every interpreter."""

import json
from typing import Any

import pytest

from voxwire_protocol import wire
from voxwire_protocol.clocks import SYSTEM_CLOCK
from voxwire_server import BotSession
from voxwire_server.app import wires_of
from voxwire_server.config import Settings
from voxwire_server.ports import SessionFacts
from voxwire_server.session.session import Session
from voxwire_server.tools.reports import ToolReports

FULL = wire.ToolReportLevel.TOOL_REPORT_LEVEL_FULL
DEPTHS = [128, 129, 5_000, 50_000]


async def never(session: Session) -> None:
    raise AssertionError("no bot runs here")


@pytest.mark.parametrize("depth", DEPTHS)
async def test_metadata_that_nests_too_deep_is_none(depth: int) -> None:
    facts = SessionFacts(metadata_json='{"a":' * depth + "1" + "}" * depth)
    session = Session("o.s", settings=Settings(), run_bot=never, facts=facts)
    assert (BotSession(wires_of(session)).metadata == {}) is (depth > 128)


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_result_that_nests_too_deep_is_shown_by_its_type(depth: int) -> None:
    sent: list[wire.ToolCallEnded] = []
    reports = ToolReports(
        lambda **payload: sent.append(payload.get("tool_call_ended")), SYSTEM_CLOCK
    )
    reports.levels["*"] = FULL
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    reports.started("c", "dig", {}, response_id="r")
    reports.ended("c", wire.ToolOutcome.TOOL_OUTCOME_DONE, value)
    assert json.loads(sent[-1].result_json) == (value if depth == 128 else "list")
    while value:  # not freed by recursion
        value = value.pop()
