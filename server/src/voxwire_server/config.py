"""Settings, from ``VOXWIRE_*`` environment variables or the command line."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["Settings"]


class Settings(BaseSettings):
    """How a server runs. Every field is ``VOXWIRE_<NAME>`` in the environment."""

    model_config = SettingsConfigDict(env_prefix="VOXWIRE_", extra="ignore", frozen=True)

    host: str = "127.0.0.1"
    """Address to listen on; anything but loopback needs a key."""
    port: int = Field(default=7860, ge=0, le=65535)
    """Port to listen on; 0 = any free one."""
    key: str = Field(default="", repr=False)
    """Secret of this server, at least 32 characters; required to listen beyond loopback."""
    keys: str = Field(default="", repr=False)
    """Instead of ``key``, for rotation: JSON list of up to two keys; the first one signs."""
    bot: str = "offline"
    """Bot that the server runs: ``offline``, ``gemini``, ``openai-realtime``, ``nova-sonic``, or
    the path of a Python file with ``bot``; several, separated by commas, are chosen by name."""
    profile: str = Field(default="latency", pattern="^(latency|throughput)$")
    """``latency``: 20 ms blocks; ``throughput``: 60 ms blocks, on the wire too."""
    audio_in_sample_rate: int = 16000
    """Rate of the user's audio in the pipeline, Hz."""
    audio_out_sample_rate: int = 24000
    """Rate of the bot's audio, Hz."""
    ice_servers: str = Field(default="[]", repr=False)
    """STUN and TURN servers, JSON list of W3C RTCIceServer objects."""
    turn_urls: str = ""
    """TURN servers with coturn's ``use-auth-secret``, separated by commas."""
    turn_secret: str = Field(default="", repr=False)
    """Their shared secret; every session's client gets credentials of its own."""
    turn_ttl_s: int = Field(default=3600, ge=1, le=86_400)
    """Longest life of those credentials, seconds; a live session gets fresh ones in time."""
    server_ice: str = Field(default="host", pattern="^(host|all|relay)$")
    """What this server is reached by over WebRTC: ``host``: its own addresses; ``relay``: an
    allocation of its own on the TURN servers; ``all``: both."""
    ice_addresses: str = ""
    """Local addresses for WebRTC, separated by commas; empty = loopback for a server on loopback,
    else every interface."""
    allowed_origins: str = ""
    """Origins that may connect beyond loopback, separated by commas; exact match."""
    max_sessions: int = Field(default=200, ge=1)
    """Sessions at once; one more is refused with CAPACITY."""
    max_duration_s: int = Field(default=0, ge=0)
    """Longest duration of a session, seconds; 0 = no limit. A token may allow less, never more."""
    idle_s: int = Field(default=0, ge=0)
    """A session ends when for so long nobody speaks or types and the bot is silent, seconds;
    0 = no limit."""
    log_level: str = Field(default="WARNING", pattern="^(TRACE|DEBUG|INFO|WARNING|ERROR)$")
    """Lowest level that is logged."""
    max_pending_per_address: int = Field(default=8, ge=1)
    """Sockets of one address whose Hello has not been accepted; behind a proxy, all of its clients
    are one address."""
    max_pending: int = Field(default=256, ge=1)
    """Such sockets in all."""
    log_format: str = Field(default="text", pattern="^(text|json)$")
    """``text`` for people, ``json`` for machines: one object a line."""
    opus: bool = True
    """Audio over WebSocket as Opus, for clients that ask for it; False = as PCM for all of them."""
    hello_timeout_ms: int = 5000
    """Longest wait for a client's Hello, milliseconds."""
    heartbeat_ms: int = 1000
    """Ping interval, milliseconds."""
    dead_after_ms: int = 5000
    """A peer that is silent for so long is gone, milliseconds."""
    grace_ms: int = Field(default=60_000, ge=0)
    """How long a session whose control channel is lost waits for its client, milliseconds."""
    voice_gap_ms: int = Field(default=2000, ge=0)
    """How long the bot's voice waits for a listener; after that it is cut, milliseconds."""
    suspended_ms: int = Field(default=60_000, ge=0)
    """The same for a listener who is there and says that it cannot play, milliseconds."""
    accepts: str = ""
    """Types of files that bots take which do not say it themselves, separated by commas:
    ``image/*,application/pdf``; empty = none."""
    file_max_bytes: int = Field(default=10_485_760, ge=0, le=104_857_600)
    """Largest file that a client may send, bytes; 0 = no files."""
    files_total_bytes: int = Field(default=268_435_456, ge=0)
    """Memory that files of all sessions take together until their bots have them, bytes."""
    answer_timeout_ms: int = Field(default=15_000, ge=0)
    """How long the services that owe an answer may be silent; 0 = for ever, milliseconds."""
    end_timeout_ms: int = 5000
    """Longest time for a bot to end, milliseconds."""

    @property
    def has_key(self) -> bool:
        """True when clients need a token."""
        return bool(self.key or self.keys)

    @property
    def block_ms(self) -> int:
        """Length of an audio block, milliseconds."""
        return 60 if self.profile == "throughput" else 20
