"""Session tokens: JWTs that say who may talk, to which bot, for how long (RFC 7519, RFC 8725).

Pure: the time is an argument. No error text and no exception context here holds input, because
all input is a credential or may be one. The algorithm belongs to the key, never to the token.
"""

import base64
import json
import re
import secrets
from collections.abc import Callable
from typing import Annotated, Final, cast

from jwt import PyJWS
from jwt.exceptions import PyJWTError
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

from voxwire_protocol import wire
from voxwire_server.keys import Key, KeyRing, KeyRingError
from voxwire_server.strict_json import checked, load_json

__all__ = [
    "LEEWAY_S",
    "MAX_LIFETIME_S",
    "Claims",
    "Limits",
    "Name",
    "TokenError",
    "TokenIssuer",
    "TokenVerifier",
    "require_bot",
]

_AUDIENCE: Final = "voxwire"
LEEWAY_S: Final = 30
"""How far two clocks may differ, seconds."""
MAX_LIFETIME_S: Final = 86_400
"""Longest time between ``iat`` and ``exp``, seconds."""
_MAX_TOKEN_CHARS: Final = 4096
_MAX_HEADER_CHARS: Final = 1024
_MAX_TIME_S: Final = 1 << 40
_JWS: Final = PyJWS(["HS256", "EdDSA"])
_TOKEN: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")

Name = Annotated[
    str,
    StringConstraints(max_length=128, pattern=r"^[^\p{C}\p{Zl}\p{Zp}]+$"),
    WithJsonSchema(  # not every reader of JSON Schema knows the categories of Unicode
        {
            "type": "string",
            "maxLength": 128,
            "pattern": "^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]+$",
            "description": "No control, format or unassigned characters, no line breaks.",
        }
    ),
]
TokenId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{8,64}$")]
Time = Annotated[int, Field(ge=0, le=_MAX_TIME_S)]
PerDay = Annotated[int, Field(ge=1, le=10**12)]


