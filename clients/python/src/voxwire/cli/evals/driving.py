"""The turns of a scenario, one after the other."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from voxwire.cli.evals.hearing import Hearing
from voxwire.cli.evals.judging import Judge, JudgeError
from voxwire.cli.evals.matching import Matcher
from voxwire.cli.evals.results import Failure, Result, TurnResult
from voxwire.cli.evals.scenario import Expectation, Scenario, SendAfter, Turn
from voxwire.cli.evals.stream import BotEndedError

__all__ = ["Driver", "Progress"]

SEND_AFTER_S: Final = 30.0
"""How long the event of ``send_after`` is waited for."""

QUIET_S: Final = 30.0
"""How long a turn waits for the bot to finish, before it is sent all the same."""


class Progress(Protocol):
    """Sees how a scenario goes."""

    def turn(self, number: int, turn: Turn) -> None:
        """A turn was sent, or begins to observe."""
        ...

    def met(self, expected: Expectation, after_ms: int, matched: str) -> None:
        """An expectation is met."""
        ...

    def missed(self, failure: Failure) -> None:
        """One is not."""
        ...


class Driver:
    """Plays the turns of one scenario on a session and fills its result in."""

    def __init__(
        self,
        scenario: Scenario,
        result: Result,
        *,
        hearing: Hearing,
        send: Callable[[int, Turn], Awaitable[None]],
        judge: Judge | None,
        timeout_ms: int,
        progress: Progress,
    ) -> None:
        """Prepares.

        Args:
            scenario: What is played.
            result: Is filled in.
            hearing: What comes of it.
            send: Does what the user does in a turn of a number.
            judge: Decides ``eval``.
            timeout_ms: For expectations without ``within_ms``.
            progress: Sees how it goes.
        """
        self._scenario = scenario
        self._result = result
        self._hearing = hearing
        self._stream = hearing.stream
        self._send = send
        self._judge = judge
        self._timeout_ms = timeout_ms
        self._progress = progress
        self._trace = result.trace.append
        self._matcher = Matcher(hearing.stream, judge=judge, trace=self._trace)
        self._now = asyncio.get_running_loop().time

    async def run(self) -> None:
        """Plays them; a turn that fails ends it, unless the scenario wants to go on."""
        for number, turn in enumerate(self._scenario.turns):
            began, record = self._now(), self._result.turns[number]
            record.status = "failed"  # until it is known to have passed, whatever ends the run
            failures = await self._turn(number, turn, record)
            record.duration_ms = round((self._now() - began) * 1000)
            self._result.failures += failures
            if not failures:
                record.status = "passed"
            elif self._scenario.stop_on_failure:
                return

    async def _turn(self, number: int, turn: Turn, record: TurnResult) -> list[Failure]:
        self._stream.begin_turn()
        if turn.send_after is not None:
            failure = await self._await_send_after(number, turn, turn.send_after)
            if failure is not None:
                self._progress.missed(failure)
                return [failure]
        elif turn.user is not None or turn.dtmf is not None:
            await self._await_quiet()
        elif number > 0:
            await self._await_previous()
        if turn.user is not None or turn.dtmf is not None:
            self._stream.drop_pending("before the user's turn")
            self._trace(f"send: {turn.sends!r}")
            await self._send(number, turn)
            if self._judge is not None:
                said = turn.user if turn.dtmf is None else f"(DTMF keypad input: {turn.dtmf})"
                self._judge.add("user", said or "")
            self._hearing.turn_sent()
        self._progress.turn(number, turn)
        return await self._expect(number, turn, record)

    async def _await_quiet(self) -> None:
        """The user waits for the end of what the bot says."""
        if self._stream.bot_speaks and not await self._stream.wait_quiet(QUIET_S):
            self._trace(f"the bot still speaks after {QUIET_S:g} s")
        elif not self._stream.is_told:
            await self._stream.wait_told(QUIET_S)

    async def _await_previous(self) -> None:
        """What is still being said belongs to the turn before one that only observes."""
        if not self._stream.bot_speaks and self._stream.is_told:
            return
        await self._stream.wait_quiet(QUIET_S)
        await self._stream.wait_told(QUIET_S)
        self._stream.drop_pending("of the turn before")
        self._hearing.observing()

    async def _await_send_after(self, number: int, turn: Turn, after: SendAfter) -> Failure | None:
        delay_s = after.delay_ms / 1000
        if after.event is None:
            await asyncio.sleep(delay_s)
            return None
        self._trace(f"send_after: {after.event} and {after.delay_ms} ms")
        try:
            seen_at = await self._stream.wait_seen(after.event, SEND_AFTER_S)
        except TimeoutError:
            reason = f"'send_after' never came about: none within {SEND_AFTER_S:g} s"
            return Failure(after.event, "send_after_timeout", reason, number, turn.line)
        except BotEndedError as error:
            reason = f"{error} before 'send_after' came about"
            return Failure(after.event, "bot_ended", reason, number, turn.line)
        await asyncio.sleep(max(0.0, seen_at + delay_s - self._now()))
        return None

    async def _expect(self, number: int, turn: Turn, record: TurnResult) -> list[Failure]:
        """All expectations of a turn share one time, which begins when the turn was sent."""
        failures: list[Failure] = []
        began = self._now()
        for expected in turn.expect:
            budget_ms = expected.within_ms or self._timeout_ms
            until, last = began + budget_ms / 1000, True
            try:
                miss = await self._matcher.match(expected, until, budget_ms)
                kind, reason = (miss.kind, miss.reason) if miss is not None else ("", "")
                last = False
            except TimeoutError:
                kind, reason = "timeout", f"none came within {budget_ms} ms"
            except BotEndedError as error:
                kind, reason = "bot_ended", f"{error} before one came"
            except JudgeError as error:
                kind, reason = "error", str(error)
            after_ms = round((self._now() - began) * 1000)
            if not kind:
                record.matched_ms.append(after_ms)
                self._progress.met(expected, after_ms, self._matcher.matched)
                continue
            failure = Failure(expected.event, kind, reason, number, expected.line)
            failures.append(failure)
            self._trace(f"FAIL: {failure}")
            self._progress.missed(failure)
            if last:
                break
        return failures
