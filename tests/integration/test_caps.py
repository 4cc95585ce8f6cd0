"""What a user and a bot may cost a day, with a real server and the offline bot."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

import voxwire
from tests.integration.test_admin import value
from tests.support.gemini_live_peer import running_peer
from tests.support.stock_socket import dialled
from tests.support.waiting import LONG, PATIENT
from voxwire_server.bots.offline import bot as offline
from voxwire_server.bots.registry import LoadedBot, load_bot
from voxwire_server.keys import KeyRing
from voxwire_server.testing import RunningServer, running_server
from voxwire_server.tokens import Limits, TokenIssuer

KEY = "an operator's secret of more than 32 characters"
ADMIN = "an operator's key of more than 32 characters"
DAY_MS = 86_400_000


def token(**limits: int) -> str:
    issuer = TokenIssuer(KeyRing.parse(key=KEY))
    return issuer.issue("ada", now_s=time.time(), limits=Limits(**limits))


@pytest.fixture
def serve() -> Callable[..., Any]:
    def start(**settings: Any) -> Any:
        bot = LoadedBot(name="test", run=offline.bot, warm=offline.warm, close=offline.close)
        return running_server(bot, key=KEY, admin_key=ADMIN, **settings, **PATIENT)

    return start


async def figures(server: RunningServer) -> tuple[list[dict[str, Any]], str]:
    """The operator's sessions, and the text of the figures."""
    bearer = {"Authorization": f"Bearer {ADMIN}"}
    base = f"http://127.0.0.1:{server.port}"
    async with httpx.AsyncClient(base_url=base, headers=bearer, trust_env=False) as operator:
        sessions = (await operator.get("/v1/sessions")).json()["sessions"]
        return sessions, (await operator.get("/metrics")).text


class Held:
    """What a conversation came to.

    Attributes:
        answers: The utterances that the bot spoke to their end.
        warnings: The warnings.
        error: What it ended with.
        cut: Whether an answer was being spoken when it ended.
    """

    def __init__(self) -> None:
        self.answers: list[voxwire.UtteranceEnded] = []
        self.warnings: list[voxwire.GoingAway] = []
        self.error: voxwire.VoxwireError | None = None
        self.cut = False


async def hold(server: RunningServer, **limits: int) -> Held:
    """Cut the greeting off and ask, and ask again after each answer until the server ends it."""
    held, asks = Held(), True
    try:
        async with voxwire.connect(
            server.url, token=token(**limits), transport="websocket", timeouts=LONG
        ) as session:
            async for event in session:
                match event:
                    case voxwire.GoingAway():
                        held.warnings.append(event)
                    case voxwire.UtteranceStarted():
                        held.cut = True
                    case voxwire.BotWord() if asks:
                        asks = False
                        await session.send_text("what time is it")
                    case voxwire.UtteranceEnded():
                        held.cut = False
                        if event.end == "completed":
                            held.answers.append(event)
                            await session.send_text("what time is it")
                    case _:
                        pass
    except voxwire.SessionError as error:
        held.error = error
    return held


CASES = [
    ({"turns_per_day": 1}, "turns"),
    ({"llm_tokens_per_day": 27}, "language model tokens"),
    ({"tts_characters_per_day": 140}, "speech synthesis characters"),
]


@pytest.mark.parametrize(("limits", "what"), CASES)
async def test_the_last_answer_is_spoken_and_the_next_session_is_refused_with_a_time(
    serve: Callable[..., Any], limits: dict[str, int], what: str
) -> None:
    async with serve() as server:
        held = await hold(server, **limits)
        assert held.error is not None
        assert held.error.code == voxwire.ErrorCode.CAPACITY
        assert f"used up the day's {what}" in held.error.reason
        assert f"used up the day's {what}" in held.warnings[-1].reason
        assert len(held.answers) == 1
        assert held.answers[0].heard_words > 2
        assert not held.cut
        with pytest.raises(voxwire.SessionError) as refused:
            await voxwire.connect(server.url, token=token(**limits)).__aenter__()
        assert refused.value.code == voxwire.ErrorCode.CAPACITY
        assert 0 < refused.value.retry_after_ms <= DAY_MS
        name = next(iter(limits)).removesuffix("_per_day")
        _, text = await figures(server)
        for moment in ("start", "session"):
            reached = f'voxwire_caps_reached_total{{moment="{moment}",what="{name}"}}'
            assert value(text, reached) >= 1
        assert value(text, f'voxwire_spent_total{{what="{name}"}}') >= next(iter(limits.values()))
        assert "ada" not in text


async def test_time_ends_when_it_is_over_after_its_warning(serve: Callable[..., Any]) -> None:
    async with serve(caps_per_bot="seconds=6") as server:
        held = await hold(server)
        assert held.error is not None
        assert held.error.code == voxwire.ErrorCode.CAPACITY
        assert "this bot has used up the day's session time" in held.error.reason
        [warning] = held.warnings
        assert 0 < warning.time_left_ms <= 3000
        async with dialled(f"{server.url}/ws-client") as stock:
            await stock.say("client-ready", {"version": "2.1.0"})
            assert await stock.closed() == 4000 + voxwire.ErrorCode.CAPACITY
            [error] = stock.of("error")
            assert error["fatal"]
            assert "used up" in error["error"]
        page = {"Origin": f"http://127.0.0.1:{server.port}"}
        url = f"http://127.0.0.1:{server.port}/start"
        async with httpx.AsyncClient(trust_env=False) as http:
            headers = {**page, "Authorization": f"Bearer {token()}"}
            start = await http.post(url, json={"transport": "websocket"}, headers=headers)
        assert start.status_code == 429
        assert 0 < int(start.headers["Retry-After"]) <= 86_400


async def test_a_stock_client_whose_session_ends_is_told_in_its_own_way(
    serve: Callable[..., Any],
) -> None:
    async with serve(caps_per_bot="turns=1") as server:
        async with dialled(f"{server.url}/ws-client") as stock:
            await stock.ready()
            await stock.say("send-text", {"content": "what time is it"})
            [session], _ = await figures(server)
            assert session["spent"].keys() == {
                "seconds",
                "turns",
                "llm_tokens",
                "tts_characters",
            }
            await stock.closed()
            error = stock.of("error")[-1]
            assert error["fatal"]
            assert "this bot has used up the day's turns" in error["error"]


async def test_a_speech_to_speech_model_s_tokens_count_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running_peer(rate=200) as peer:
        for name, said in peer.env.items():
            monkeypatch.setenv(name, said)
        settings = {"key": KEY, "admin_key": ADMIN, "caps_per_bot": "llm_tokens=1"}
        async with running_server(load_bot("gemini"), **settings, **PATIENT) as server:
            held = await hold(server)
            _, text = await figures(server)
    assert held.error is not None
    assert "this bot has used up the day's language model tokens" in held.error.reason
    assert [end.end for end in held.answers] == ["completed"]
    assert not held.cut
    assert value(text, 'voxwire_spent_total{what="llm_tokens"}') > 1
    assert value(text, 'voxwire_spent_total{what="tts_characters"}') == 0
