"""The operator's function that says who comes: asked within its time, whatever it does."""

import asyncio
import logging
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server import Credential, ForbiddenError, Identity, Limits, Settings, UnauthorizedError
from voxwire_server.authenticator import (
    Authenticator,
    AuthenticatorFailedError,
    AuthenticatorSettingError,
)
from voxwire_server.tokens import TokenError

ADA = Identity(user="ada", limits=Limits(max_sessions=2))
SECRET = "a-bearer-of-some-provider"
SHOWN = Credential(
    token=SECRET,
    headers={"cookie": "theme=dark; session=cookie-of-ada", "user-agent": "a browser"},
)


async def refusal_of(ask: Any, shown: Credential = SHOWN) -> tuple[str, str]:
    with pytest.raises(TokenError) as refused:
        await Authenticator(ask).identify(shown)
    assert refused.value.__cause__ is None
    name = wire.ErrorCode.Name(refused.value.code).removeprefix("ERROR_CODE_")
    return name, refused.value.reason


def known(credential: Credential) -> Identity:
    assert credential.token == SECRET
    return ADA


async def known_later(credential: Credential) -> Identity:
    await asyncio.sleep(0)
    return known(credential)


class Known:
    async def __call__(self, credential: Credential) -> Identity:
        return await known_later(credential)


PLANS = {"secret-of-ada": ("ada", 600)}


async def who_comes(credential: Credential) -> Identity:
    if credential.token not in PLANS:
        raise UnauthorizedError
    user, seconds = PLANS[credential.token]
    return Identity(user=user, limits=Limits(max_sessions=2, max_duration_s=seconds))


async def test_the_one_of_the_readme_knows_ada() -> None:
    settings = Settings(host="0.0.0.0", authenticator=who_comes)
    authenticator = Authenticator.of(settings.authenticator)
    assert authenticator is not None
    identity = await authenticator.identify(Credential(token="secret-of-ada"))
    assert (identity.user, identity.limits.max_duration_s) == ("ada", 600)
    assert (await refusal_of(who_comes))[0] == "UNAUTHORIZED"


@pytest.mark.parametrize(
    "ask",
    [known, known_later, Known(), partial(known), partial(known_later), lambda c: known_later(c)],
)
async def test_it_may_be_plain_or_asynchronous(ask: Any) -> None:
    authenticator = Authenticator(ask)
    assert await authenticator.identify(SHOWN) == ADA
    await authenticator.close()


async def test_a_plain_one_does_not_stop_the_loop() -> None:
    asked, may_answer = threading.Event(), threading.Event()

    def slow(_: Credential) -> Identity:
        asked.set()
        assert may_answer.wait(60)
        return ADA

    authenticator = Authenticator(slow, timeout_ms=60_000)
    task = asyncio.ensure_future(authenticator.identify(SHOWN))
    assert await asyncio.to_thread(asked.wait, 60)
    may_answer.set()  # by this loop, which goes on
    assert await task == ADA
    await authenticator.close()


async def raises(error: BaseException) -> Identity:
    raise error


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (UnauthorizedError(), "UNAUTHORIZED", "nobody is known by this credential"),
        (UnauthorizedError("it has expired"), "UNAUTHORIZED", "it has expired"),
        (ForbiddenError(), "FORBIDDEN", "this user may not"),
        (ForbiddenError("the plan\nhas no voice"), "FORBIDDEN", "the plan has no voice"),
        (UnauthorizedError(f"{SECRET} is wrong"), "UNAUTHORIZED", "nobody is known"),
        (ForbiddenError("cookie-of-ada has no plan"), "FORBIDDEN", "this user may not"),
    ],
)
async def test_a_refusal_is_told_and_never_with_the_credential(
    error: Exception, code: str, told: str
) -> None:
    name, reason = await refusal_of(lambda _: raises(error))
    assert name == code
    assert reason.startswith(told)


async def test_none_is_nobody() -> None:
    async def nobody(_: Credential) -> None:
        return None

    assert await refusal_of(nobody) == ("UNAUTHORIZED", "nobody is known by this credential")


def bad_identity(credential: Credential) -> Any:
    return Identity(user="ada", limits={"max_sessions": credential.token})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ask", "logged"),
    [
        (lambda c: raises(KeyError(c.token)), "KeyError at test_authenticator.py:"),
        (lambda c: raises(asyncio.CancelledError(c.token)), "it was cancelled"),
        (lambda c: {"user": c.token}, "it returned dict, no Identity"),
        (bad_identity, "ValidationError at test_authenticator.py:"),
    ],
)
async def test_one_that_fails_decides_nothing_and_no_log_has_what_it_was_given(
    ask: Any, logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    authenticator = Authenticator(ask)
    for _ in range(3):
        with pytest.raises(AuthenticatorFailedError):
            await authenticator.identify(SHOWN)
    [record] = caplog.records  # once, however many come
    assert logged in record.getMessage() and record.levelno == logging.ERROR
    assert SECRET not in caplog.text
    await authenticator.close()


@in_virtual_time
async def test_one_that_is_silent_is_waited_for_two_seconds_even_if_it_clings(
    time: VirtualTime,
) -> None:
    let_go = asyncio.Event()

    async def clings(_: Credential) -> Identity:
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue
        return ADA

    task = asyncio.ensure_future(Authenticator(clings).identify(SHOWN))
    await time.advance(1990)
    assert not task.done()
    await time.advance(20)
    assert task.done()
    with pytest.raises(AuthenticatorFailedError, match="no answer within 2000 ms"):
        await task
    let_go.set()


@in_virtual_time
async def test_sixty_four_are_asked_about_at_once_and_the_others_wait_their_time(
    time: VirtualTime,
) -> None:
    asked = 0

    async def slow(_: Credential) -> Identity:
        nonlocal asked
        asked += 1
        await asyncio.sleep(1.5)
        return ADA

    authenticator = Authenticator(slow)
    tasks = [asyncio.ensure_future(authenticator.identify(SHOWN)) for _ in range(100)]
    await time.advance(1000)
    assert asked == 64
    await time.advance(2000)
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [end == ADA for end in ends] == [True] * 64 + [False] * 36
    assert all(isinstance(end, AuthenticatorFailedError) for end in ends[64:])


def test_it_is_named_by_module_or_by_file(tmp_path: Path) -> None:
    file = tmp_path / "who.py"
    file.write_text("async def comes(credential): ...\nlimit = 3\n")
    assert Authenticator.of("") is None
    assert Authenticator.of(f"{file}:comes") is not None
    assert Authenticator.of("voxwire_server.gate:is_loopback") is not None
    for wrong, said in (
        ("who", "must be package.module:function"),
        (f"{file}:goes", "has no function goes"),
        (f"{file}:limit", "has no function limit"),
        (f"{tmp_path}/nobody.py:comes", "cannot be imported"),
        ("no_such_module:comes", "cannot be imported"),
    ):
        with pytest.raises(AuthenticatorSettingError, match=said):
            Authenticator.of(wrong)


def test_a_setting_holds_a_function_or_a_name_and_counts_as_a_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not Settings().has_key
    assert Settings(authenticator=known).has_key
    monkeypatch.setenv("VOXWIRE_AUTHENTICATOR", "package.module:function")
    assert Settings().authenticator == "package.module:function"