class Limits(BaseModel):
    """What a token's sessions may use; None = as the server says. Unknown limits are refused.

    Those ``_per_day`` count all of its user's sessions of a day (UTC).
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    max_duration_s: Annotated[int, Field(ge=1, le=MAX_LIFETIME_S)] | None = None
    max_sessions: Annotated[int, Field(ge=1, le=10_000)] | None = None
    seconds_per_day: PerDay | None = None
    turns_per_day: PerDay | None = None
    llm_tokens_per_day: PerDay | None = None
    tts_characters_per_day: PerDay | None = None


class Claims(BaseModel):
    """What a verified token says. Claims that are not listed are ignored (RFC 7519 §4)."""

    model_config = ConfigDict(strict=True, frozen=True, hide_input_in_errors=True)

    audience: str = Field(alias="aud")
    user: Name = Field(alias="sub", repr=False)
    issued_at_s: Time = Field(alias="iat")
    not_before_s: Time = Field(alias="nbf")
    expires_at_s: Time = Field(alias="exp")
    token_id: TokenId = Field(alias="jti", repr=False)
    session_id: Name | None = Field(default=None, alias="sid")
    bot: Name | None = None
    limits: Limits = Limits()

    def require(self, *, bot: str, session_id: str | None = None) -> None:
        """Hold what is asked for against what the token is bound to.

        Args:
            bot: The bot that will run (the default's name when the client named none).
            session_id: The session that is resumed; None = a new one.

        Raises:
            TokenError: FORBIDDEN.
        """
        require_bot(self.bot, bot)
        forbidden = wire.ErrorCode.ERROR_CODE_FORBIDDEN
        if self.session_id not in (None, session_id):
            raise TokenError(forbidden, "the token is for another session")


class TokenError(Exception):
    """A token is refused.

    Attributes:
        code: UNAUTHORIZED or FORBIDDEN.
        reason: One of a few fixed sentences.
    """

    def __init__(self, code: wire.ErrorCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def require_bot(bound: str | None, bot: str) -> None:
    """Hold the bot that will run against the one that somebody is bound to; None = any.

    Raises:
        TokenError: FORBIDDEN.
    """
    if bound not in (None, bot):
        raise TokenError(wire.ErrorCode.ERROR_CODE_FORBIDDEN, "the token is for another bot")


def _unauthorized(reason: str = "the token is not valid here") -> TokenError:
    return TokenError(wire.ErrorCode.ERROR_CODE_UNAUTHORIZED, reason)


def _signer(keys: KeyRing) -> Key:
    if keys.signer is None:
        raise KeyRingError("the first key cannot sign: it has no secret and no private key")
    return keys.signer


class TokenIssuer:
    """Signs tokens with the first key of a ring, whichever that is at the time.

    Args:
        keys: The ring; its first key must be able to sign.
        new_id: Makes a ``jti``.

    Raises:
        KeyRingError: No key to sign with.
    """

    def __init__(
        self, keys: KeyRing, *, new_id: Callable[[], str] = lambda: secrets.token_urlsafe(16)
    ) -> None:
        _signer(keys)
        self._keys = keys
        self._new_id = new_id

    def issue(
        self,
        user: str,
        *,
        now_s: float,
        ttl_s: int = 300,
        session_id: str | None = None,
        bot: str | None = None,
        limits: Limits | None = None,
    ) -> str:
        """Make a token.

        Raises:
            ValueError: An argument is out of range; the text names it without its value.
            KeyRingError: The first key cannot sign any more.
        """
        key = _signer(self._keys)
        if not 1 <= ttl_s <= MAX_LIFETIME_S:
            raise ValueError("ttl_s must be between 1 and 86400")
        now = int(now_s)
        data: dict[str, object] = {"aud": _AUDIENCE, "sub": user, "jti": self._new_id()}
        data |= {"iat": now, "nbf": now, "exp": now + ttl_s}
        bound = {"sid": session_id, "bot": bot}
        data |= {name: value for name, value in bound.items() if value is not None}
        data["limits"] = (limits or Limits()).model_dump(mode="json", exclude_none=True)
        wrong = checked(Claims, data)
        if isinstance(wrong, str):
            raise ValueError(f"{wrong} is not valid")
        payload = json.dumps(data, separators=(",", ":")).encode()
        token = _JWS.encode(payload, key.sign_with or b"", key.alg, {"kid": key.kid})
        if len(token) > _MAX_TOKEN_CHARS:
            raise ValueError("the token would be longer than 4096 characters")
        return token


def _decode(segment: str) -> bytes | None:
    """Base64url without padding, only in its one canonical form."""
    try:
        data = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError:
        return None
    return data if base64.urlsafe_b64encode(data).rstrip(b"=") == segment.encode() else None


def _signed(token: str, key: Key) -> bool:
    try:
        _JWS.decode_complete(token, key.verify_with, algorithms=[key.alg])
    except PyJWTError:
        return False
    return True


class TokenVerifier:
    """Checks tokens against a ring; an empty ring refuses every one."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def verify(self, token: str, *, now_s: float) -> Claims:
        """Check form, key, signature and claims, in this order.

        Raises:
            TokenError: UNAUTHORIZED; nothing of the token is in the text.
        """
        if not token:
            raise _unauthorized("this server wants a token, and there was none")
        match = _TOKEN.fullmatch(token) if len(token) <= _MAX_TOKEN_CHARS else None
        if match is None or len(match[1]) > _MAX_HEADER_CHARS:
            raise _unauthorized()
        header, payload, signature = (_decode(segment) for segment in match.groups())
        key = self._key(load_json(header)) if header and payload and signature else None
        if key is None or payload is None or not _signed(token, key):
            raise _unauthorized()
        claims = checked(Claims, load_json(payload))
        if isinstance(claims, str) or claims.audience != _AUDIENCE:
            raise _unauthorized()
        self._check_times(claims, now_s)
        return claims

    def is_ours(self, token: str) -> bool:
        """Whether a token names a key of the ring: nobody else is asked about it then."""
        match = _TOKEN.fullmatch(token) if len(token) <= _MAX_TOKEN_CHARS else None
        if match is None or len(match[1]) > _MAX_HEADER_CHARS:
            return False
        return self._key(load_json(_decode(match[1]) or b"")) is not None

    def _key(self, header: object) -> Key | None:
        """The key that the header names, if it is ours in every part (RFC 8725 §3.1)."""
        if not isinstance(header, dict):
            return None
        fields = cast("dict[str, object]", header)
        kid = fields.get("kid")
        key = self._keys.get(kid) if isinstance(kid, str) else None
        known = key and {"typ": "JWT", "alg": key.alg, "kid": kid}
        return key if {"typ": "JWT", **fields} == known else None

    @staticmethod
    def _check_times(claims: Claims, now_s: float) -> None:
        if not 0 < claims.expires_at_s - claims.issued_at_s <= MAX_LIFETIME_S:
            raise _unauthorized("the token must live between 1 s and 24 h")
        if max(claims.issued_at_s, claims.not_before_s) - LEEWAY_S > now_s:
            raise _unauthorized("the token is not valid yet; check the clocks")
        if claims.expires_at_s + LEEWAY_S <= now_s:
            raise _unauthorized("the token has expired; ask for a new one")
