"""How the vendors of telephone numbers behave: what they send, sign, play and send back.

Written from the vendors' pages and from nothing of the server, which is held against it.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from html import unescape
from typing import Any, ClassVar, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from numpy.typing import NDArray

__all__ = [
    "CALLED",
    "CALLER",
    "FAR_ENDS",
    "FRAME_MS",
    "PASSWORD",
    "SECRET",
    "TELNYX_KEY",
    "TOKEN",
    "Announced",
    "FarEnd",
    "plivo_signature",
    "twilio_signature",
]

FRAME_MS: Final = 20
TOKEN: Final = "an auth token"
PASSWORD: Final = "exotel:a password"
SECRET: Final = "a signature secret of more than 32 bytes"
_PRIVATE: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
_PUBLIC: Final = _PRIVATE.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
TELNYX_KEY: Final = base64.b64encode(_PUBLIC).decode()
CALLER: Final = "+15550100"
CALLED: Final = "+15550199"

Samples = NDArray[Any]


# sound


def _expand(code: int) -> int:
    """G.711 µ-law, table 2a: a code as a sample."""
    code = ~code & 0xFF
    magnitude = ((2 * (code & 15) + 33) << (code >> 4 & 7)) - 33
    return (-magnitude if code & 0x80 else magnitude) * 4


_MU: Final = np.array([_expand(code) for code in range(256)], np.int32)
_ORDER: Final = np.argsort(_MU, kind="stable")
_BOUNDS: Final = (_MU[_ORDER][1:] + _MU[_ORDER][:-1]) / 2


def mu_written(samples: Samples) -> bytes:
    """The nearest code of each sample."""
    return _ORDER[np.searchsorted(_BOUNDS, samples)].astype(np.uint8).tobytes()


def mu_read(data: bytes) -> NDArray[np.int16]:
    return _MU[np.frombuffer(data, np.uint8)].astype(np.int16)


def plain_written(samples: Samples) -> bytes:
    return np.asarray(samples).astype("<i2").tobytes()


def plain_read(data: bytes) -> NDArray[np.int16]:
    return np.frombuffer(data, "<i2").astype(np.int16)


def coded(data: bytes) -> str:
    return base64.b64encode(data).decode()


# signatures


def twilio_signature(token: str, url: str, form: dict[str, str] | None = None) -> str:
    """HMAC-SHA1 of the URL and of every field behind it, sorted by name."""
    signed = url + "".join(name + value for name, value in sorted((form or {}).items()))
    return coded(hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest())


def plivo_signature(token: str, url: str, form: dict[str, str], nonce: str) -> str:
    """Version 3 of a POST: address, sorted query, sorted fields, nonce."""
    parts = urlsplit(url)
    pairs = sorted(parse_qsl(parts.query, keep_blank_values=True))
    query = "&".join("=".join(pair) for pair in pairs)
    fields = "".join(name + form[name] for name in sorted(form))
    address = f"{parts.scheme}://{parts.netloc}{parts.path}"
    signed = f"{address}?{query}.{fields}.{nonce}" if query else f"{address}?{fields}.{nonce}"
    return coded(hmac.new(token.encode(), signed.encode(), hashlib.sha256).digest())


# what they do


@dataclass
class Announced:
    """A webhook as a vendor sends it."""

    method: str = "POST"
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""


class FarEnd:
    """A vendor; this one is Twilio.

    Attributes:
        name: As in the paths of the server.
        rate: Of its sound, Hz.
        sends_cleared: Whether marks come back that were cleared.
        sends_idle: Whether a mark comes back before which nothing waits.
        stops: Whether it says that a call is over, before it closes the stream.
        voice_ms: Length of a piece of the caller's voice.
    """

    name: ClassVar[str] = "twilio"
    rate: ClassVar[int] = 8000
    voice_ms: ClassVar[int] = FRAME_MS
    sends_cleared = sends_idle = stops = True
    write: ClassVar[Callable[[Samples], bytes]] = staticmethod(mu_written)
    read: ClassVar[Callable[[bytes], NDArray[np.int16]]] = staticmethod(mu_read)

    def announce(self, url: str, call_id: str, now_s: float) -> Announced:
        """The webhook of a call, for the URL that the vendor was told."""
        form = {"CallSid": call_id, "From": CALLER, "To": CALLED, "AccountSid": "AC0"}
        headers = {"x-twilio-signature": twilio_signature(TOKEN, url, form)}
        return Announced("POST", urlsplit(url).query, headers, urlencode(form).encode())

    def opened(self, answer: str) -> tuple[str, dict[str, str]]:
        """Where the answer has the stream opened, and what it has sent along."""
        [url] = re.findall(r'url="([^"]+)"', answer)
        found = re.findall(r'<Parameter name="([^"]*)" value="([^"]*)"/>', answer)
        return unescape(url), {unescape(name): unescape(value) for name, value in found}

    def head(self, url: str) -> dict[str, str]:
        """Headers of the WebSocket."""
        return {"x-twilio-signature": twilio_signature(TOKEN, url)}

    def begins(self, call_id: str, stream: str, sent: dict[str, str]) -> list[str]:
        """The messages before the first sound."""
        form = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
        start = {"streamSid": stream, "accountSid": "AC0", "callSid": call_id}
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

    def understand(self, message: str | bytes, stream: str) -> tuple[str, Any]:
        """What the server says: ``sound`` and its samples, ``mark`` and its name, ``clear``.

        Raises:
            AssertionError: The vendor would close the stream for it.
        """
        assert isinstance(message, str), "31950: a binary message"
        said = json.loads(message)
        assert said["streamSid"] == stream
        match said["event"]:
            case "media":
                assert set(said) == {"event", "streamSid", "media"}
                return "sound", self.read(base64.b64decode(said["media"]["payload"], validate=True))
            case "mark":
                return "mark", str(said["mark"]["name"])
            case "clear":
                return "clear", None
            case other:
                raise AssertionError(f"31951: {other}")


class Telnyx(FarEnd):
    """Signs with a key; sends the caller's voice in any order."""

    name = "telnyx"

    def announce(self, url: str, call_id: str, now_s: float) -> Announced:
        form = {"CallSid": call_id, "From": CALLER, "To": CALLED, "ConnectionId": "1"}
        body, stamp = urlencode(form).encode(), str(int(now_s))
        signature = coded(_PRIVATE.sign(stamp.encode() + b"|" + body))
        headers = {"telnyx-timestamp": stamp, "telnyx-signature-ed25519": signature}
        return Announced("POST", urlsplit(url).query, headers, body)

    def opened(self, answer: str) -> tuple[str, dict[str, str]]:
        assert 'bidirectionalMode="rtp"' in answer
        return super().opened(answer)

    def head(self, url: str) -> dict[str, str]:
        return {}

    def begins(self, call_id: str, stream: str, sent: dict[str, str]) -> list[str]:
        form = {"encoding": "PCMU", "sample_rate": 8000, "channels": 1}
        start = {"user_id": "u", "call_control_id": call_id, "call_session_id": "s"}
        start |= {"from": CALLER, "to": CALLED, "custom_parameters": sent, "media_format": form}
        first = {"event": "connected", "version": "1.0.0"}
        second = {"event": "start", "sequence_number": "1", "stream_id": stream, "start": start}
        return [json.dumps(first), json.dumps(second)]

    def voice(self, samples: Samples, number: int, stream: str) -> str:
        at_ms = str((number - 1) * self.voice_ms)
        media = {"track": "inbound", "chunk": str(number), "timestamp": at_ms}
        media["payload"] = coded(self.write(samples))
        said = {"event": "media", "sequence_number": str(number + 1), "media": media}
        return json.dumps(said | {"stream_id": stream})

    def key(self, digit: str, stream: str) -> str:
        said = {"event": "dtmf", "stream_id": stream, "occurred_at": "2026-01-01T00:00:00Z"}
        return json.dumps(said | {"sequence_number": "9", "dtmf": {"digit": digit}})

    def played(self, name: str, stream: str) -> str:
        said = {"event": "mark", "sequence_number": "9", "stream_id": stream}
        return json.dumps(said | {"mark": {"name": name}})

    def stop(self, call_id: str, stream: str) -> str:
        stop = {"user_id": "u", "call_control_id": call_id}
        return json.dumps({"event": "stop", "stream_id": stream, "stop": stop})

    def understand(self, message: str | bytes, stream: str) -> tuple[str, Any]:
        assert isinstance(message, str)
        said = json.loads(message) | {"streamSid": stream}
        if said["event"] == "media":
            assert len(base64.b64decode(said["media"]["payload"])) >= 160, "less than 20 ms"
        return super().understand(json.dumps(said), stream)


