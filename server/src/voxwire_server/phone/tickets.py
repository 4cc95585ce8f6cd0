"""Tickets: what ties the WebSocket of a call to the webhook that announced it. Pure.

All that is needed then stands in the ticket itself, signed, so that any process of a service may
take it; that it is good once is the store's to say. It is of 32 characters that every vendor
carries unharmed, Plivo's headers too: letters and digits.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from secrets import token_bytes
from typing import Final, NamedTuple

from voxwire_server.phone.vendor import ForgedError, Ringing

__all__ = ["TICKET_S", "Admission", "Tickets"]

TICKET_S: Final = 60
"""How long a call may take from its webhook to its WebSocket, seconds."""

_PURPOSE: Final = b"voxwire: ticket of a telephone call"
_ID_BYTES: Final = 16
_MAC_BYTES: Final = 16
_HEAD_BYTES: Final = _ID_BYTES + 4
_MAX_PARTY_CHARS: Final = 64
_MAX_TICKET_CHARS: Final = 1024


class Admission(NamedTuple):
    """What a ticket lets in.

    Attributes:
        once: Names the ticket where it is marked as used.
        until_s: When it is no good any more, seconds since the epoch.
        ringing: The call.
        bot: Name of the bot that it is for; empty = the only one.
        outgoing: Whether the call began here.
    """

    once: str
    until_s: int
    ringing: Ringing
    bot: str
    outgoing: bool = False


class Tickets:
    """Makes and reads tickets.

    Args:
        secrets: What all processes of the service share; the first one signs, each is good.
        new_id: Makes 16 random bytes.
    """

    def __init__(self, *secrets: bytes, new_id: Callable[[int], bytes] = token_bytes) -> None:
        self._keys = [hmac.digest(secret, _PURPOSE, hashlib.sha256) for secret in secrets]
        self._new_id = new_id

    def make(
        self, vendor: str, ringing: Ringing, *, bot: str, now_s: float, outgoing: bool = False
    ) -> str:
        """A ticket for the call that a webhook has announced.

        Args:
            vendor: Name of the vendor.
            ringing: The call; of an address as caller or called, 64 characters are kept.
            bot: Name of the bot that is wanted.
            now_s: Seconds since the epoch.
            outgoing: Whether the call began here.
        """
        parties = ringing.caller[:_MAX_PARTY_CHARS], ringing.called[:_MAX_PARTY_CHARS]
        said = "\n".join((ringing.call_id, *parties, ringing.attestation, "1" * outgoing, bot))
        head = self._new_id(_ID_BYTES) + (int(now_s) + TICKET_S).to_bytes(4, "big")
        body = head + said.encode()
        mac = _mac(self._keys[0], vendor, body)
        return base64.b32encode(mac + body).decode().rstrip("=")

    def read(self, vendor: str, ticket: str, *, call_id: str, now_s: float) -> Admission:
        """What a ticket lets in that came back.

        Args:
            vendor: Name of the vendor that brings it.
            ticket: The ticket.
            call_id: The call that it came with.
            now_s: Seconds since the epoch.

        Raises:
            ForgedError: It is none of ours, too old, or another call's.
        """
        try:
            padded = ticket + "=" * (-len(ticket) % 8) if len(ticket) <= _MAX_TICKET_CHARS else ""
            data = base64.b32decode(padded)
        except (binascii.Error, ValueError):
            data = b""
        mac, body = data[:_MAC_BYTES], data[_MAC_BYTES:]
        good = [hmac.compare_digest(mac, _mac(key, vendor, body)) for key in self._keys]
        if len(body) < _HEAD_BYTES or not any(good):
            raise ForgedError("no ticket of ours")
        until_s = int.from_bytes(body[_ID_BYTES:_HEAD_BYTES], "big")
        if now_s > until_s:
            raise ForgedError(f"a ticket is good for {TICKET_S} s")
        for_call, *parties, outgoing, bot = body[_HEAD_BYTES:].decode().split("\n", 5)
        if for_call != call_id:
            raise ForgedError("a ticket of another call")
        caller, called, attestation = parties
        ringing = Ringing(call_id=call_id, caller=caller, called=called, attestation=attestation)
        return Admission(body[:_ID_BYTES].hex(), until_s, ringing, bot, bool(outgoing))


def _mac(key: bytes, vendor: str, body: bytes) -> bytes:
    signed = vendor.encode() + b"\0" + body
    return hmac.digest(key, signed, hashlib.sha256)[:_MAC_BYTES]
