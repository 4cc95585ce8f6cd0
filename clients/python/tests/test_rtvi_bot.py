"""What `PipecatBot` takes, where it is found, and where its audio lies."""

from typing import Any

import numpy as np
import pytest

import voxwire
from voxwire.rtvi import PipecatBot
from voxwire.rtvi._inflow import Inflow
from voxwire.rtvi._url import base_of, route, socket_of, started_socket
from voxwire_protocol.errors import ErrorCode

CODE = ErrorCode


def asked(peer: Any, url: str = "http://localhost:1", **options: Any) -> voxwire.Connection:
    return voxwire.connect(url, peer=peer, **options)


@pytest.mark.parametrize(
    ("peer", "options", "code"),
    [
        (PipecatBot(), {"bot": "b"}, CODE.UNSUPPORTED),
        (PipecatBot(), {"transport": "websocket", "metadata": {"a": 1}}, CODE.UNSUPPORTED),
        (PipecatBot(), {"transport": "carrier pigeon"}, CODE.INVALID_ARGUMENT),
        (PipecatBot(), {"url": "ftp://x"}, CODE.INVALID_ARGUMENT),
        (PipecatBot(start=1), {}, CODE.INVALID_ARGUMENT),  # type: ignore[arg-type]
        (PipecatBot(start={"a": object()}), {}, CODE.INVALID_ARGUMENT),
        (PipecatBot(endpoint=7), {}, CODE.INVALID_ARGUMENT),  # type: ignore[arg-type]
        (PipecatBot(headers={"a": "b\nc"}), {}, CODE.INVALID_ARGUMENT),
        (PipecatBot(headers=["a"]), {}, CODE.INVALID_ARGUMENT),  # type: ignore[arg-type]
        ("pipecat", {}, CODE.INVALID_ARGUMENT),
    ],
)
def test_what_cannot_be_had_is_refused_before_anything_is_dialled(
    peer: Any, options: dict[str, Any], code: ErrorCode
) -> None:
    with pytest.raises(voxwire.UsageError) as refused:
        asked(peer, **options)
    assert refused.value.code == code


def test_without_httpx_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxwire.rtvi._http.find_spec", lambda _: None)
    with pytest.raises(voxwire.UsageError, match=r"voxwire\[rtvi\]") as refused:
        asked(PipecatBot(), transport="webrtc")
    assert refused.value.code == CODE.MISSING_EXTRA
    asked(PipecatBot(), transport="websocket")  # which sends no request


def test_routes_stand_below_the_url() -> None:
    assert base_of("localhost:7860") == "http://localhost:7860"
    assert base_of("wss://host/bots/one/") == "https://host/bots/one"
    assert route("https://host/bots", "/api/offer") == "https://host/bots/api/offer"
    assert socket_of("https://host/ws-client") == "wss://host/ws-client"
    assert socket_of("http://host/ws-client") == "ws://host/ws-client"


def test_a_runner_that_calls_itself_encrypted_and_is_not_is_believed_the_question() -> None:
    asked_of = "http://127.0.0.1:7860"
    assert started_socket(asked_of, "wss://127.0.0.1:7860/ws") == "ws://127.0.0.1:7860/ws"
    assert started_socket(asked_of, "wss://cloud/ws?t=1") == "wss://cloud/ws?t=1"


@pytest.mark.parametrize(
    "said", [None, 7, "", "http://host/ws", "ws://", "ws://u@host/", "ws://host:0/", "ws://[/"]
)
def test_what_names_no_socket_is_malformed(said: object) -> None:
    with pytest.raises(voxwire.ProtocolError) as refused:
        started_socket("http://localhost:1", said)
    assert refused.value.code == CODE.MALFORMED


def test_encryption_is_not_given_up_for_an_answer() -> None:
    assert started_socket("https://host", "ws://host/ws") == "wss://host/ws"
    with pytest.raises(voxwire.ProtocolError):
        started_socket("https://host", "ws://elsewhere/ws")


class Sink:
    """Notes what is pushed."""

    def __init__(self) -> None:
        self.pushed: list[tuple[int, int]] = []

    def push(self, sample_index: int, samples: np.ndarray) -> None:
        self.pushed.append((sample_index, len(samples)))

    def rewind(self, sample_index: int, *, misplaced: int) -> None:
        raise AssertionError("nothing is misplaced")


def test_samples_lie_behind_one_another_and_what_came_early_is_not_lost() -> None:
    inflow, sink = Inflow(), Sink()
    inflow.push(np.zeros(480, np.int16))
    with inflow.into(sink):
        inflow.push(np.zeros(100, np.int16))
        assert inflow.cut() == 25  # 580 samples are 24.2 ms
        assert inflow.cut() is None
        inflow.push(np.zeros(10, np.int16))
    inflow.push(np.zeros(10, np.int16))  # nobody takes it now
    assert sink.pushed == [(0, 480), (480, 100), (600, 10)]
    other = Sink()
    with inflow.into(other):
        pass
    assert other.pushed == [(610, 10)]


def test_what_nobody_takes_is_kept_no_longer_than_some_seconds() -> None:
    inflow, sink = Inflow(), Sink()
    for _ in range(1000):
        inflow.push(np.zeros(960, np.int16))
    with inflow.into(sink):
        pass
    assert len(sink.pushed) == 250
    assert sink.pushed[-1] == (999 * 960, 960)
