"""Snapshots of sessions as protocol/spec/cluster.md has them, in any way that a test wants."""

import hashlib
import hmac
import json
import os
import zlib
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["opened", "sealed"]


def _key(secret: bytes) -> bytes:
    return hmac.digest(secret, b"voxwire snapshot", "sha256")


def sealed(session_id: str, said: Any, secret: bytes) -> bytes:
    """A snapshot that says that, sealed with a secret of the service."""
    key, nonce = _key(secret), os.urandom(12)
    data = zlib.compress(json.dumps(said).encode())
    box = AESGCM(key).encrypt(nonce, data, session_id.encode())
    return hashlib.sha256(key).digest()[:4] + nonce + box


def opened(session_id: str, snapshot: bytes, secret: bytes) -> dict[str, Any]:
    """What a snapshot says that was sealed with that secret."""
    box = AESGCM(_key(secret))
    return json.loads(
        zlib.decompress(box.decrypt(snapshot[4:16], snapshot[16:], session_id.encode()))
    )
