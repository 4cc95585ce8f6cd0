"""One expectation held against the stream of events."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from voxwire.cli.evals.judging import Judge, Verdict
from voxwire.cli.evals.scenario import CALL_EVENTS, Call, Expectation
from voxwire.cli.evals.stream import BotEndedError, EventStream, Seen, SessionLostError

__all__ = ["Matcher", "Miss"]

JUDGE_GRACE_S: Final = 2.0
"""How long a judge's "no" waits for the rest of an answer whose sound is over."""


@dataclass(frozen=True, slots=True)
class Miss:
    """Why an expectation is not met: a kind of `results.KINDS` and one sentence."""

    kind: str
    reason: str


class Matcher:
    """Holds one expectation after the other against the stream.

    Events come in order; what nobody expects is passed over. An answer's text is gathered over its
    pieces and looked at with each; calls are found in any order.
    """

    def __init__(
        self, stream: EventStream, *, judge: Judge | None, trace: Callable[[str], None]
    ) -> None:
        """Prepares.

        Args:
            stream: The events.
            judge: Decides ``eval``; None = nothing is to be judged.
            trace: Takes a line for what happens.
        """
        self._stream = stream
        self._judge = judge
        self._trace = trace
        self._now = asyncio.get_running_loop().time
        self._matched_at = 0.0
        self.matched = ""
        """What met the last expectation, in short."""

    async def match(self, expected: Expectation, until: float, budget_ms: int) -> Miss | None:
        """Waits for what is expected. Cancel-safe.

        Args:
            expected: What.
            until: When the turn's time is over.
            budget_ms: How long that was, for the reason.

        Returns:
            Why it is not met; None = it is.

        Raises:
            TimeoutError: Nothing came that it is about.
            BotEndedError: Nothing can come any more.
        """
        self.matched = ""
        self._trace(f"expect: {'no ' if expected.absent else ''}{expected.event}")
        if expected.absent:
            return await self._absent(expected, until, budget_ms)
        since = 0 if expected.check_from == "turn_start" else self._stream.position
        if expected.aggregates:
            miss = await self._gathered(expected, until, budget_ms, since)
        elif expected.event in CALL_EVENTS:
            miss = await self._called(expected, until, since)
        else:
            miss = await self._single(expected, until, since)
        if miss is None:
            self._matched_at = self._now()
        return miss

    async def _single(self, expected: Expectation, until: float, since: int) -> Miss | None:
        seen = await self._stream.next(expected.event, until, since=since)
        if expected.text_contains is not None and not _within(expected.text_contains, seen.text):
            wanted = expected.text_contains
            return Miss("text_mismatch", f"{seen.text!r} does not contain {wanted!r}")
        if (miss := _excluded(expected, seen.text)) is not None:
            return miss
        if expected.eval is not None:
            if not seen.text:
                return Miss("no_content", "the event has no text to judge")
            verdict = await self._verdict(expected.eval, [("assistant", seen.text)])
            if verdict.answer != "yes":
                return Miss("judge_no", f"the judge said {verdict}")
        self.matched = str(seen)
        return None

    async def _gathered(
        self, expected: Expectation, until: float, budget_ms: int, since: int
    ) -> Miss | None:
        text, reason, rest = "", "", None
        any_came = False
        while True:
            try:
                seen = rest or await self._stream.next(expected.event, until, since=since)
            except TimeoutError:
                if not any_came:
                    raise
                kind = "text_mismatch" if expected.eval is None else "judge_continue"
                return Miss(kind, f"not met within {budget_ms} ms: {reason}")
            any_came, rest = True, None
            text += seen.text
            if (miss := _excluded(expected, text)) is not None:
                return miss
            if expected.eval is not None and self._judge is not None:
                self._judge.add("assistant", seen.text)
            verdict = await self._text_verdict(expected, text)
            self._trace(f"judged: {verdict} (text so far: {text.strip()!r})")
            if verdict.answer == "yes":
                self.matched = text
                return None
            if verdict.answer == "no":
                rest = await self._rest(expected.event, until, since)
                if rest is None:
                    return Miss("judge_no", f"the judge said {verdict}")
            text += " "
            reason = str(verdict)

    async def _text_verdict(self, expected: Expectation, text: str) -> Verdict:
        wanted = expected.text_contains
        if wanted is not None and not _within(wanted, text):
            return Verdict("continue", f"{text.strip()!r} does not contain {wanted!r}")
        if expected.eval is None:
            return Verdict("yes")
        if not text.strip():
            return Verdict("continue", "there is no text yet")
        return await self._verdict(expected.eval, [])

    async def _rest(self, event: str, until: float, since: int) -> Seen | None:
        """The next piece of an answer that was rejected; None = it is over."""
        if not self._stream.bot_speaks:
            until = min(until, self._now() + JUDGE_GRACE_S)
        try:
            return await self._stream.next(event, until, since=since)
        except (TimeoutError, BotEndedError):
            return None

    async def _verdict(self, criterion: str, said: list[tuple[str, str]]) -> Verdict:
        assert self._judge is not None, "a scenario with 'eval' is not run without a judge"
        for role, text in said:
            self._judge.add(role, text)
        return await self._judge.decide(criterion)

    async def _absent(self, expected: Expectation, until: float, budget_ms: int) -> Miss | None:
        while True:
            try:
                seen = await self._stream.next(expected.event, until)
            except TimeoutError:
                self.matched = f"none for {budget_ms} ms"
                return None
            except SessionLostError as error:
                return Miss("bot_ended", f"{error}: whether one would have come is not known")
            except BotEndedError:
                self.matched = "none before the session ended"
                return None
            if expected.event != "response" or self._began_since():
                reason = f"none may come within {budget_ms} ms, but one did: {seen}"
                return Miss("unexpected_event", reason)
            self._trace("absent: what was matched goes on")

    def _began_since(self) -> bool:
        """Whether the bot began an answer after the last match."""
        last = self._stream.last_at
        began = max(last.get("llm_started", 0.0), last.get("bot_started_speaking", 0.0))
        return began > self._matched_at

    async def _called(self, expected: Expectation, until: float, since: int) -> Miss | None:
        matched: list[str] = []
        for call in expected.calls:
            try:
                seen = await self._stream.next(
                    expected.event, until, since=since, accept=_accepts(call)
                )
            except TimeoutError:
                return self._not_called(expected, call, matched, since)
            if expected.eval is not None:
                about = ("assistant", f"(calls {seen})")
                verdict = await self._verdict(expected.eval, [about])
                if verdict.answer != "yes":
                    return Miss("judge_no", f"{seen}: the judge said {verdict}")
            matched.append(str(seen.name))
        self.matched = ", ".join(matched)
        return None

    def _not_called(
        self, expected: Expectation, call: Call, matched: list[str], since: int
    ) -> Miss:
        near = [
            seen.args
            for seen in self._stream.unclaimed(since)
            if seen.kind == expected.event and call.name in (None, seen.name)
        ]
        if call.args and near:
            reason = f"no call of {call.name!r} had {call.args!r}; it had {near!r}"
            return Miss("function_args_mismatch", reason)
        came = ", ".join(matched) or "none"
        return Miss("missing_function_call", f"{call} did not come (came: {came})")


def _accepts(call: Call) -> Callable[[Seen], bool]:
    def accepts(seen: Seen) -> bool:
        if call.name is not None and seen.name != call.name:
            return False
        return all(seen.args.get(name) == value for name, value in (call.args or {}).items())

    return accepts


def _within(wanted: str, text: str) -> bool:
    """Whether it is in there, whatever the spaces."""
    return " ".join(wanted.split()) in " ".join(text.split())


def _excluded(expected: Expectation, text: str) -> Miss | None:
    unwanted = expected.text_excludes
    if unwanted is None or not _within(unwanted, text):
        return None
    return Miss("text_present", f"{text.strip()!r} contains {unwanted!r}")
