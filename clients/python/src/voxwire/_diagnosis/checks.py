"""What a diagnosis is made of."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

from voxwire_protocol.errors import ErrorCode

__all__ = ["ORDER", "Check", "CheckName", "CheckState", "Diagnosis", "failed", "skipped"]

CheckName = Literal[
    "name",
    "tls",
    "server",
    "clock",
    "token",
    "capacity",
    "rtt",
    "webrtc",
    "stun",
    "turn_udp",
    "turn_tcp",
    "turn_tls",
    "udp",
    "echo",
    "session",
    "microphone",
    "speaker",
]
CheckState = Literal["ok", "warning", "failed", "skipped"]

ORDER: Final[tuple[CheckName, ...]] = get_args(CheckName)
"""In which they are told."""

_MARKS: Final[dict[CheckState, str]] = {
    "ok": "ok",
    "warning": "warning",
    "failed": "FAILED",
    "skipped": "–",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was tried.

    Attributes:
        name: What it was.
        state: ``warning`` = it works and a conversation will suffer from it, or a conversation
            does without it; ``skipped`` = not tried, or what came of it has its cause in another
            check, which `needs` names.
        detail: One sentence: what was found, or why it was skipped.
        code: The error's code when it failed.
        duration_ms: How long it took.
        advice: What to do, when it is neither ok nor skipped.
        needs: The check that has to be ok before this one tells anything; None unless skipped.
    """

    name: CheckName
    state: CheckState
    detail: str = ""
    code: ErrorCode | None = None
    duration_ms: int = 0
    advice: str = ""
    needs: CheckName | None = None

    def __str__(self) -> str:
        """A line for people, and a second one with what to do."""
        line = f"{self.name:<11} {_MARKS[self.state]:<7} {self.detail}".rstrip()
        return f"{line}\n{'':20}-> {self.advice}" if self.advice else line


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found, in the order in which it was tried. One cause is one failed check."""

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return all(check.state != "failed" for check in self.checks)

    def __str__(self) -> str:
        """A line a check, for people."""
        return "\n".join(map(str, self.checks))


def failed(
    name: CheckName, detail: str, advice: str, code: ErrorCode, *, duration_ms: int = 0
) -> Check:
    """A check that failed by itself."""
    return Check(name, "failed", detail, code, duration_ms, advice)


def skipped(name: CheckName, detail: str = "", *, needs: CheckName | None = None) -> Check:
    """A check that tells nothing."""
    return Check(name, "skipped", detail or f"needs {needs}", needs=needs)
