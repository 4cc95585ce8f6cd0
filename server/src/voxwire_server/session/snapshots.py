"""What another process needs to go on with a session, packed for the store.

Sealed with AES-GCM under a key that all processes of a service have; the first of a set writes,
each of it reads. What was written by a process of another version is read as far as it is known: a
field that is not known is as if it were not there, one that is missing has its default. Of a newer
``v`` only the head is read: its client comes back to it, and its bot begins anew
(protocol/spec/cluster.md, "Going on in another process").
"""

import base64
import hashlib
import hmac
import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.message import DecodeError

from voxwire_protocol import wire
from voxwire_server.caps import NOTHING, Amounts, Caps, Payer
from voxwire_server.control.attaches import NOTHING_BEFORE, Before
from voxwire_server.ports import KeptConversation, SessionFacts

__all__ = ["Kept", "SnapshotError", "Snapshots"]

_VERSION: Final = 1
_HEAD: Final = (
    "bot",
    "user",
    "features",
    "max_duration_s",
    "token_expires_at_s",
    "origin",
    "client",
    "metadata",
    "client_tools",
    "speaks",
    "epoch",
    "tokens",
    "began",
    "media_began",
    "muted",
    "caps",
    "spent",
)
"""Whose a session is, who may come back to it, what it may do and spend. Each is in every snapshot,
and means the same in every ``v``: without it nobody is let in. No name comes to these."""
_NONCE_BYTES: Final = 12
_KEY_ID_BYTES: Final = 4
_MAX_BYTES: Final = 1 << 20
_UNREADABLE: Final = (
    AttributeError,
    DecodeError,
    InvalidTag,
    KeyError,
    TypeError,
    ValueError,
    zlib.error,
)
_LEVEL: Final = 1
"""Of zlib: a snapshot is written with every word, and read once at most."""


class SnapshotError(Exception):
    """A snapshot cannot be read: by a key or a version that this process does not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is kept of a session.

    Attributes:
        facts: What it was born with; its features are those of the client's newest Hello.
        before: Its attaches.
        began_unix_ms: When it began.
        media_began_ms: How old the session was when its media clock began, had that run on since,
            milliseconds.
        muted: Whether the user's audio is ignored.
        told: The conversation as the client was told of it, with the calls that run.
        messages: The conversation as the model is told of it; None = there is no model yet.
        state: The bot's own, JSON; empty = nothing.
        caps: Who pays for it, and what he may spend.
        spent: What it has spent so far.
        anew: A process of a newer version has kept it: what was said in it is not known here.
    """

    facts: SessionFacts
    before: Before
    began_unix_ms: int
    media_began_ms: int = 0
    muted: bool = False
    told: wire.Snapshot = field(default_factory=wire.Snapshot)
    messages: list[Any] | None = None
    state: str = ""
    caps: Mapping[Payer, Caps] = field(default_factory=dict[Payer, Caps])
    spent: Amounts = NOTHING
    anew: bool = False

    @property
    def conversation(self) -> KeptConversation | None:
        """What the bot goes on from; None = it begins anew."""
        return None if self.anew else KeptConversation(self.messages, self.state)


class Snapshots:
    """Packs and reads them.

    Args:
        secrets: Of the service; the first one writes, each reads.
    """

    def __init__(self, *secrets: bytes) -> None:
        made = [hmac.digest(secret, b"voxwire snapshot", "sha256") for secret in secrets]
        self._keys = {hashlib.sha256(key).digest()[:_KEY_ID_BYTES]: AESGCM(key) for key in made}
        self._first = next(iter(self._keys))

    def pack(self, session_id: str, kept: Kept) -> bytes:
        """A snapshot of a session, for nobody to read but a process of this service."""
        said = json.dumps(_said(kept), separators=(",", ":"))
        data = zlib.compress(said.encode(), _LEVEL)
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._keys[self._first].encrypt(nonce, data, session_id.encode())
        return self._first + nonce + sealed

    def read(self, session_id: str, snapshot: bytes) -> Kept:
        """What a snapshot says.

        Raises:
            SnapshotError: It is another session's, or was sealed or written in a way that is not
                known here.
        """
        key = self._keys.get(snapshot[:_KEY_ID_BYTES])
        rest = snapshot[_KEY_ID_BYTES:]
        if key is None:
            raise SnapshotError("no key of this process opens it")
        try:
            data = key.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], session_id.encode())
            said = json.loads(zlib.decompressobj().decompress(data, _MAX_BYTES))
            return _kept(said)
        except _UNREADABLE as error:
            raise SnapshotError(f"it cannot be read ({type(error).__name__})") from None


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)


def _said(kept: Kept) -> dict[str, Any]:
    facts = kept.facts
    return {
        "v": _VERSION,
        "bot": facts.bot,
        "user": facts.user,
        "features": sorted(facts.features),
        "max_duration_s": facts.max_duration_s,
        "token_expires_at_s": facts.token_expires_at_s,
        "origin": _text(facts.origin),
        "client": _text(facts.client.SerializeToString()),
        "metadata": facts.metadata_json,
        "client_tools": [_text(tool.SerializeToString()) for tool in facts.tools],
        "speaks": facts.speaks,
        "epoch": kept.before.epoch,
        "tokens": [_text(token) for token in kept.before.tokens],
        "began": kept.began_unix_ms,
        "media_began": kept.media_began_ms,
        "muted": kept.muted,
        "told": _text(kept.told.SerializeToString()),
        "messages": kept.messages,
        "state": kept.state,
        "caps": [[*payer, caps.notation] for payer, caps in kept.caps.items()],
        "spent": kept.spent,
    }


_DEFAULTS: Final = _said(Kept(facts=SessionFacts(), before=NOTHING_BEFORE, began_unix_ms=0))


def _kept(said: Mapping[str, Any]) -> Kept:
    is_newer = said["v"] > _VERSION
    head = {name: said[name] for name in _HEAD}
    said = {**_DEFAULTS, **(head if is_newer else said)}
    return Kept(
        facts=SessionFacts(
            bot=said["bot"],
            user=said["user"],
            features=frozenset(wire.Feature.ValueType(number) for number in said["features"]),
            max_duration_s=said["max_duration_s"],
            token_expires_at_s=said["token_expires_at_s"],
            origin=_bytes(said["origin"]),
            client=wire.ClientInfo.FromString(_bytes(said["client"])),
            metadata_json=said["metadata"],
            tools=tuple(
                wire.ToolDeclaration.FromString(_bytes(tool)) for tool in said["client_tools"]
            ),
            speaks=said["speaks"],
        ),
        before=Before(said["epoch"], tuple(_bytes(token) for token in said["tokens"])),
        began_unix_ms=said["began"],
        media_began_ms=said["media_began"],
        muted=said["muted"],
        told=wire.Snapshot.FromString(_bytes(said["told"])),
        messages=said["messages"],
        state=said["state"],
        caps={Payer(whose, name): Caps.parse(text) for whose, name, text in said["caps"]},
        spent=Amounts(*said["spent"]),
        anew=is_newer,
    )
