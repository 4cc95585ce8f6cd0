"""Pipecat's own evaluation harness holds its scenarios against our server, in text modality."""

from pathlib import Path

import pytest
from pipecat.evals.results import EvalScriptResult
from pipecat.evals.scenario import EvalScenarioFile
from pipecat.evals.script_session import EvalScriptSession
from pipecat.evals.session import EvalSessionParams

from tests.interop.bots import FAULTS, concierge
from tests.support.waiting import PATIENT, until
from voxwire_server.testing import running_server

SCENARIOS = sorted((Path(__file__).parent / "scenarios").glob("*.yaml"))


async def run(path: Path, fault: str, timeout_ms: int) -> EvalScriptResult:
    """Run the one scenario of a file against a server of its own."""
    [scenario] = EvalScenarioFile.load(str(path))
    params = EvalSessionParams(default_timeout_ms=timeout_ms)
    async with running_server(concierge(path.stem, fault), **PATIENT) as server:
        session = EvalScriptSession.from_scenario(scenario, f"{server.url}/ws", params=params)
        result = await session.run()
        await until(lambda: len(server.registry) == 0)
    return result


def test_there_are_eight_and_each_has_a_fault_that_it_finds() -> None:
    assert {path.stem for path in SCENARIOS} == set(FAULTS)
    assert len(SCENARIOS) >= 8


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
async def test_a_scenario_passes(path: Path) -> None:
    result = await run(path, "", 60_000)
    assert result.passed, (result.failures, result.events_seen)


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
async def test_a_scenario_fails_against_a_bot_with_its_fault(path: Path, tmp_path: Path) -> None:
    # what must not come is waited for until it does: a busy machine may be late
    patient = tmp_path / path.name
    patient.write_text(path.read_text("utf-8").replace("within_ms: 700", "within_ms: 60000"))
    result = await run(patient, FAULTS[path.stem], 500)
    assert [failure.kind for failure in result.failures], result.events_seen
    assert result.failures[0].turn_index >= 0, result.failures