class Plivo(FarEnd):
    """Sends a checkpoint back only if all before it was played."""

    name = "plivo"
    sends_cleared = sends_idle = stops = False

    def announce(self, url: str, call_id: str, now_s: float) -> Announced:
        form = {"CallUUID": call_id, "From": CALLER, "To": CALLED, "Direction": "inbound"}
        nonce = f"{call_id}{int(now_s)}"
        signature = plivo_signature(TOKEN, url, form, nonce)
        headers = {"x-plivo-signature-v3": signature, "x-plivo-signature-v3-nonce": nonce}
        return Announced("POST", urlsplit(url).query, headers, urlencode(form).encode())

    def opened(self, answer: str) -> tuple[str, dict[str, str]]:
        [(attributes, url)] = re.findall(r"<Stream ([^>]+)>([^<]+)</Stream>", answer)
        found = dict(re.findall(r'(\w+)="([^"]*)"', attributes))
        assert (found["bidirectional"], found["keepCallAlive"]) == ("true", "true")
        assert found["contentType"] == "audio/x-mulaw;rate=8000"
        headers = found["extraHeaders"]
        assert len(headers) <= 512
        assert re.fullmatch("[A-Za-z0-9=,]*", headers)
        return unescape(url), dict(pair.split("=") for pair in headers.split(","))

    def head(self, url: str) -> dict[str, str]:
        return {}

    def begins(self, call_id: str, stream: str, sent: dict[str, str]) -> list[str]:
        form = {"encoding": "audio/x-mulaw", "sampleRate": 8000}
        start = {"callId": call_id, "streamId": stream, "accountId": "MA0", "tracks": ["inbound"]}
        headers = ";".join(f"{name}={value}" for name, value in sent.items())
        said = {"event": "start", "sequenceNumber": 1, "start": start | {"mediaFormat": form}}
        return [json.dumps(said | {"extra_headers": headers})]

    def voice(self, samples: Samples, number: int, stream: str) -> str:
        media = {"track": "inbound", "timestamp": str(1_705_312_200_000 + number), "chunk": number}
        media["payload"] = coded(self.write(samples))
        said = {"event": "media", "sequenceNumber": number + 1, "streamId": stream}
        return json.dumps(said | {"media": media})

    def key(self, digit: str, stream: str) -> str:
        dtmf = {"track": "inbound", "digit": digit, "timestamp": "1"}
        return json.dumps({"event": "dtmf", "sequenceNumber": 9, "streamId": stream, "dtmf": dtmf})

    def played(self, name: str, stream: str) -> str:
        said = {"event": "playedStream", "sequenceNumber": 9, "streamId": stream, "name": name}
        return json.dumps(said)

    def understand(self, message: str | bytes, stream: str) -> tuple[str, Any]:
        assert isinstance(message, str)
        said = json.loads(message)
        assert said["streamId"] == stream
        match said["event"]:
            case "playAudio":
                media = said["media"]
                assert (media["contentType"], media["sampleRate"]) == ("audio/x-mulaw", 8000)
                return "sound", self.read(base64.b64decode(media["payload"], validate=True))
            case "checkpoint":
                return "mark", str(said["name"])
            case "clearAudio":
                return "clear", None
            case other:
                raise AssertionError(other)


