"""The secret that all processes of one service have: what one tells another is sealed with it."""

from typing import Final

from voxwire_server.config import Settings
from voxwire_server.keys import KeyRing

__all__ = ["NO_SECRET", "shared_secrets"]

_MIN_BYTES: Final = 32
NO_SECRET: Final = (
    "VOXWIRE_ENGINE needs a secret that all processes share: set VOXWIRE_KEY or VOXWIRE_ENGINE_KEY,"
    " for instance to $(openssl rand -hex 32)"
)
"""What is told where there is none."""


def shared_secrets(settings: Settings, ring: KeyRing) -> list[bytes]:
    """The secrets of a service; the first one seals, each opens. Empty = none that can be used.

    Args:
        settings: Those of a process; its ``engine_key`` counts before its keys.
        ring: Its keys.
    """
    own = [part.strip().encode() for part in settings.engine_key.split(",") if part.strip()]
    secrets = own or list(ring.secrets)
    return secrets if all(len(secret) >= _MIN_BYTES for secret in secrets) else []
