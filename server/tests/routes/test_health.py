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