class Exotel(FarEnd):
    """Signs nothing; plain samples, of the caller in pieces of 100 ms; takes whole 320 bytes."""

    name = "exotel"
    voice_ms = 100
    write, read = staticmethod(plain_written), staticmethod(plain_read)

    def announce(self, url: str, call_id: str, now_s: float) -> Announced:
        form = {"CallSid": call_id, "CallFrom": CALLER, "CallTo": CALLED}
        query = "&".join(part for part in (urlsplit(url).query, urlencode(form)) if part)
        return Announced("GET", query, {"authorization": f"Basic {coded(PASSWORD.encode())}"})

    def opened(self, answer: str) -> tuple[str, dict[str, str]]:
        url = json.loads(answer)["url"]
        query = urlsplit(url).query
        assert len(query) <= 256
        found = dict(parse_qsl(query))
        assert len(found) <= 3
        return url, found

    def head(self, url: str) -> dict[str, str]:
        return {}

    def begins(self, call_id: str, stream: str, sent: dict[str, str]) -> list[str]:
        form = {"encoding": "base64", "sample_rate": "8000", "bit_rate": "128kbps"}
        start = {"stream_sid": stream, "call_sid": call_id, "account_sid": "exo"}
        start |= {"from": CALLER, "to": CALLED, "custom_parameters": sent, "media_format": form}
        second = {"event": "start", "sequence_number": 1, "stream_sid": stream, "start": start}
        return [json.dumps({"event": "connected"}), json.dumps(second)]

    def voice(self, samples: Samples, number: int, stream: str) -> str:
        media = {"chunk": number, "timestamp": str(number * self.voice_ms)}
        media["payload"] = coded(self.write(samples))
        said = {"event": "media", "sequence_number": number + 1, "stream_sid": stream}
        return json.dumps(said | {"media": media})

    def key(self, digit: str, stream: str) -> str:
        dtmf = {"duration": "150", "digit": digit}
        return json.dumps({"event": "dtmf", "stream_sid": stream, "dtmf": dtmf})

    def played(self, name: str, stream: str) -> str:
        return json.dumps({"event": "mark", "stream_sid": stream, "mark": {"name": name}})

    def stop(self, call_id: str, stream: str) -> str:
        stop = {"call_sid": call_id, "account_sid": "exo", "reason": "callended"}
        return json.dumps({"event": "stop", "stream_sid": stream, "stop": stop})

    def understand(self, message: str | bytes, stream: str) -> tuple[str, Any]:
        assert isinstance(message, str)
        said = json.loads(message)
        assert said.pop("stream_sid") == stream
        if said["event"] == "media":
            size = len(base64.b64decode(said["media"]["payload"]))
            assert size % 320 == 0
            assert size <= 100_000
        return super().understand(json.dumps(said | {"streamSid": stream}), stream)


