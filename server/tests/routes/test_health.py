"""What whoever watches the server is told: a load balancer, an orchestrator."""

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from voxwire_server.routes.health import health_router


@pytest.mark.parametrize(("ready", "busy"), [(True, False), (True, True), (False, False)])
def test_only_a_server_that_cannot_be_used_is_taken_out_and_not_a_busy_one(
    ready: bool, busy: bool
) -> None:
    app = FastAPI()
    app.include_router(
        health_router(lambda: ready, lambda: 7, has_started=lambda: True, is_busy=lambda: busy)
    )
    with TestClient(app) as client:
        answer = client.get("/readyz")
    assert answer.status_code == (200 if ready else 503)
    assert answer.json() == {"ready": ready, "busy": busy, "sessions": 7}


@pytest.mark.parametrize(
    ("turn", "needed", "status"),
    [
        ("ok", True, 200),
        ("degraded", True, 200),
        ("down", True, 503),
        ("unknown", True, 503),
        ("down", False, 200),
        ("degraded", False, 200),
    ],
)
def test_turn_servers_that_give_nothing_are_told_and_take_it_out_where_they_are_needed(
    turn: str, needed: bool, status: int
) -> None:
    app = FastAPI()
    router = health_router(
        lambda: True,
        lambda: 0,
        has_started=lambda: True,
        is_busy=lambda: False,
        turn=lambda: turn,
        needs_turn=needed,
    )
    app.include_router(router)
    with TestClient(app) as client:
        answer = client.get("/readyz")
    assert answer.status_code == status
    assert (answer.json()["ready"], answer.json()["turn"]) == (status == 200, turn)


def test_it_has_started_once_it_is_warm_and_stays_so_while_it_drains() -> None:
    app, warm, ready = FastAPI(), [False], [False]
    app.include_router(
        health_router(
            lambda: ready[-1],
            lambda: 0,
            has_started=lambda: warm[-1],
            is_busy=lambda: False,
        )
    )
    with TestClient(app) as client:
        assert client.get("/startupz").status_code == 503
        assert client.get("/livez").status_code == 200
        warm.append(True)
        ready.append(True)
        assert client.get("/startupz").json() == {"started": True}
        ready.append(False)
        assert client.get("/startupz").status_code == 200
        assert client.get("/readyz").status_code == 503
