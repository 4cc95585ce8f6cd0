"""Tool calls across RTVI: what each side has to remember, since no message says it. Pure."""

from typing import Final, TypeVar

from voxwire_protocol import wire

__all__ = ["MAX_CALLS", "OfferedCalls", "TakenCalls"]

_Entry = TypeVar("_Entry")

MAX_CALLS: Final = 256
"""Calls remembered at once; the oldest is forgotten for a new one."""


class OfferedCalls:
    """The server's side: calls that a stock client was asked to run.

    Its result has no token and names any call it likes; it counts only for a call that was
    offered to this client, under its name, and only once.
    """

    def __init__(self) -> None:
        """Creates a book without calls."""
        self._open: dict[str, tuple[str, bytes]] = {}

    def offer(self, request: wire.ToolRequest) -> None:
        """Notes a call that the client is asked to run."""
        _put(self._open, request.call_id, (request.name, request.call_token))

    def settle(self, call_id: str, name: str) -> bytes | None:
        """Takes a result: the call's token, or None when the client has no such call."""
        known = self._open.get(call_id)
        if known is None or known[0] != name:
            return None
        del self._open[call_id]
        return known[1]

    def withdraw(self, call_id: str) -> None:
        """Forgets a call that is over; a result for it is late."""
        self._open.pop(call_id, None)


class TakenCalls:
    """The client's side: names and arguments of calls, which a result to a stock bot repeats."""

    def __init__(self) -> None:
        """Creates a book without calls."""
        self._open: dict[str, tuple[str, str]] = {}

    def take(self, call_id: str, name: str, arguments_json: str) -> None:
        """Notes a call of the bot."""
        _put(self._open, call_id, (name, arguments_json))

    def get(self, call_id: str) -> tuple[str, str] | None:
        """Name and arguments (JSON) of a call; None = the bot has no such call open."""
        return self._open.get(call_id)

    def end(self, call_id: str) -> tuple[str, str] | None:
        """Forgets a call; what was known of it."""
        return self._open.pop(call_id, None)


def _put(book: dict[str, _Entry], call_id: str, entry: _Entry) -> None:
    book[call_id] = entry
    if len(book) > MAX_CALLS:
        del book[next(iter(book))]
