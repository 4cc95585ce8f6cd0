"""The mind of the local Gemini Live peer: the offline bot's phrases, the tools of the setup.

All that it knows is in its history, as with the real model: a session that is resumed by handle,
or seeded with the same contents, answers the same.
"""

import json
import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from tests.support.gemini_wire import model_version, text_of
from voxwire_server.bots.offline import replies, tools
from voxwire_server.bots.offline.intents import EXAMPLES, INTENTS, nearest_phrases, parse

__all__ = ["Brain", "Call", "Say", "sentences"]

_KEYWORD_OF_TOOL = {
    "get_weather": "weather",
    "find_restaurant": "restaurant",
    "get_time": "time",
    "get_joke": "joke",
    "show_on_map": "map",
}
_TOOL_OF = {intent.name: intent.tool for intent in INTENTS if intent.tool}
_SLOT_OF = (
    (("city", "location", "place"), "city"),
    (("day", "date", "when"), "day"),
    (("cuisine", "food", "kind"), "cuisine"),
)
_GREET = re.compile(r"\b(greet|introduce|welcome|say hello)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Say:
    """An answer in speech."""

    text: str


@dataclass(frozen=True)
class Call:
    """A function that the client shall run; ``blocking``: nothing is said until it answers."""

    id: str
    name: str
    args: Mapping[str, Any]
    blocking: bool
    tool: str


@dataclass
class Brain:
    """What the model was told, and what it makes of it."""

    model: str
    declared: dict[str, dict[str, Any]] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    greeted: bool = False

    @classmethod
    def of_setup(cls, setup: Mapping[str, Any], history: list[dict[str, Any]]) -> "Brain":
        """A mind with the tools that a setup declares."""
        declared = {
            str(function["name"]): function
            for tool in setup.get("tools", ())
            for function in tool.get("functionDeclarations", ())
        }
        return cls(str(setup.get("model", "")), declared, deepcopy(history))

    def hear(self, text: str) -> None:
        """Note what the user said."""
        self.history.append({"role": "user", "parts": [{"text": text}]})

    def said(self, text: str) -> None:
        """Note what was spoken, as far as it was."""
        if text:
            self.history.append({"role": "model", "parts": [{"text": text}]})

    def answer(self, text: str) -> Say | Call:
        """Answer the user's words."""
        understood = parse(text)
        tool = _TOOL_OF.get(understood.intent)
        if tool is not None:
            return self._use(tool, understood.slots)
        match understood.intent:
            case "story":
                return Say(" ".join(tools.story()))
            case "set_name":
                return Say(f"Nice to meet you, {replies.city_name(understood.slots['name'])}.")
            case "get_name":
                name = self._name()
                return Say(f"Your name is {name}." if name else "I do not know your name yet.")
            case "repeat":
                return Say(self._last_answer() or replies.offer(EXAMPLES))
            case "thanks":
                return Say("You are welcome.")
            case "hello":
                return Say("Hello, how can I help you?")
            case "goodbye":
                return Say("Goodbye, it was nice talking to you.")
            case "help":
                return Say(f"I know the weather and restaurants. {replies.offer(EXAMPLES)}")
            case _:
                return Say(replies.unknown_reply(nearest_phrases(text)))

    def greet(self) -> Say:
        """Answer contents that no user said."""
        return Say("Hello, I am your concierge. I know the weather and restaurants.")

    def seeded(self) -> Say | Call:
        """Answer the contents that the client appended last."""
        for turn in reversed(self.history):
            text = text_of(turn).strip()
            if text and turn.get("role") == "user":
                known = not _GREET.search(text) and parse(text).intent != "unknown"
                return self.answer(text) if known else self.greet()
        return self.greet()

    def result(self, call: Call, response: Mapping[str, Any]) -> Say:
        """Say what a function returned."""
        part = {"id": call.id, "name": call.name, "response": dict(response)}
        self.history.append({"role": "user", "parts": [{"functionResponse": part}]})
        if "error" in response or "cancelled" in response:
            return Say("Sorry, that did not work. Please try again.")
        plain = {key: value for key, value in response.items() if key != "scheduling"}
        spoken = replies.tool_reply(call.tool, plain)
        if not spoken.startswith("Sorry, that did not work"):
            return Say(spoken)
        facts = ", ".join(f"{key} {value}" for key, value in plain.items())
        return Say(f"Here is what I found: {facts}.")

    def _use(self, tool: str, slots: Mapping[str, str]) -> Say | Call:
        keyword = _KEYWORD_OF_TOOL[tool]
        name = next((name for name in self.declared if keyword in name), "")
        if not name:
            return Say(f"Sorry, I have no {keyword} here.")
        declaration = self.declared[name]
        schema = declaration.get("parameters") or declaration.get("parametersJsonSchema") or {}
        args: dict[str, Any] = {}
        for parameter in schema.get("properties", {}):
            slot = next((slot for names, slot in _SLOT_OF if parameter.lower() in names), "")
            if slot in slots:
                value = slots[slot]
                args[parameter] = value if slot == "day" else replies.city_name(value)
            elif parameter in ("format", "unit"):
                args[parameter] = "celsius"
            elif parameter in schema.get("required", ()):
                return Say(f"Which {parameter}? {replies.offer(EXAMPLES[:2])}")
        behavior = declaration.get("behavior")
        blocking = behavior == "BLOCKING" if behavior else model_version(self.model) < (3, 8)
        call = Call(f"function-call-{uuid4().int % 10**16}", name, args, blocking, tool)
        part = {"id": call.id, "name": name, "args": args}
        self.history.append({"role": "model", "parts": [{"functionCall": part}]})
        return call

    def _name(self) -> str:
        for turn in reversed(self.history):
            understood = parse(text_of(turn)) if turn.get("role") == "user" else None
            if understood is not None and understood.intent == "set_name":
                return replies.city_name(understood.slots["name"])
        return ""

    def _last_answer(self) -> str:
        spoken = (text_of(turn) for turn in reversed(self.history) if turn.get("role") == "model")
        return next((text for text in spoken if text), "")

    @property
    def num_tokens(self) -> int:
        """Roughly how large the context is."""
        return len(json.dumps(self.history)) // 4


def sentences(text: str) -> list[str]:
    """Split a text after full stops, question and exclamation marks."""
    return [found.strip() for found in re.split(r"(?<=[.!?])\s+", text) if found.strip()]
