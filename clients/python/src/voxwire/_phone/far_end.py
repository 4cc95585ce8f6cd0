"""How the vendor of a telephone number behaves: what it sends, signs, plays and sends back.

This is Twilio, whose messages most others have taken over. Pure.
"""

import base64
import hashlib
import hmac
import json
import re
from dataclasses import dataclass, field
from html import unescape
from typing import Any, ClassVar, Final
from urllib.parse import urlencode, urlsplit

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Announced",
    "FarEnd",
    "FarEndError",
    "Parties",
    "Samples",
    "coded",
    "must",
    "twilio_signature",
]

Samples = NDArray[Any]

_FRAME_MS: Final = 20


class FarEndError(Exception):
    """The server has sent what a vendor would end the call for."""


def must(is_so: bool, why: str) -> None:
    """What a vendor insists on.

    Raises:
        FarEndError: It is not so.
    """
    if not is_so:
        raise FarEndError(why)


# sound


def _expand(code: int) -> int:
    """G.711 µ-law, table 2a: a code as a sample."""
    code = ~code & 0xFF
    magnitude = ((2 * (code & 15) + 33) << (code >> 4 & 7)) - 33
    return (-magnitude if code & 0x80 else magnitude) * 4


_MU: Final = np.array([_expand(code) for code in range(256)], np.int32)
_ORDER: Final = np.argsort(_MU, kind="stable")
_BOUNDS: Final = (_MU[_ORDER][1:] + _MU[_ORDER][:-1]) / 2


def coded(data: bytes) -> str:
    """Base64."""
    return base64.b64encode(data).decode()


def decoded(text: object) -> bytes:
    """Base64 of the server's.

    Raises:
        FarEndError: It is none.
    """
    try:
        return base64.b64decode(str(text), validate=True)
    except ValueError:
        raise FarEndError("sound that is no base64") from None


def twilio_signature(token: str, url: str, form: dict[str, str] | None = None) -> str:
    """HMAC-SHA1 of the URL and of every field behind it, sorted by name."""
    signed = url + "".join(name + value for name, value in sorted((form or {}).items()))
    return coded(hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest())


@dataclass(frozen=True)
class Parties:
    """Who calls whom.

    Attributes:
        caller: Number.
        called: Number.
    """

    caller: str = "+15550100"
    called: str = "+15550199"


@dataclass
class Announced:
    """A webhook as a vendor sends it.

    Attributes:
        method: ``GET`` or ``POST``.
        query: Of the URL.
        headers: By their names in lower case.
        body: A form, where no header says otherwise.
    """

    method: str = "POST"
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""


class FarEnd:
    """A vendor; this one is Twilio.

    Args:
        secret: What webhooks are signed with: the account's auth token.
        parties: Who calls whom.

    Attributes:
        name: As in the paths of the server.
        rate: Of its sound, Hz.
        sends_cleared: Whether marks come back that were cleared.
        sends_idle: Whether a mark comes back before which nothing waits.
        stops: Whether it says that a call is over, before it closes the stream.
        voice_ms: Length of a piece of the caller's voice, milliseconds.
    """

    name: ClassVar[str] = "twilio"
    rate: ClassVar[int] = 8000
    voice_ms: ClassVar[int] = _FRAME_MS
    sends_cleared = sends_idle = stops = True

    def __init__(self, secret: str, parties: Parties | None = None) -> None:
        self.secret = secret
        self.parties = Parties() if parties is None else parties

    # sound

    def write(self, samples: Samples) -> bytes:
        """Samples as the vendor writes them: the nearest code of each."""
        return _ORDER[np.searchsorted(_BOUNDS, samples)].astype(np.uint8).tobytes()

    def read(self, data: bytes) -> NDArray[np.int16]:
        """What it reads of them."""
        return _MU[np.frombuffer(data, np.uint8)].astype(np.int16)

    # the call

    def announce(self, url: str, call_id: str, now_s: float) -> Announced:
        """The webhook of a call, for the URL that the vendor was told.

        Args:
            url: The server's public one, with its query.
            call_id: The vendor's name of the call.
            now_s: Seconds since the epoch.
        """
        form = {"CallSid": call_id, "From": self.parties.caller, "To": self.parties.called}
        form["AccountSid"] = "AC0"
        headers = {"x-twilio-signature": twilio_signature(self.secret, url, form)}
        return Announced("POST", urlsplit(url).query, headers, urlencode(form).encode())

    def opened(self, answer: str) -> tuple[str, dict[str, str]]:
        """Where the answer has the stream opened, and what it has sent along.

        Raises:
            FarEndError: It opens none.
        """
        urls: list[str] = re.findall(r'url="([^"]+)"', answer)
        must(len(urls) == 1, "the call was turned away")
        found: list[tuple[str, str]] = re.findall(
            r'<Parameter name="([^"]*)" value="([^"]*)"/>', answer
        )
        return unescape(urls[0]), {unescape(name): unescape(value) for name, value in found}

    def head(self, url: str, now_s: float) -> dict[str, str]:
        """Headers of the WebSocket.

        Args:
            url: As the answer has it.
            now_s: Seconds since the epoch.
        """
        return {"x-twilio-signature": twilio_signature(self.secret, url)}

    def begins(self, call_id: str, stream: str, sent: dict[str, str]) -> list[str]:
        """The messages before the first sound."""
        form = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
        start: dict[str, Any] = {"streamSid": stream, "accountSid": "AC0", "callSid": call_id}
        start |= {"tracks": ["inbound"], "mediaFormat": form, "customParameters": sent}
        first = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
        second = {"event": "start", "sequenceNumber": "1", "start": start, "streamSid": stream}
        return [json.dumps(first), json.dumps(second)]

    def voice(self, samples: Samples, number: int, stream: str) -> str | bytes:
        """A piece of the caller's voice."""
        at_ms = str((number - 1) * self.voice_ms)
        media = {"track": "inbound", "chunk": str(number), "timestamp": at_ms}
        media["payload"] = coded(self.write(samples))
        said = {"event": "media", "sequenceNumber": str(number + 1), "media": media}
        return json.dumps(said | {"streamSid": stream})

    def key(self, digit: str, stream: str) -> str:
        """A key that the caller presses."""
        pressed = {"track": "inbound_track", "digit": digit}
        return json.dumps({"event": "dtmf", "streamSid": stream, "dtmf": pressed})

    def played(self, name: str, stream: str) -> str:
        """All before a mark was played."""
        return json.dumps({"event": "mark", "streamSid": stream, "mark": {"name": name}})

    def stop(self, call_id: str, stream: str) -> str:
        """The caller has hung up."""
        stop = {"accountSid": "AC0", "callSid": call_id}
        return json.dumps({"event": "stop", "streamSid": stream, "stop": stop})

    # what the server says

    def understand(self, message: str | bytes, stream: str) -> tuple[str, Any]:
        """What the server says: ``sound`` and its samples, ``mark`` and its name, ``clear``.

        Raises:
            FarEndError: The vendor would close the stream for it.
        """
        must(isinstance(message, str), "31950: a binary message")
        said: dict[str, Any] = json.loads(message)
        must(said.get("streamSid") == stream, "31951: another stream's message")
        match said["event"]:
            case "media":
                must(set(said) == {"event", "streamSid", "media"}, "31951: not what media has")
                return "sound", self.read(decoded(said["media"]["payload"]))
            case "mark":
                return "mark", str(said["mark"]["name"])
            case "clear":
                return "clear", None
            case other:
                raise FarEndError(f"31951: {other}")
