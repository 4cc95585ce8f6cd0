"""A report says what happened and never what was said, whoever says it."""

import json
from typing import Any

import pytest
from virtual import session_of, virtual

import voxwire
from voxwire.testing import FakeServer, FakeSession


def breaks(samples: Any, media_ms: float) -> None:
    raise LookupError("CANARY")


class BrokenMicrophone:
    def read(self, num_samples: int) -> Any:
        raise LookupError("CANARY")

    async def run(self) -> None:
        return


async def bot(session: FakeSession) -> None:
    await session.say("CANARY")
    await session.text()


@pytest.mark.parametrize("side", [{"speaker": breaks}, {"microphone": BrokenMicrophone()}])
@virtual
async def test_what_a_function_raised_is_named_by_its_type(side: dict[str, Any]) -> None:
    async with FakeServer(bot) as server:
        with pytest.raises(voxwire.MediaError, match="CANARY"):  # the program is told all of it
            async with session_of(server, **side) as session:
                await session.wait_for(voxwire.SessionEnded)
    report = session.report()
    assert "CANARY" not in json.dumps(report)
    [failed] = [it for it in report["journal"] if it["what"] == "failed"]
    assert (failed["code"], failed["cause"]) == ("device", "LookupError")


@virtual
async def test_why_a_connection_was_lost_is_said() -> None:
    async with FakeServer(bot) as server:
        with pytest.raises(voxwire.TransportError):
            async with session_of(server, resume=False, token="CANARY") as session:
                server.session.drop()
                await session.wait_for(voxwire.SessionEnded)
    [failed] = [it for it in session.report()["journal"] if it["what"] == "failed"]
    assert failed["reason"] and "cause" not in failed
    assert "CANARY" not in json.dumps(session.report())
