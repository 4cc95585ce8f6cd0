"""Telnyx, Plivo, Exotel and Vonage: what they do otherwise than Twilio. Pure."""

import base64
import hashlib
import hmac
import json
import re
from html import unescape
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import numpy as np
from numpy.typing import NDArray

from voxwire._phone.far_end import (
    Announced,
    FarEnd,
    FarEndError,
    Parties,
    Samples,
    coded,
    decoded,
    must,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = [
    "VENDORS",
    "Exotel",
    "Plivo",
    "Telnyx",
    "Vonage",
    "far_end",
    "plivo_signature",
    "telnyx_key",
]


def plivo_signature(token: str, url: str, form: dict[str, str], nonce: str) -> str:
    """Version 3: address, sorted query, sorted fields, nonce; without fields it is a GET's."""
    parts = urlsplit(url)
    pairs = sorted(parse_qsl(parts.query, keep_blank_values=True))
    query = "&".join("=".join(pair) for pair in pairs)
    fields = "".join(name + form[name] for name in sorted(form))
    address = f"{parts.scheme}://{parts.netloc}{parts.path}"
    if form:
        signed = f"{address}?{query}.{fields}.{nonce}" if query else f"{address}?{fields}.{nonce}"
    else:
        signed = f"{address}?{query}.{nonce}" if query else f"{address}.{nonce}"
    return coded(hmac.new(token.encode(), signed.encode(), hashlib.sha256).digest())


def _telnyx_private(secret: str) -> "Ed25519PrivateKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(secret.encode()).digest())


def telnyx_key(secret: str) -> str:
    """The public key that a server has to know where the far end signs with that secret.

    Raises:
        ImportError: There is no ``cryptography``.
    """
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = _telnyx_private(secret).public_key()
    return coded(public.public_bytes(Encoding.Raw, PublicFormat.Raw))


def _plain(samples: Samples) -> bytes:
    return np.asarray(samples).astype("<i2").tobytes()


def _read_plain(data: bytes) -> NDArray[np.int16]:
    return np.frombuffer(data, "<i2").astype(np.int16)


class Telnyx(FarEnd):
    """Signs with a key of its own, made of the secret; sends the caller's voice in any order."""

    name = "telnyx"

    def announce(self, url: str, call_id: str, now_s: float) -> Announced:
        form = {"CallSid": call_id, "From": self.parties.caller, "To": self.parties.called}
        form["ConnectionId"] = "1"
        body, stamp = urlencode(form).encode(), str(int(now_s))
        signature = coded(_telnyx_private(self.secret).sign(stamp.encode() + b"|" + body))
        headers = {"telnyx-timestamp": stamp, "telnyx-signature-ed25519": signature}
        return Announced("POST", urlsplit(url).query, headers, body)

    def opened(self, answer: str) -> tuple[str, dict[str, str]]:
        url, sent = super().opened(answer)
        must('bidirectionalMode="rtp"' in answer, "the stream has one direction")
        return url, sent

    def head(self, url: str, now_s: float) -> dict[str, str]:
        return {}

    def begins(self, call_id: str, stream: str, sent: dict[str, str]) -> list[str]:
        form = {"encoding": "PCMU", "sample_rate": 8000, "channels": 1}
        start: dict[str, Any] = {"user_id": "u", "call_control_id": call_id}
        start |= {"call_session_id": "s", "from": self.parties.caller, "to": self.parties.called}
        start |= {"custom_parameters": sent, "media_format": form}
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
        must(isinstance(message, str), "a binary message")
        said: dict[str, Any] = json.loads(message) | {"streamSid": stream}
        if said["event"] == "media":
            must(len(decoded(said["media"]["payload"])) >= 160, "less than 20 ms")
        return super().understand(json.dumps(said), stream)


class Plivo(FarEnd):
    """Sends a checkpoint back only if all before it was played."""

    name = "plivo"
    sends_cleared = sends_idle = stops = False

    def announce(self, url: str, call_id: str, now_s: float) -> Announced:
        form = {"CallUUID": call_id, "Direction": "inbound"}
        form |= {"From": _bare(self.parties.caller), "To": _bare(self.parties.called)}
        nonce = f"{call_id}{int(now_s)}"
        signature = plivo_signature(self.secret, url, form, nonce)
        headers = {"x-plivo-signature-v3": signature, "x-plivo-signature-v3-nonce": nonce}
        return Announced("POST", urlsplit(url).query, headers, urlencode(form).encode())

    def opened(self, answer: str) -> tuple[str, dict[str, str]]:
        streams: list[tuple[str, str]] = re.findall(r"<Stream ([^>]+)>([^<]+)</Stream>", answer)
        must(len(streams) == 1, "the call was turned away")
        attributes, url = streams[0]
        found: dict[str, str] = dict(re.findall(r'(\w+)="([^"]*)"', attributes))
        both = (found.get("bidirectional"), found.get("keepCallAlive"))
        must(both == ("true", "true"), "the stream has one direction")
        must(found.get("contentType") == "audio/x-mulaw;rate=8000", "another format")
        headers = found["extraHeaders"]
        must(len(headers) <= 512, "extraHeaders of more than 512 bytes")
        must(bool(re.fullmatch("[A-Za-z0-9=,]*", headers)), "extraHeaders: letters and digits only")
        pairs = [pair.partition("=") for pair in headers.split(",")]
        must(answer.endswith("</Stream><Hangup/></Response>"), "nothing ends the call")
        return unescape(url), {name: value for name, _, value in pairs}

    def head(self, url: str, now_s: float) -> dict[str, str]:
        nonce = f"ws{len(url)}"
        signature = plivo_signature(self.secret, url, {}, nonce)
        return {"x-plivo-signature-v3": signature, "x-plivo-signature-v3-nonce": nonce}

    def begins(self, call_id: str, stream: str, sent: dict[str, str]) -> list[str]:
        form = {"encoding": "audio/x-mulaw", "sampleRate": 8000}
        start: dict[str, Any] = {"callId": call_id, "streamId": stream, "accountId": "MA0"}
        start |= {"tracks": ["inbound"], "mediaFormat": form}
        headers = ";".join(f"{name}={value}" for name, value in sent.items())
        said = {"event": "start", "sequenceNumber": 1, "start": start}
        return [json.dumps(said | {"extra_headers": headers})]

    def voice(self, samples: Samples, number: int, stream: str) -> str:
        media: dict[str, Any] = {"track": "inbound", "chunk": number}
        media |= {"timestamp": str(1_705_312_200_000 + number)}
        media |= {"payload": coded(self.write(samples))}
        said = {"event": "media", "sequenceNumber": number + 1, "streamId": stream}
        return json.dumps(said | {"media": media})

    def key(self, digit: str, stream: str) -> str:
        dtmf = {"track": "inbound", "digit": digit, "timestamp": "1"}
        return json.dumps({"event": "dtmf", "sequenceNumber": 9, "streamId": stream, "dtmf": dtmf})

    def played(self, name: str, stream: str) -> str:
        said = {"event": "playedStream", "sequenceNumber": 9, "streamId": stream, "name": name}
        return json.dumps(said)

    def understand(self, message: str | bytes, stream: str) -> tuple[str, Any]:
        must(isinstance(message, str), "a binary message")
        said: dict[str, Any] = json.loads(message)
        must(said.get("streamId") == stream, "another stream's message")
        match said["event"]:
            case "playAudio":
                media = said["media"]
                form = (media.get("contentType"), media.get("sampleRate"))
                must(form == ("audio/x-mulaw", 8000), "another format")
                return "sound", self.read(decoded(media["payload"]))
            case "checkpoint":
                return "mark", str(said["name"])
            case "clearAudio":
                return "clear", None
            case other:
                raise FarEndError(str(other))


class Exotel(FarEnd):
    """Signs nothing: it has a password. Plain samples, of the caller in pieces of 100 ms; takes
    whole 320 bytes.

    Args:
        secret: ``user:password``.
        parties: Who calls whom.
    """

    name = "exotel"
    voice_ms = 100

    def write(self, samples: Samples) -> bytes:
        return _plain(samples)

    def read(self, data: bytes) -> NDArray[np.int16]:
        return _read_plain(data)

    def announce(self, url: str, call_id: str, now_s: float) -> Announced:
        form = {"CallSid": call_id}
        form |= {"CallFrom": self.parties.caller, "CallTo": self.parties.called}
        query = "&".join(part for part in (urlsplit(url).query, urlencode(form)) if part)
        return Announced("GET", query, {"authorization": f"Basic {coded(self.secret.encode())}"})

    def opened(self, answer: str) -> tuple[str, dict[str, str]]:
        url = str(json.loads(answer).get("url", ""))
        must(bool(url), "the call was turned away")
        query = urlsplit(url).query
        must(len(query) <= 256, "a query of more than 256 characters")
        found = dict(parse_qsl(query))
        must(len(found) <= 3, "more than 3 parameters")
        return url, found

    def head(self, url: str, now_s: float) -> dict[str, str]:
        user, _, password = urlsplit(url).netloc.rpartition("@")[0].partition(":")
        both = f"{unquote(user)}:{unquote(password)}"
        return {"authorization": f"Basic {coded(both.encode())}"} if user else {}

    def begins(self, call_id: str, stream: str, sent: dict[str, str]) -> list[str]:
        form = {"encoding": "base64", "sample_rate": "8000", "bit_rate": "128kbps"}
        start: dict[str, Any] = {"stream_sid": stream, "call_sid": call_id, "account_sid": "exo"}
        start |= {"from": self.parties.caller, "to": self.parties.called}
        start |= {"custom_parameters": sent, "media_format": form}
        second = {"event": "start", "sequence_number": 1, "stream_sid": stream, "start": start}
        return [json.dumps({"event": "connected"}), json.dumps(second)]

    def voice(self, samples: Samples, number: int, stream: str) -> str:
        media: dict[str, Any] = {"chunk": number, "timestamp": str(number * self.voice_ms)}
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
        must(isinstance(message, str), "a binary message")
        said: dict[str, Any] = json.loads(message)
        must(said.pop("stream_sid", None) == stream, "another stream's message")
        if said["event"] == "media":
            size = len(decoded(said["media"]["payload"]))
            must(size % 320 == 0, "a piece that is no multiple of 320 bytes")
            must(size >= 3200, "a piece of less than 3.2 KB")
            must(size <= 100_000, "a piece of more than 100 KB")
        return super().understand(json.dumps(said | {"streamSid": stream}), stream)


class Vonage(FarEnd):
    """Binary messages of 20 ms at 16 kHz; says that a call is over by closing the stream.

    Args:
        secret: The account's signature secret.
        parties: Who calls whom.
    """

    name, rate = "vonage", 16_000
    sends_cleared = sends_idle = stops = False

    def write(self, samples: Samples) -> bytes:
        return _plain(samples)

    def read(self, data: bytes) -> NDArray[np.int16]:
        return _read_plain(data)

    def announce(self, url: str, call_id: str, now_s: float) -> Announced:
        said = {"from": _bare(self.parties.caller), "to": _bare(self.parties.called)}
        said |= {"uuid": call_id, "conversation_uuid": f"CON-{call_id}"}
        body = json.dumps(said, separators=(",", ":")).encode()
        headers = {"authorization": f"Bearer {self.signed(body, call_id, now_s, self.secret)}"}
        headers["content-type"] = "application/json"
        return Announced("POST", urlsplit(url).query, headers, body)

    @staticmethod
    def signed(body: bytes, call_id: str, now_s: float, secret: str) -> str:
        """The JWT of a request (RFC 7519, HS256)."""
        claims = {"iat": int(now_s), "jti": f"jti-{call_id}", "iss": "Vonage", "api_key": "k"}
        claims["payload_hash"] = hashlib.sha256(body).hexdigest()
        parts = [_part(json.dumps(part).encode()) for part in ({"alg": "HS256"}, claims)]
        mac = hmac.new(secret.encode(), b".".join(parts), hashlib.sha256).digest()
        return b".".join([*parts, _part(mac)]).decode()

    def opened(self, answer: str) -> tuple[str, dict[str, str]]:
        actions: list[dict[str, Any]] = json.loads(answer)
        must(len(actions) == 1, "the call was turned away")
        [endpoint] = actions[0]["endpoint"]
        kind = (actions[0]["action"], endpoint["type"])
        must(kind == ("connect", "websocket"), "no WebSocket to connect to")
        must(endpoint["content-type"] == "audio/l16;rate=16000", "another format")
        must(endpoint["authorization"] == {"type": "vonage"}, "the upgrade is not signed")
        return endpoint["uri"], endpoint["headers"]

    def head(self, url: str, now_s: float) -> dict[str, str]:
        return {"authorization": f"Bearer {self.signed(b'', url, now_s, self.secret)}"}

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
            must(len(message) == 640, "a piece that is not of 640 bytes")
            return "sound", self.read(message)
        said: dict[str, Any] = json.loads(message)
        if said["action"] == "notify":
            return "mark", str(said["payload"]["name"])
        must(said == {"action": "clear"}, str(said["action"]))
        return "clear", None


def _bare(number: str) -> str:
    """A number as some write it."""
    return number.removeprefix("+")


def _part(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


VENDORS: Final[dict[str, type[FarEnd]]] = {
    each.name: each for each in (FarEnd, Telnyx, Plivo, Exotel, Vonage)
}
"""By their names."""


def far_end(vendor: str, secret: str, parties: Parties | None = None) -> FarEnd:
    """A vendor.

    Args:
        vendor: Its name.
        secret: What its webhooks are signed with.
        parties: Who calls whom.
    """
    return VENDORS[vendor](secret, parties)
