"""ICE servers: a static list, and coturn credentials minted for each session.

The credentials are those of coturn's ``use-auth-secret`` (draft-uberti-behave-turn-rest-00): the
user name is ``<expiry>:<session>``, the password its HMAC-SHA1 under the secret shared with coturn.
"""

import base64
import hmac
import ipaddress
import re
from collections.abc import Sequence
from typing import Annotated, Final, cast

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from voxwire_protocol import wire
from voxwire_server.strict_json import checked, load_json

__all__ = ["DEFAULT_TTL_S", "IceServers", "IceServersError", "refresh_after_s", "turn_credential"]

DEFAULT_TTL_S: Final = 3600
"""Longest life of minted credentials, seconds."""
_MAX_SERVERS: Final = 16
_HOST: Final = r"(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?)"
_URL: Final = re.compile(
    rf"(?P<scheme>stun|turns?):{_HOST}(?::(?P<port>[0-9]{{1,5}}))?"
    r"(?P<query>\?transport=(?:udp|tcp))?"
)
_SESSION_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")

Url = Annotated[str, StringConstraints(max_length=512)]


class IceServersError(ValueError):
    """The ICE servers in the settings cannot be used; the text holds no credential."""


class _Entry(BaseModel):
    """W3C ``RTCIceServer`` (WebRTC 1.0 §4.2.4) and nothing else."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    urls: Url | Annotated[list[Url], Field(min_length=1, max_length=16)]
    username: Annotated[str, StringConstraints(min_length=1, max_length=508)] | None = None
    credential: Annotated[str, StringConstraints(min_length=1, max_length=1024)] | None = None


def _scheme(url: str) -> str:
    """Scheme of a STUN or TURN URL (RFC 7064, RFC 7065); empty when it is not one."""
    match = _URL.fullmatch(url)
    if match is None or (match["query"] and match["scheme"] == "stun"):
        return ""
    if match["port"] is not None and not 1 <= int(match["port"]) <= 65535:
        return ""
    if match["host"].startswith("["):
        try:
            ipaddress.IPv6Address(match["host"][1:-1])
        except ValueError:
            return ""
    return match["scheme"]


def turn_credential(secret: str, username: str) -> str:
    """The password that coturn expects for a user name (``use-auth-secret``)."""
    return base64.b64encode(hmac.digest(secret.encode(), username.encode(), "sha1")).decode()


def refresh_after_s(ttl_s: int) -> int:
    """When to send fresh credentials: after three quarters of their life, seconds."""
    return max(1, ttl_s * 3 // 4)


def _static(data: object, place: int) -> wire.IceServer:
    """One server of the static list.

    Raises:
        IceServersError: It is no RTCIceServer.
    """
    entry = checked(_Entry, data)
    if isinstance(entry, str):
        field = entry or "a field"
        raise IceServersError(f"ICE server {place}: {field} is missing, unknown or not valid")
    urls = [entry.urls] if isinstance(entry.urls, str) else entry.urls
    schemes = {_scheme(url) for url in urls}
    if "" in schemes:
        raise IceServersError(f"ICE server {place}: urls must be stun:, turn: or turns: URLs")
    if schemes - {"stun"} and (entry.username is None or entry.credential is None):
        raise IceServersError(f"ICE server {place}: TURN needs username and credential")
    return wire.IceServer(
        urls=urls, username=entry.username or "", credential=entry.credential or ""
    )


class IceServers:
    """What a session is told about STUN and TURN.

    Args:
        static: Servers that every session gets.
        turn_urls: TURN URLs of a coturn with ``use-auth-secret``.
        turn_secret: Its ``static-auth-secret``.
        max_ttl_s: Longest life of minted credentials, seconds.

    Raises:
        IceServersError: They cannot be used.
    """

    def __init__(
        self,
        static: Sequence[wire.IceServer] = (),
        *,
        turn_urls: Sequence[str] = (),
        turn_secret: str = "",
        max_ttl_s: int = DEFAULT_TTL_S,
    ) -> None:
        if bool(turn_urls) != bool(turn_secret):
            raise IceServersError("VOXWIRE_TURN_URLS and VOXWIRE_TURN_SECRET go together")
        if not {_scheme(url) for url in turn_urls} <= {"turn", "turns"}:
            raise IceServersError("VOXWIRE_TURN_URLS must be turn: or turns: URLs")
        if max_ttl_s < 1:
            raise IceServersError("credentials must live for at least 1 s")
        self._static = tuple(static)
        self._turn_urls = tuple(turn_urls)
        self._turn_secret = turn_secret
        self._max_ttl_s = max_ttl_s

    @classmethod
    def parse(
        cls,
        *,
        ice_servers: str = "",
        turn_urls: str = "",
        turn_secret: str = "",
        max_ttl_s: int = DEFAULT_TTL_S,
    ) -> "IceServers":
        """Read the settings.

        Args:
            ice_servers: ``VOXWIRE_ICE_SERVERS``: JSON list of W3C RTCIceServer objects.
            turn_urls: ``VOXWIRE_TURN_URLS``, separated by commas.
            turn_secret: ``VOXWIRE_TURN_SECRET``.
            max_ttl_s: Longest life of minted credentials, seconds.

        Raises:
            IceServersError: They cannot be used.
        """
        data = load_json(ice_servers.strip() or "[]")
        entries = cast("list[object]", data) if isinstance(data, list) else None
        if entries is None or len(entries) > _MAX_SERVERS:
            raise IceServersError("VOXWIRE_ICE_SERVERS must be a JSON list of at most 16 servers")
        return cls(
            [_static(entry, place) for place, entry in enumerate(entries, 1)],
            turn_urls=[url.strip() for url in turn_urls.split(",") if url.strip()],
            turn_secret=turn_secret.strip(),
            max_ttl_s=max_ttl_s,
        )

    def become(self, turn_secret: str) -> None:
        """Mint with another secret from now on; what was minted before lives as long as coturn has
        the one before.

        Raises:
            IceServersError: Nothing is minted here.
        """
        if not self.mints or not turn_secret:
            raise IceServersError("VOXWIRE_TURN_URLS and VOXWIRE_TURN_SECRET go together")
        self._turn_secret = turn_secret

    @property
    def mints(self) -> bool:
        """True when credentials are minted, and so must be refreshed on a live session."""
        return bool(self._turn_urls)

    @property
    def has_turn(self) -> bool:
        """True when there is a TURN server among them."""
        return self.mints or any(_scheme(url) != "stun" for s in self._static for url in s.urls)

    def mint(self, session_id: str, *, now_s: float, ttl_s: float | None) -> list[wire.IceServer]:
        """The servers for one side of one session.

        Args:
            session_id: Who uses them; coturn counts ``user-quota`` by it.
            now_s: Seconds since the epoch.
            ttl_s: What is left of the token's life; None = no token. Nothing is minted for less
                than a second.

        Returns:
            The static servers, then TURN with credentials; ``ttl_secs`` says for how long.

        Raises:
            ValueError: ``session_id`` does not fit into a TURN user name.
        """
        servers = [wire.IceServer.FromString(s.SerializeToString()) for s in self._static]
        ttl = int(self._max_ttl_s if ttl_s is None else min(ttl_s, self._max_ttl_s))
        if not self._turn_urls or ttl < 1:
            return servers
        if _SESSION_ID.fullmatch(session_id) is None:
            raise ValueError("the session id does not fit into a TURN user name")
        username = f"{int(now_s) + ttl}:{session_id}"
        credential = turn_credential(self._turn_secret, username)
        minted = wire.IceServer(
            urls=self._turn_urls, username=username, credential=credential, ttl_secs=ttl
        )
        return [*servers, minted]
