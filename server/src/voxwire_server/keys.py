"""The keys that sign and verify tokens: at most two, each for one algorithm.

Pure. A ring may be given other keys while it is used. No error text holds a key.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Final, Literal, cast

from jwt.algorithms import HMACAlgorithm
from jwt.exceptions import PyJWTError
from pydantic import BaseModel, ConfigDict, StringConstraints

from voxwire_server.strict_json import checked, load_json

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ed25519

__all__ = ["Key", "KeyRing", "KeyRingError"]

_MIN_SECRET_BYTES: Final = 32  # RFC 7518 §3.2: not shorter than the hash

Kid = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class KeyRingError(ValueError):
    """The keys in the settings cannot be used; the text never holds one."""


class _KeyEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    kid: Kid
    alg: Literal["HS256", "EdDSA"]
    secret: str = ""
    public_key: str = ""
    private_key: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    """One key with the one algorithm that it is for."""

    kid: str
    alg: str
    verify_with: "bytes | ed25519.Ed25519PublicKey" = field(repr=False)
    sign_with: "bytes | ed25519.Ed25519PrivateKey | None" = field(repr=False)


def _hmac_key(secret: str, kid: str) -> Key:
    raw = secret.strip().encode()
    if len(raw) < _MIN_SECRET_BYTES:
        raise KeyRingError("an HS256 secret needs at least 32 bytes: openssl rand -hex 32")
    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(raw)
    except PyJWTError:
        raw = b""
    if not raw:
        raise KeyRingError("an HS256 secret must not be a public key or a certificate")
    kid = kid or hmac.digest(raw, b"voxwire kid", "sha256").hex()[:16]
    return Key(kid, "HS256", raw, raw)


def _eddsa_key(entry: _KeyEntry) -> Key:
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        raise KeyRingError("EdDSA keys need: pip install 'PyJWT[crypto]'") from None
    private = public = None
    try:
        if entry.private_key:
            pem = entry.private_key.encode()
            private = serialization.load_pem_private_key(pem, password=None)
            public = private.public_key()
        if entry.public_key:
            public = serialization.load_pem_public_key(entry.public_key.encode())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        public = None
    if not isinstance(public, ed25519.Ed25519PublicKey):
        raise KeyRingError("an EdDSA key must be Ed25519 in PEM, without a password")
    if private is None:
        return Key(entry.kid, "EdDSA", public, None)
    if not isinstance(private, ed25519.Ed25519PrivateKey) or private.public_key() != public:
        raise KeyRingError("public_key does not belong to private_key")
    return Key(entry.kid, "EdDSA", public, private)


class KeyRing:
    """At most two keys, so that one can follow the other; the first one signs.

    Args:
        keys: The newest key first.
    """

    def __init__(self, keys: Sequence[Key] = ()) -> None:
        self._keys = {key.kid: key for key in keys}
        if len(keys) > 2 or len(self._keys) != len(keys):
            raise KeyRingError("at most two keys, each with a kid of its own")
        self.signer = keys[0] if keys and keys[0].sign_with is not None else None

    def __bool__(self) -> bool:
        return bool(self._keys)

    @property
    def kids(self) -> tuple[str, ...]:
        """The names of the keys, that which signs first."""
        return tuple(self._keys)

    @property
    def secrets(self) -> tuple[bytes, ...]:
        """What its HS256 keys are made of, that which signs first."""
        return tuple(
            key.sign_with for key in self._keys.values() if isinstance(key.sign_with, bytes)
        )

    def become(self, other: "KeyRing") -> None:
        """Have the keys of another ring from now on.

        Raises:
            KeyRingError: It has none, or none that signs where this one has. Nothing has changed.
        """
        if not other:
            raise KeyRingError("there is no key")
        if self.signer is not None and other.signer is None:
            raise KeyRingError("the first key cannot sign: it has no secret and no private key")
        self._keys, self.signer = dict(other._keys), other.signer

    def get(self, kid: str) -> Key | None:
        """The key of that name."""
        return self._keys.get(kid)

    @classmethod
    def parse(cls, *, key: str = "", keys: str = "") -> "KeyRing":
        """Read the settings.

        Args:
            key: ``VOXWIRE_KEY``: one HS256 secret; its kid is derived from it.
            keys: ``VOXWIRE_KEYS``: JSON list of one or two ``{kid, alg, secret | public_key,
                private_key}``; when set, ``key`` signs and verifies nothing.

        Raises:
            KeyRingError: They cannot be used.
        """
        if not keys.strip():
            return cls([_hmac_key(key, "")] if key.strip() else [])
        entries = load_json(keys)
        if not isinstance(entries, list) or not entries:
            raise KeyRingError("VOXWIRE_KEYS must be a JSON list of one or two keys")
        return cls([cls._read(entry) for entry in cast("list[object]", entries)])

    @staticmethod
    def _read(data: object) -> Key:
        entry = checked(_KeyEntry, data)
        if isinstance(entry, str):
            raise KeyRingError(f"VOXWIRE_KEYS: {entry or 'a field'} is missing or not valid")
        pem = bool(entry.public_key or entry.private_key)
        if (bool(entry.secret), pem) != (entry.alg == "HS256", entry.alg == "EdDSA"):
            raise KeyRingError("VOXWIRE_KEYS: HS256 has a secret, EdDSA a public or private key")
        return _hmac_key(entry.secret, entry.kid) if entry.secret else _eddsa_key(entry)
