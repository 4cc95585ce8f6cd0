"""Lets in whoever has a token of your identity provider (OpenID Connect), by its published keys.

VOXWIRE_AUTHENTICATOR=oidc.py:authenticate OIDC_ISSUER=https://id.example.com OIDC_AUDIENCE=voice
"""

import asyncio
import json
import os
import time
import urllib.request
from collections.abc import Callable
from typing import Any, Final, cast
from urllib.parse import urlsplit

import jwt

from voxwire_server import Credential, ForbiddenError, Identity, UnauthorizedError

FRESH_S: Final = 3600
"""Keys that are older are read again, behind whoever comes."""
STALE_S: Final = 86_400
"""Keys that could not be read again for so long are good no more."""
AGAIN_S: Final = 5
"""The provider is asked at most so often, whatever keys are named by whoever comes."""
LEEWAY_S: Final = 30
_TIMEOUT_S: Final = 1.5
_MAX_BYTES: Final = 262_144
_MAX_TOKEN_CHARS: Final = 16_384
_MIN_RSA_BITS: Final = 2048
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_REASONS: Final[dict[type[Exception], str]] = {
    jwt.ExpiredSignatureError: "the token has expired; get a new one",
    jwt.ImmatureSignatureError: "the token is not valid yet; check the clocks",
    jwt.InvalidAudienceError: "the token is for another audience",
    jwt.InvalidIssuerError: "the token is of another issuer",
}


def identity_of(claims: dict[str, Any]) -> Identity:
    """What the claims of a good token mean here. Yours to change: limits, a bot, who may at all."""
    wanted = os.environ.get("OIDC_SCOPE", "")
    if wanted and wanted not in scopes_of(claims):
        raise ForbiddenError(f"the token lacks the scope {wanted}")
    return Identity(user=claims["sub"], expires_at_s=claims["exp"])


def scopes_of(claims: dict[str, Any]) -> set[str]:
    """Scopes of a token: ``scope`` (RFC 9068), ``scp`` at Entra ID (text) and Okta (a list)."""
    scopes: set[str] = set()
    for said in (claims.get("scope"), claims.get("scp")):
        listed = said.split() if isinstance(said, str) else said
        if isinstance(listed, list):
            scopes.update(each for each in cast("list[Any]", listed) if isinstance(each, str))
    return scopes


class Provider:
    """Checks the tokens of one issuer.

    Args:
        issuer: ``iss`` of its tokens, below which its discovery document stands.
        audience: What must be among the ``aud`` of a token: this service.
        now_s: Monotonic time, seconds.

    Raises:
        ValueError: Either is not set.
        OSError: The issuer is not reached over https.
    """

    def __init__(
        self, issuer: str, audience: str, *, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        if not issuer or not audience:
            raise ValueError("OIDC_ISSUER and OIDC_AUDIENCE must be set")
        _require_https(issuer)
        self._issuer = issuer
        self._audience = audience
        self._now_s = now_s
        self._keys: dict[str, jwt.PyJWK] = {}
        self._read_s = self._tried_s = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def claims_of(self, token: str) -> dict[str, Any]:
        """The claims of a token that is good here.

        Raises:
            UnauthorizedError: It is not.
            OSError: The provider's keys cannot be read.
        """
        key = await self._key_of(_kid_of(token))
        if key is None:
            raise UnauthorizedError("the token is signed with no key of this issuer")
        try:
            return jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm_name],  # the key's, never the token's: RFC 8725 §3.1
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY_S,
                options={"require": ["exp", "sub", "iss", "aud"]},
            )
        except jwt.PyJWTError as error:
            reason = _REASONS.get(type(error), "the token is not valid here")
        raise UnauthorizedError(reason)

    async def _key_of(self, kid: str) -> jwt.PyJWK | None:
        age_s = self._now_s() - self._read_s
        if age_s > STALE_S:
            self._keys = {}
        if kid not in self._keys:
            await self._read()  # the provider may have a new one
        elif age_s > FRESH_S:
            self._begin()
        return self._keys.get(kid)

    def _begin(self) -> None:
        """Read the keys, unless that is going on or was tried just now."""
        if self._reading is None and self._now_s() - self._tried_s >= AGAIN_S:
            self._tried_s = self._now_s()
            self._reading = asyncio.get_running_loop().create_task(self._renew())
            self._reading.add_done_callback(self._done)

    def _done(self, reading: "asyncio.Task[None]") -> None:
        self._reading = None
        if not reading.cancelled():
            reading.exception()  # whoever waits for it is told

    async def _read(self) -> None:
        """Wait for the keys, if they are read now.

        Raises:
            OSError: They could not be read, now or just before.
        """
        self._begin()
        if self._reading is not None:
            await asyncio.shield(self._reading)
        elif self._tried_s > self._read_s:
            raise OSError("the keys of the issuer could not be read just now")

    async def _renew(self) -> None:
        keys = await asyncio.to_thread(_read_keys, self._issuer)
        self._keys, self._read_s = keys, self._now_s()


def _kid_of(token: str) -> str:
    try:
        header = jwt.get_unverified_header(token[: _MAX_TOKEN_CHARS + 1])
    except jwt.PyJWTError:
        header = {}
    kid = header.get("kid")
    if len(token) > _MAX_TOKEN_CHARS or not isinstance(kid, str) or "crit" in header:
        raise UnauthorizedError("there is no token of the issuer")
    return kid


def _read_keys(issuer: str) -> dict[str, jwt.PyJWK]:
    """The keys that the issuer's discovery document leads to, by ``kid``.

    Raises:
        OSError: They cannot be read.
    """
    said = _json_of(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    if said.get("issuer") != issuer:
        raise OSError("the discovery document is of another issuer")
    listed = _json_of(str(said.get("jwks_uri", ""))).get("keys")
    entries = cast("list[Any]", listed) if isinstance(listed, list) else []
    keys = {kid: key for kid, key in map(_key_in, entries) if key is not None}
    if not keys:
        raise OSError("the issuer publishes no RS256 or ES256 key")
    return keys


def _key_in(entry: Any) -> tuple[str, jwt.PyJWK | None]:
    """A key for one algorithm: RS256 or ES256, and nothing else that might be published."""
    known = cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}
    kid, kind = known.get("kid"), known.get("kty")
    alg = "RS256" if kind == "RSA" else "ES256"
    fits = kind == "RSA" or (kind == "EC" and known.get("crv") == "P-256")
    mine = known.get("use") in (None, "sig") and known.get("alg") in (None, alg)
    if not (isinstance(kid, str) and fits and mine):
        return "", None
    try:
        key = jwt.PyJWK(known, alg)
    except jwt.PyJWTError:
        return "", None
    weak = kind == "RSA" and key.key.key_size < _MIN_RSA_BITS
    return kid, None if weak else key


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """The provider's documents stand where they should, or nowhere."""


_OPENER: Final = urllib.request.build_opener(_NoRedirect)


def _require_https(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise OSError("keys are read over https only")


def _json_of(url: str) -> dict[str, Any]:
    _require_https(url)
    with _OPENER.open(url, timeout=_TIMEOUT_S) as answer:
        data = answer.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise OSError("the issuer's document is too large")
    try:
        said = json.loads(data)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise OSError("the issuer's document is no JSON object")
    return cast("dict[str, Any]", said)


_provider = Provider(os.environ.get("OIDC_ISSUER", ""), os.environ.get("OIDC_AUDIENCE", ""))


async def authenticate(credential: Credential) -> Identity:
    """Who a token is of: what ``VOXWIRE_AUTHENTICATOR`` names."""
    return identity_of(await _provider.claims_of(credential.token))
