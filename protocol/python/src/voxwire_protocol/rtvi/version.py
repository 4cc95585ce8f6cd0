"""Versions of RTVI, and which one to speak with a peer. Pure."""

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

__all__ = ["RTVI_VERSION", "Agreement", "Version", "agree", "parse_version"]

_FORM: Final = re.compile(r"(\d{1,4})\.(\d{1,4})\.(\d{1,4})", re.ASCII)


class Version(NamedTuple):
    """A version of RTVI; versions compare as tuples do."""

    major: int
    minor: int
    patch: int = 0

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


RTVI_VERSION: Final = Version(2, 2)
"""The newest version that this library speaks (pipecat 1.13 and 1.14)."""

_LEGACY_MAJOR: Final = 1


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a server speaks with a client.

    Attributes:
        speaks: The version to write.
        announces: The version that ``bot-ready`` says.
        problem: What the client should be told in an ``error-response``; "" = nothing.
    """

    speaks: Version
    announces: Version
    problem: str = ""


def parse_version(text: object) -> Version | None:
    """The version that a peer says; None for what pipecat takes for invalid ("2.1.0-rc1")."""
    found = _FORM.fullmatch(text) if isinstance(text, str) else None
    return Version(*map(int, found.groups())) if found else None


def agree(client: Version | None) -> Agreement:
    """What to speak with a client of that version; None = it said none, or none that is valid.

    As pipecat does (RTVI 2.2 ``RTVIProcessor``): the same major version is
    spoken, 1.x is spoken too and hears its own version back, anything else is told of it and the
    session goes on. Unlike pipecat, an older minor version is not sent what it does not know.
    """
    if client is None:
        reason = "client-ready names no valid RTVI version; compatibility issues may occur"
        return Agreement(RTVI_VERSION, RTVI_VERSION, reason)
    if client.major == _LEGACY_MAJOR:
        return Agreement(client, client)
    if client.major == RTVI_VERSION.major:
        return Agreement(min(client, RTVI_VERSION), RTVI_VERSION)
    reason = f"this server speaks RTVI {RTVI_VERSION}; compatibility issues may occur"
    return Agreement(RTVI_VERSION, RTVI_VERSION, reason)