class Vonage(FarEnd):
    """Binary messages of 20 ms at 16 kHz; says that a call is over by closing the stream."""

    name, rate = "vonage", 16_000
    sends_cleared = sends_idle = stops = False
    write, read = staticmethod(plain_written), staticmethod(plain_read)

    def announce(self, url: str, call_id: str, now_s: float) -> Announced:
        said = {
            "from": CALLER,
            "to": CALLED,
            "uuid": call_id,
            "conversation_uuid": f"CON-{call_id}",
        }
        body = json.dumps(said, separators=(",", ":")).encode()
        headers = {"authorization": f"Bearer {self.signed(body, call_id, now_s)}"}
        headers["content-type"] = "application/json"
        return Announced("POST", urlsplit(url).query, headers, body)

    @staticmethod
    def signed(body: bytes, call_id: str, now_s: float, secret: str = SECRET) -> str:
        """The JWT of a request."""
        claims = {"iat": int(now_s), "jti": f"jti-{call_id}", "iss": "Vonage", "api_key": "k"}
        claims["payload_hash"] = hashlib.sha256(body).hexdigest()
        return jwt.encode(claims, secret, algorithm="HS256")

    def opened(self, answer: str) -> tuple[str, dict[str, str]]:
        [action] = json.loads(answer)
        [endpoint] = action["endpoint"]
        assert (action["action"], endpoint["type"]) == ("connect", "websocket")
        assert endpoint["content-type"] == "audio/l16;rate=16000"
        return endpoint["uri"], endpoint["headers"]

    def head(self, url: str) -> dict[str, str]:
        return {}

    def begins(self, call_id: str, stream: str, sent: dict[str, str]) -> list[str]:
        said = {"event": "websocket:connected", "content-type": "audio/l16;rate=16000"}
        return [json.dumps(said | sent)]

    def voice(self, samples: Samples, number: int, stream: str) -> bytes:
        return self.write(samples)

    def key(self, digit: str, stream: str) -> str:
        return json.dumps({"event": "websocket:dtmf", "digit": digit, "duration": 260})

    def played(self, name: str, stream: str) -> str:
        return json.dumps({"event": "websocket:notify", "payload": {"name": name}})

    def understand(self, message: str | bytes, stream: str) -> tuple[str, Any]:
        if isinstance(message, bytes):
            assert len(message) == 640
            return "sound", self.read(message)
        said = json.loads(message)
        if said["action"] == "notify":
            return "mark", str(said["payload"]["name"])
        assert said == {"action": "clear"}
        return "clear", None


FAR_ENDS: Final[dict[str, FarEnd]] = {
    far.name: far for far in (FarEnd(), Telnyx(), Plivo(), Exotel(), Vonage())
}
