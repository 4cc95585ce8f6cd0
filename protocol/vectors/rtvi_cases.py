"""What a stock client and a stock bot say in our envelopes, and ours in their messages.

Expectations by hand; ``rtvi/client-*.json`` are scripts on a `StockClient`, ``rtvi/bot-*.json`` on
a `StockBot`, ``rtvi/refused.json`` what is no message.
"""

from collections.abc import Iterator
from typing import Any

import rtvi_bot_cases
import rtvi_client_cases
import rtvi_late_cases
import rtvi_lost_cases
import rtvi_talk_cases

_LABEL = '"label":"rtvi-ai"'
_X_DATA = "{" + _LABEL + ',"type":"x","data":'

REFUSED: list[dict[str, Any]] = [
    {"text": [[piece, times] for piece, times in pieces], "error": "MALFORMED"}
    for pieces in (
        [("", 1)],
        [("null", 1)],
        [("5", 1)],
        [('"ping: 1755771072123"', 1)],
        [("ping: 1755771072123", 1)],
        [("[]", 1)],
        [("{}", 1)],
        [('{"type":"signalling","message":{"type":"peerLeft"}}', 1)],
        [('{"label":"rtvi","type":"x"}', 1)],
        [("{" + _LABEL + "}", 1)],
        [("{" + _LABEL + ',"type":""}', 1)],
        [("{" + _LABEL + ',"type":null}', 1)],
        [("{" + _LABEL + ',"type":["x"]}', 1)],
        [("{" + _LABEL + ',"type":"', 1), ("x", 129), ('"}', 1)],
        [("{" + _LABEL + ',"type":"x","id":5}', 1)],
        [("{" + _LABEL + ',"type":"x","id":"', 1), ("1", 129), ('"}', 1)],
        [(_X_DATA + "NaN}", 1)],
        [(_X_DATA + "-Infinity}", 1)],
        [(_X_DATA + "1e999}", 1)],
        [(_X_DATA, 1), ("9", 400), ("}", 1)],
        [(_X_DATA + '"\\ud800"}', 1)],
        [(_X_DATA + '{"\\udc00":1}}', 1)],
        [(_X_DATA, 1), ("[", 128), ("]", 128), ("}", 1)],
        [(_X_DATA, 1), ('{"a":', 5000), ("1", 1), ("}", 5001)],
        [(_X_DATA, 1), ("[", 60_000)],
        [(_X_DATA + "01}", 1)],
        [("{" + _LABEL + ',"type":"x",}', 1)],
        [("{" + _LABEL + ',"type":"x"}}', 1)],
        [("\ufeff{" + _LABEL + ',"type":"x"}', 1)],
    )
]
REFUSED.append({"text": [[_X_DATA + '"', 1], ["é", 32_768], ['"}', 1]], "error": "TOO_LARGE"})


def written(name: str, case: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """What we write to stock peers in a script, with who is said to send it."""
    if name == "refused":
        return
    for step in case["steps"]:
        for message in step.get("messages", ()):
            if message.get("data") == {"button": "1"} or message.get("data") == {"button": "#"}:
                continue  # RTVI 2.0 only
            yield ("client" if name.startswith("bot-") else "bot"), message


_OPTIONS: dict[str, dict[str, Any]] = {
    "client-tools": {"client_tools": ["open"]},
    "bot-tools": {"tools": ["open"]},
}


def cases() -> Iterator[tuple[str, Any]]:
    """Every file of ``rtvi/`` that is a script or a list of what is refused."""
    scripts = (
        rtvi_client_cases.client_handshake,
        rtvi_client_cases.client_inputs,
        rtvi_talk_cases.client_speech,
        rtvi_talk_cases.client_cut,
        rtvi_talk_cases.client_typed,
        rtvi_talk_cases.client_old,
        rtvi_talk_cases.client_muted,
        rtvi_talk_cases.client_tools,
        rtvi_talk_cases.client_ios,
        rtvi_talk_cases.client_app,
        rtvi_bot_cases.bot_speech,
        rtvi_bot_cases.bot_muted,
        rtvi_bot_cases.bot_unspaced,
        rtvi_bot_cases.bot_cut,
        rtvi_lost_cases.bot_lost,
        rtvi_late_cases.bot_late,
        rtvi_late_cases.bot_never,
        rtvi_late_cases.bot_late_cut,
        rtvi_late_cases.bot_late_next,
        rtvi_late_cases.bot_late_order,
        rtvi_late_cases.bot_ahead,
        rtvi_late_cases.bot_goes_on,
        rtvi_late_cases.bot_odd,
        rtvi_bot_cases.bot_tools,
        rtvi_bot_cases.bot_app,
        rtvi_bot_cases.bot_asked,
    )
    for script in scripts:
        name = script.__name__.replace("_", "-")
        options = _OPTIONS.get(name, {})
        yield name, {"about": script.__doc__, "options": options, "steps": script()}
    yield "refused", REFUSED
