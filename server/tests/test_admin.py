"""What the operator is told where something is wrong, and what is counted."""

import http.server
import logging
import threading
from collections.abc import Iterator

import httpx
import pytest
from starlette.applications import Starlette

from voxwire_protocol import wire
from voxwire_server.admin.meters import Meters
from voxwire_server.admin.routes import admin_routes
from voxwire_server.admin.table import AdminApi, AdminError

KEY = "k" * 40


def meters() -> Meters:
    return Meters(lambda: {"attached": 0}, places=1)


class Nobody:
    def __iter__(self) -> Iterator[dict[str, object]]:
        return iter(())

    def one(self, _: str) -> None: ...

    def end(self, _id: str, _reason: str) -> bool:
        return False


async def test_wrong_keys_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    app = Starlette(routes=admin_routes(KEY, Nobody(), meters()))
    transport = httpx.ASGITransport(app)
    caplog.set_level(logging.WARNING, "voxwire.admin")
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        for _ in range(60):
            assert (await client.get("/metrics")).status_code == 401
    assert 20 <= len(caplog.records) <= 40


def test_turns_are_counted_beyond_those_that_are_kept_and_a_cancelled_session_has_ended() -> None:
    figures = meters()
    for session in ("cancelled", "told"):
        figures.begun(session)
    for _ in range(25):
        figures.sent("told", wire.Envelope(turn_metrics=wire.TurnMetrics()))
    assert (figures.number_of("told"), len(figures.turns_of("told"))) == (25, 20)
    ended = wire.SessionEnded(reason=wire.EndReason.END_REASON_CLIENT)
    figures.sent("told", wire.Envelope(session_ended=ended))
    for session in ("cancelled", "told"):
        figures.over(session, {})
    text = figures.text().decode()
    assert 'voxwire_sessions_ended_total{reason="client"} 1.0' in text
    assert 'voxwire_sessions_ended_total{reason="error"} 1.0' in text


def test_it_is_shown_whether_sessions_are_refused_for_load_and_how_late_the_loop_is() -> None:
    figures, said = meters(), [True]
    figures.watch(lambda: said[-1], lambda: 12.5, starting=lambda: 3, num_waiting=lambda: 2)
    figures.lagged(0.015)
    assert "voxwire_busy 1.0" in figures.text().decode()
    said.append(False)
    text = figures.text().decode()
    assert "voxwire_busy 0.0" in text
    assert "voxwire_event_loop_lag_p95_seconds 0.0125" in text
    assert "voxwire_starts_waiting 3.0" in text
    assert "voxwire_waiting 2.0" in text
    assert 'voxwire_event_loop_lag_seconds_bucket{le="0.01"} 0.0' in text
    assert 'voxwire_event_loop_lag_seconds_bucket{le="0.02"} 1.0' in text


class Other(http.server.BaseHTTPRequestHandler):
    """Some other server; it notes the key that came."""

    keys: list[str | None] = []  # noqa: RUF012 - of this test

    def do_GET(self) -> None:
        self.keys.append(self.headers["authorization"])
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None: ...


def test_whatever_is_wrong_is_said() -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        with pytest.raises(AdminError, match="is no Voxwire server"):
            AdminApi(url, f" {KEY}\n").sessions()
        assert Other.keys == [f"Bearer {KEY}"]
        with pytest.raises(AdminError, match="cannot be used"):
            AdminApi(url, "two\nlines").sessions()
        server.shutdown()
    with pytest.raises(AdminError, match="is no URL"):
        AdminApi("http://[::1", KEY)
