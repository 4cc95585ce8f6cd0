"""The messages that most vendors write alike: JSON with ``event``, sound in base64. Pure."""

import base64
import json
from typing import Any, ClassVar

from voxwire_server.phone import reading
from voxwire_server.phone.g711 import MULAW, Encoding
from voxwire_server.phone.vendor import Audio, Keys, Mark, Said, Started, Stopped

__all__ = ["EventDialect"]


class EventDialect:
    """A :class:`~voxwire_server.phone.vendor.Dialect` of text messages alone.

    It is Twilio's, which others have taken over; they say here what they spell otherwise.
    """

    encoding: Encoding = MULAW
    hears: Encoding = MULAW
    block_ms, unit_bytes = 20, 1
    echoes = True
    stream_name: ClassVar[str] = "streamSid"
    """What messages name the stream by."""
    played: ClassVar[str] = "mark"
    """The event that brings a mark back."""
    stream_id = ""

    def decode(self, message: str | bytes) -> Said | None:
        """What a message says; None = nothing that matters here."""
        said = reading.members_of(message)
        match said.get("event"):
            case "media":
                return self.audio(reading.member_of(said, "media"))
            case self.played:
                return self.mark_of(said)
            case "dtmf":
                return self.keys(reading.member_of(said, "dtmf"))
            case "start" if not self.stream_id:
                return self.start(said, reading.member_of(said, "start"))
            case "stop":
                return Stopped()
            case _:
                return None

    def audio(self, media: dict[str, Any]) -> Audio:
        """A piece of the caller's voice."""
        return reading.audio_of(media, "payload")

    def keys(self, dtmf: dict[str, Any]) -> Keys:
        """A key that was pressed."""
        return reading.keys_of(dtmf, "digit")

    def mark_of(self, said: dict[str, Any]) -> Mark:
        """A mark that came back."""
        return Mark(reading.text_of(reading.member_of(said, "mark"), "name"))

    def start(self, said: dict[str, Any], start: dict[str, Any]) -> Started:
        """The beginning of the stream."""
        raise NotImplementedError

    def media(self, data: bytes) -> str:
        """A piece of the bot's voice."""
        return self.say("media", media={"payload": base64.b64encode(data).decode()})

    def mark(self, name: str) -> str:
        """A mark behind what was sent."""
        return self.say("mark", mark={"name": name})

    def clear(self) -> str:
        """Drop what was not played."""
        return self.say("clear")

    def say(self, event: str, **members: object) -> str:
        """One message."""
        return json.dumps({"event": event, self.stream_name: self.stream_id, **members})
