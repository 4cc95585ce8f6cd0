"""Settings, from ``VOXWIRE_*`` environment variables or the command line."""

import difflib
import logging
import os
import re
from collections.abc import Callable, Collection
from typing import Any, Final

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from voxwire_server.caps import Caps

__all__ = ["Settings", "UnknownSettingError", "check_names"]

PREFIX: Final = "VOXWIRE_"
OTHERS: Final = frozenset(
    f"{PREFIX}{name}"
    for name in ("GEMINI_MODEL", "OPENAI_REALTIME_URL", "SERVER", "SPEECH", "TOKEN", "VENV")
)
"""What the built-in bots, our clients and our workshop read; not settings of a server."""
_PROVIDERS: Final = re.compile(
    f"{PREFIX}(DEEPGRAM|OPENAI|WHISPER|ANTHROPIC|OLLAMA|CARTESIA|ELEVENLABS|KOKORO|OFFLINE)"
    "_(STT|LLM|TTS)_(MODEL|VOICE|URL|MODEL_PATH|VOICES_PATH)"
)
"""What the providers of a cascade read (``voxwire_server.bots.cascade``)."""
TESTS: Final = f"{PREFIX}TEST_"
"""What our tests say to each other."""
_SERVICE: Final = "_SERVICE_HOST"
_LINK: Final = re.compile(
    r"(\w+?)_(?:SERVICE_(?:HOST|PORT(?:_\w+)?)|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_[A-Z]+)?)?)"
)
"""What Kubernetes tells of a service whose name begins with ours."""
_LINK_URL: Final = re.compile(r"(tcp|udp|sctp)://")
_DAY_S: Final = 86_400
_MOST_STARTS: Final = 100_000
_log = logging.getLogger("voxwire.settings")
_warned: set[str] = set()


class UnknownSettingError(ValueError):
    """The environment has a ``VOXWIRE_*`` that is no setting."""


def check_names(names: Collection[str]) -> None:
    """Look for settings that are not there; a misspelt one would be ignored otherwise.

    Args:
        names: Of environment variables.

    Raises:
        UnknownSettingError: One begins with ``VOXWIRE_`` and is no setting; the text names the
            nearest one.
    """
    unknown = _unknown(names)
    if unknown:
        raise UnknownSettingError("; ".join(map(_not_known, unknown)))


def _settings() -> set[str]:
    return {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}


def _unknown(names: Collection[str]) -> list[str]:
    known = _settings() | OTHERS
    links = {name.removesuffix(_SERVICE) for name in names if name.endswith(_SERVICE)}
    return [
        name
        for name in sorted(names)
        if name.upper().startswith(PREFIX)
        and name.upper() not in known
        and not name.upper().startswith(TESTS)
        and not _PROVIDERS.fullmatch(name.upper())
        and not ((link := _LINK.fullmatch(name)) and link[1] in links)
    ]


def _not_known(name: str) -> str:
    near = difflib.get_close_matches(name.upper(), sorted(_settings()), n=1, cutoff=0.7)
    instead = f"did you mean {near[0]}?" if near else "names that begin with VOXWIRE_ are ours"
    return f"{name} is no setting: {instead}"


