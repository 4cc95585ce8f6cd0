"""Which RTVI messages went between two peers: a line ``who<TAB>type`` for each kind, in a file.

``VOXWIRE_TEST_SEEN`` names the file; without it nothing is recorded. Recorded is what a session of
our server reads of a stock client and tells it, and what our Python client reads of a stock bot and
tells it, at the borders ``StockClient`` and ``StockBot``. Who: the test that runs; in a process of
its own what carries the messages, and the library that the client names.
"""

import os
from collections.abc import Callable, Iterable
from typing import Any

from voxwire_protocol import rtvi

__all__ = ["record_if_asked"]


def record_if_asked() -> None:
    """Begin to record, in this process, for as long as it lives."""
    path = os.environ.get("VOXWIRE_TEST_SEEN")
    if path:
        _Recorder(path).install()


class _Recorder:
    def __init__(self, path: str) -> None:
        self._path = path
        self._known: set[str] = set()

    def install(self) -> None:
        """Look at every message that passes."""
        for peer, reads, writes in (
            (rtvi.StockClient, "read", ("write", "advance", "bot_ready")),
            (rtvi.StockBot, "read", ("write",)),
        ):
            _around(peer, reads, lambda peer, message, _: self._note(peer, [message]))
            for name in writes:
                _around(peer, name, lambda peer, _, told: self._note(peer, told))
        _name_carriers()

    def _note(self, peer: Any, messages: Iterable[rtvi.RtviMessage]) -> None:
        test = os.environ.get("PYTEST_CURRENT_TEST", "").split(" ")[0]
        who = f"{test} {getattr(peer, 'seen_carrier', '')}" if test else _client_of(peer)
        with open(self._path, "a", encoding="utf-8") as file:
            for message in messages:
                line = f"{who}\t{message.type}\n"
                if line not in self._known:
                    self._known.add(line)
                    file.write(line)


def _name_carriers() -> None:
    """Have each stock client and each stock bot know what carries it."""
    from voxwire.rtvi._control import StockControl
    from voxwire_server.control.rtvi import RtviChannel

    begin = RtviChannel.__init__

    def begun(self: RtviChannel, carrier: Any, **more: Any) -> None:
        begin(self, carrier, **more)
        client: Any = self._client
        client.seen_carrier = "webrtc" if "Chat" in type(carrier).__name__ else "websocket"

    RtviChannel.__init__ = begun  # type: ignore[method-assign]
    start = StockControl.__init__

    def started(self: StockControl, dialling: Any, **more: Any) -> None:
        start(self, dialling, **more)
        bot: Any = self._bot
        chat = more["max_bytes"] == rtvi.MAX_MESSAGE_BYTES
        bot.seen_carrier = "webrtc" if chat else "websocket"

    StockControl.__init__ = started  # type: ignore[method-assign]


def _around(peer: type, name: str, note: Callable[[Any, Any, Any], None]) -> None:
    """Have a method told of: its object, its first argument, its result."""
    method = getattr(peer, name)

    def told(self: Any, *arguments: Any, **more: Any) -> Any:
        result = method(self, *arguments, **more)
        said = getattr(result, "said", None)
        if isinstance(said, rtvi.ClientReady):
            self.seen_library = said.library
        note(self, arguments[0] if arguments else None, result)
        return result

    setattr(peer, name, told)


def _client_of(peer: Any) -> str:
    """What carries a client of our server, and the library that it has named."""
    carrier, library = getattr(peer, "seen_carrier", ""), getattr(peer, "seen_library", "")
    return f"{carrier} {library}".strip() or "somebody"
