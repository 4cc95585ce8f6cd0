"""A process that is one of several: where they agree, how they reach it, what secret they share."""

import ipaddress
from typing import TYPE_CHECKING, Final, NamedTuple

from voxwire_server.config import Settings
from voxwire_server.keys import KeyRing
from voxwire_server.proxies import is_unix, unix_path
from voxwire_server.routes.peers import PeerKey
from voxwire_server.session.engine import EngineError, open_engine
from voxwire_server.session.snapshots import Snapshots
from voxwire_server.shared_secret import NO_SECRET, shared_secrets

if TYPE_CHECKING:
    from voxwire_server.session.redis_store import RedisStore

__all__ = ["Cluster", "EngineError", "why_no_engine"]

_MORE_MS: Final = 30_000
"""What a session is kept longer than its grace, milliseconds."""


class Cluster(NamedTuple):
    """What a process has of the others.

    Attributes:
        store: Where they agree.
        peer_url: Where they reach this one; empty = they do not.
        key: Seals what one tells another.
        snapshots: Packs what another one needs of a session.
        secrets: What they share; the first one signs and seals.
    """

    store: "RedisStore"
    peer_url: str
    key: PeerKey
    snapshots: Snapshots
    secrets: tuple[bytes, ...]

    @classmethod
    def of(cls, settings: Settings, ring: KeyRing, *, port: int | None) -> "Cluster | None":
        """What the settings say; None = the process is alone.

        Args:
            settings: Those of the server.
            ring: Its keys.
            port: Port that is listened on; None = not known.

        Raises:
            EngineError: They cannot be used.
        """
        if not settings.engine:
            return None
        secrets = shared_secrets(settings, ring)
        if not secrets:
            raise EngineError(NO_SECRET)
        store = open_engine(settings.engine, session_ms=settings.grace_ms + _MORE_MS)
        peer_url = _peer_url(settings, port)
        key, snapshots = PeerKey(*secrets), Snapshots(*secrets)
        return cls(store, peer_url, key, snapshots, tuple(secrets))


async def why_no_engine(settings: Settings) -> str:
    """Why the engine of the settings cannot be used; empty = it can, or there is none."""
    if not settings.engine:
        return ""
    try:
        store = open_engine(settings.engine, session_ms=1)
    except EngineError as error:
        return str(error)
    why = await store.try_out()
    await store.close()
    return why and f"VOXWIRE_ENGINE: {why}"


def _peer_url(settings: Settings, port: int | None) -> str:
    if settings.peer_url:
        return settings.peer_url.removesuffix("/")
    if is_unix(settings.host):
        return f"unix:{unix_path(settings.host)}"
    if settings.host.lower() != "localhost" and _is_any(settings.host):
        raise EngineError(
            f"VOXWIRE_HOST={settings.host} is no address at which other processes reach this one:"
            " set VOXWIRE_PEER_URL, for instance to ws://10.0.0.5:7860"
        )
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"ws://{host}:{port or settings.port}"


def _is_any(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