class Settings(BaseSettings):
    """How a server runs. Every field is ``VOXWIRE_<NAME>`` in the environment."""

    model_config = SettingsConfigDict(env_prefix="VOXWIRE_", extra="ignore", frozen=True)

    host: str = "127.0.0.1"
    """Address to listen on; anything but loopback needs a key. ``unix:/run/voxwire.sock``: a Unix
    socket."""
    port: int = Field(default=7860, ge=0, le=65535)
    """Port to listen on; 0 = any free one."""
    key: str = Field(default="", repr=False)
    """Secret of this server, at least 32 characters; required to listen beyond loopback."""
    keys: str = Field(default="", repr=False)
    """Instead of ``key``, for rotation: JSON list of up to two keys; the first one signs."""
    keys_file: str = ""
    """Instead of ``keys``: file that has them; read anew on SIGHUP, under calls. Only a server
    whose first key can sign when it starts has ``/v1/tokens``."""
    authenticator: str | Callable[..., Any] = ""
    """Who may come, besides those with tokens of ours: a function, or ``package.module:function``
    or ``file.py:function`` where one is (:class:`~voxwire_server.authenticator.Authenticator`)."""
    authenticator_timeout_ms: int = Field(default=2000, ge=10, le=10_000)
    """How long it may take, milliseconds; then a client is told to try again."""
    public_url: str = ""
    """Where clients find the server, behind a proxy: ``https://bot.example`` or
    ``https://bot.example/voice``. Its host and its pages are the server's own."""
    trusted_proxies: str = ""
    """Addresses and networks whose forwarded headers count, separated by commas; ``unix``: whoever
    comes by the Unix socket. Limits by address then count the client's."""
    admin_key: str = Field(default="", repr=False)
    """Secret of the operator's routes (sessions, figures), at least 32 characters; empty = there
    are none."""
    admin_address: str = Field(default="", pattern=r"^(|.+:[0-9]{1,5})$")
    """Address that they listen on, ``127.0.0.1:9100``; empty = that of the server."""
    bot: str = "offline"
    """Bot that the server runs: ``offline``, ``cascade``, ``local``, ``gemini``,
    ``openai-realtime``, ``nova-sonic``, or the path of a Python file with ``bot``; several,
    separated by commas, are chosen by name."""
    stt: str = ""
    """Who hears for ``cascade``: ``deepgram``, ``openai``, ``whisper``; several, separated by
    commas, are asked in that order, the next one where one fails. ``local`` has ``whisper``."""
    llm: str = ""
    """Who thinks: ``anthropic``, ``openai``, ``ollama`` (any server of OpenAI's protocol)."""
    tts: str = ""
    """Who speaks: ``cartesia``, ``elevenlabs``, ``openai``, ``kokoro``, ``offline``."""
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
    turn_secret_file: str = ""
    """Instead of ``turn_secret``: file that has it; read anew on SIGHUP, under calls."""
    turn_ttl_s: int = Field(default=3600, ge=1, le=86_400)
    """Longest life of those credentials, seconds; a live session gets fresh ones in time."""
    server_ice: str = Field(default="host", pattern="^(host|all|relay)$")
    """What this server is reached by over WebRTC: ``host``: its own addresses; ``relay``: an
    allocation of its own on the TURN servers; ``all``: both."""
    turn_check_s: int = Field(default=60, ge=0, le=86_400)
    """How often the TURN servers are asked for an allocation, for `/readyz` and the figures,
    seconds; 0 = never."""
    ready_needs_turn: bool = False
    """`/readyz` is 503 while no TURN server gives an allocation."""
    ice_addresses: str = ""
    """Local addresses for WebRTC, separated by commas; empty = loopback for a server on loopback,
    else every interface."""
    allowed_origins: str = ""
    """Origins that may connect beyond loopback, separated by commas; exact match."""
    max_sessions: int = Field(default=200, ge=1)
    """Sessions at once; one more is refused with CAPACITY."""
    workers: int = Field(default=1, ge=1, le=64)
    """Processes of this machine behind its one port (`voxwire-server run --workers`), each with
    ``max_sessions`` of its own. Without an ``engine`` they bring one: `redis-server`."""
    engine: str = Field(default="", repr=False)
    """Where several processes of one service agree on sessions: ``redis://host:6379``,
    ``rediss://…``, ``valkey://…``, ``unix:///run/redis.sock``, ``redis+sentinel://host1,host2/name``
    or ``redis+cluster://host1,host2``; empty = this process is alone."""
    engine_key: str = Field(default="", repr=False)
    """Secret that these processes share, at least 32 characters; empty = their ``key``. Two,
    separated by a comma, for rotation: the first one is written with."""
    peer_url: str = Field(default="", pattern=r"^(|wss?://[^/?#]+/?|unix:/.+)$")
    """Where the others reach this process: ``ws://10.0.0.5:7860``, ``unix:/run/voxwire/1.sock``;
    empty = at ``host`` and ``port``, where that is one address."""
    max_waiting: int = Field(default=0, ge=0, le=10_000)
    """Clients that wait for a place, in the order of coming, instead of being refused with
    CAPACITY; 0 = nobody waits."""
    max_wait_s: int = Field(default=120, ge=1, le=3600)
    """Longest wait; after it a client is refused with CAPACITY, seconds."""
    max_lag_ms: int = Field(default=20, ge=0)
    """How late the event loop may be for ten seconds before new sessions are refused with CAPACITY
    while others talk, milliseconds (p95 of ten seconds); so they are when its thread has 90 % of a
    core. 0 = never."""
    starts_per_address: str = "300/minute"
    """Sessions that may begin from one address beyond loopback, in the notation of ``limits``:
    ``300/minute``, or several: ``10/second; 300/minute``. One more is refused with RATE_LIMITED.
    Empty = no limit."""
    starts_per_user: str = "300/minute"
    """The same for one user of tokens (``sub``)."""
    caps_per_user: str = ""
    """What the sessions of one user of tokens (``sub``) may cost a day (UTC), any of these:
    ``seconds=3600,turns=500,llm_tokens=200000,tts_characters=100000``; empty = no caps. A token may
    allow less, never more."""
    caps_per_bot: str = ""
    """The same for all sessions of one bot, as far as it says nothing itself (``CAPS``)."""
    max_duration_s: int = Field(default=0, ge=0)
    """Longest duration of a session, seconds; 0 = no limit. A token may allow less, never more."""
    idle_s: int = Field(default=0, ge=0)
    """A session ends when for so long nobody speaks or types and the bot is silent, seconds;
    0 = no limit."""
    log_file: str = ""
    """File to log into instead of stderr; opened anew on SIGHUP."""
    log_file_max_bytes: int = Field(default=10_485_760, ge=0)
    """When it is as long as that, it becomes ``<name>.1``, bytes; 0 = never."""
    log_file_count: int = Field(default=5, ge=1)
    """How many such files are kept."""
    log_level: str = Field(default="WARNING", pattern="^(TRACE|DEBUG|INFO|WARNING|ERROR)$")
    """Lowest level that is logged."""
    max_pending_per_address: int = Field(default=8, ge=1)
    """Sockets of one address whose Hello has not been accepted; behind a proxy that is not named in
    ``trusted_proxies`` all of its clients are one address."""
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
    phone_twilio_token: str = Field(default="", repr=False)
    """Auth token of a Twilio account whose calls come to ``/phone/twilio``; two, separated by a
    comma, while one takes the other's place; empty = none come. So it is for all vendors."""
    phone_telnyx_key: str = ""
    """Public key of a Telnyx account, base64, whose calls come to ``/phone/telnyx``."""
    phone_plivo_token: str = Field(default="", repr=False)
    """Auth token of a Plivo account whose calls come to ``/phone/plivo``."""
    phone_exotel: str = Field(default="", repr=False)
    """How an Exotel account is known whose calls come to ``/phone/exotel``, which signs nothing:
    ``user:password``, addresses and networks, separated by commas."""
    phone_vonage_secret: str = Field(default="", repr=False)
    """Signature secret of a Vonage account whose calls come to ``/phone/vonage``."""
    phone_twilio_account: str = Field(default="", repr=False)
    """SID of the Twilio account, to call and to put calls through; its token is asked with. So it
    is for all vendors."""
    phone_telnyx_account: str = Field(default="", repr=False)
    """``account:application:API key`` of Telnyx."""
    phone_plivo_account: str = Field(default="", repr=False)
    """Auth id of Plivo."""
    phone_exotel_account: str = Field(default="", repr=False)
    """``SID:API key:API token:flow`` of Exotel."""
    phone_vonage_account: str = Field(default="", repr=False)
    """``application:path of its private key`` of Vonage."""
    call_from: str = ""
    """The number that calls of bots come from."""
    call_prefixes: str = ""
    """What numbers begin with that bots may call, and put calls through to, separated by commas:
    ``+49,+4420``; empty = none."""
    calls_per_minute: int = Field(default=6, ge=0)
    """Most calls, and calls put through, that a process makes within a minute."""
    calls_per_day: int = Field(default=100, ge=0)
    """The same within 24 hours."""
    daily_api_key: str = Field(default="", repr=False)
    """API key of a Daily account: clients that ask for it are carried through rooms of Daily's;
    empty = none are."""
    daily_url: str = Field(default="https://api.daily.co/v1", pattern=r"^https?://[^?#]+$")
    """Daily's REST interface."""
    daily_geo: str = Field(default="", pattern=r"^[a-z0-9-]*$")
    """Region of Daily's where rooms are: ``eu-central-1``; empty = near who enters first."""
    daily_rooms_ahead: int = Field(default=0, ge=0, le=100)
    """Rooms that are kept ready for the next sessions; 0 = each is made when it is asked for."""
    daily_room_s: int = Field(default=14_400, ge=60, le=86_400)
    """Longest life of a room where ``max_duration_s`` is no limit, seconds; a session that lasts
    longer goes on in another one."""
    answer_timeout_ms: int = Field(default=15_000, ge=0)
    """How long the services that owe an answer may be silent; 0 = for ever, milliseconds."""
    drain_ms: int = Field(default=30_000, ge=0, le=3_600_000)
    """How long sessions may go on after SIGTERM, while no new one is begun, milliseconds."""
    end_timeout_ms: int = 3000
    """Longest time for a bot to end, milliseconds."""

    @field_validator("port", mode="before")
    @classmethod
    def _no_link(cls, port: Any) -> Any:
        """``VOXWIRE_PORT`` of a Kubernetes service named voxwire says where that service is."""
        is_link = isinstance(port, str) and _LINK_URL.match(port)
        return cls.model_fields["port"].default if is_link else port

    @field_validator("keys_file", "turn_secret_file")
    @classmethod
    def _is_the_only_one(cls, path: str, info: ValidationInfo) -> str:
        plain = str(info.field_name).removesuffix("_file")
        if path and info.data.get(plain):
            raise ValueError(f"there is VOXWIRE_{plain.upper()} as well: set one of them")
        return path

    @field_validator("admin_address")
    @classmethod
    def _has_a_port(cls, address: str) -> str:
        if address and int(address.rpartition(":")[2]) > 65_535:
            raise ValueError("a port is 65535 at most")
        return address

    @field_validator("starts_per_address", "starts_per_user")
    @classmethod
    def _are_limits(cls, notation: str) -> str:
        from limits import parse_many

        try:
            items = parse_many(notation) if notation.strip() else []
        except ValueError:
            raise ValueError("write it as 300/minute, or 10/second; 300/minute") from None
        if any(item.get_expiry() > _DAY_S for item in items):
            raise ValueError("a limit is for a day at most")
        if not all(1 <= item.amount <= _MOST_STARTS for item in items):
            raise ValueError(f"a limit is 1 to {_MOST_STARTS} sessions")
        return notation

    @field_validator("caps_per_user", "caps_per_bot")
    @classmethod
    def _are_caps(cls, notation: str) -> str:
        Caps.parse(notation)
        return notation

    def model_post_init(self, context: Any, /) -> None:
        """Say in the log which ``VOXWIRE_*`` of the environment are no settings, once each."""
        unknown = [name for name in _unknown(os.environ) if name not in _warned]
        _warned.update(unknown)
        for name in unknown:
            _log.warning("%s", _not_known(name))

    @property
    def has_key(self) -> bool:
        """True when clients need a token."""
        return bool(self.key or self.keys or self.keys_file or self.authenticator)

    @property
    def has_files(self) -> bool:
        """True when there are secrets in files, which may change."""
        return bool(self.keys_file or self.turn_secret_file)

    @property
    def block_ms(self) -> int:
        """Length of an audio block, milliseconds."""
        return 60 if self.profile == "throughput" else 20
