"""``voxwire-server check``: what would keep a server from running, said before it starts."""

import asyncio
import os
import secrets
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import ValidationError

from voxwire_protocol import wire
from voxwire_protocol.daily import daily_ready
from voxwire_protocol.errors import VoxwireError
from voxwire_server.admin.relays import never_ready_message
from voxwire_server.admin.routes import AdminKeyError, check_admin_key
from voxwire_server.authenticator import Authenticator, AuthenticatorSettingError
from voxwire_server.bots.house import Bots, BotsError
from voxwire_server.bots.providers import Providers
from voxwire_server.bots.registry import BotNotFoundError, LoadedBot, load_bot
from voxwire_server.caps import Caps
from voxwire_server.cluster import why_no_engine
from voxwire_server.config import Settings, UnknownSettingError, check_names
from voxwire_server.daily.rest import DailyRest
from voxwire_server.gate import MissingKeyError, is_loopback
from voxwire_server.ice_servers import IceServers, IceServersError
from voxwire_server.key_files import FileError, KeyFiles, open_to_others
from voxwire_server.keys import KeyRingError
from voxwire_server.listeners import AdminAddressError, bind, bind_admin, forget
from voxwire_server.phone.exchange import exchange_of
from voxwire_server.phone.vendors import PhoneSettingError, vendors_of
from voxwire_server.proxies import ProxiesError, PublicUrl, TrustedProxies, is_unix

__all__ = ["Finding", "State", "checked_settings", "preflight"]

State = Literal["ok", "warning", "failed"]
_TLS_S: Final = 5.0
_DAILY_S: Final = 8.0
_DAY_S: Final = 86_400
_SOON_DAYS: Final = 14
_TURN_PROBE_TTL_S: Final = 60


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes:
        name: What: ``settings``, ``key``, ``proxy``, ``ice``, ``certificate``, ``turn``, ``port``,
            ``log``, ``bot``, ``engine``, ``phone``, ``daily``.
        state: ``warning``: a server starts, and some clients will miss something.
        detail: One sentence: what was found, or what is wrong and what to do. No secret is in it.
    """

    name: str
    state: State
    detail: str


def checked_settings(given: Mapping[str, Any]) -> tuple[Settings | None, list[Finding]]:
    """Read the settings of the environment and the command line.

    Args:
        given: Fields of the command line.

    Returns:
        The settings, when they can be read, and what is wrong with each that cannot be.
    """
    try:
        check_names(os.environ)
        return Settings(**given), []
    except UnknownSettingError as error:
        return None, [Finding("settings", "failed", part) for part in str(error).split("; ")]
    except ValidationError as error:
        return None, [
            Finding("settings", "failed", f"VOXWIRE_{str(each['loc'][0]).upper()}: {each['msg']}")
            for each in error.errors(include_input=False)
        ]


async def preflight(settings: Settings) -> list[Finding]:
    """Look at everything that a server with these settings needs. Opens no session.

    Returns:
        What was found, in the order of the settings; it takes 10 s at most.
    """
    run = _Preflight(settings)
    looks = (run.keys, run.proxy, run.ice, run.certificate, run.port, run.turn, run.log, run.bots)
    looks = (*looks, *([run.engine] if settings.engine else []), run.phone, run.daily)
    for look in looks:
        await look()
    return run.findings


class _Preflight:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.findings = [Finding("settings", "ok", "every VOXWIRE_* is known and can be used")]

    def note(self, name: str, state: State, detail: str) -> None:
        self.findings.append(Finding(name, state, detail))

    async def engine(self) -> None:
        why = await why_no_engine(self.settings)
        self.note("engine", "failed" if why else "ok", why or "processes can agree there")

    async def phone(self) -> None:
        try:
            vendors = vendors_of(self.settings)
            exchange_of(self.settings)
            public = PublicUrl.parse(self.settings.public_url).http if vendors else ""
        except PhoneSettingError as error:
            self.note("phone", "failed", str(error))
            return
        except ProxiesError:
            return  # told by the look at the proxy
        for vendor in vendors:
            told = f"the webhook to tell {vendor.name} is {public}/phone/{vendor.name}"
            self.note("phone", "ok", told)

    async def daily(self) -> None:
        key = self.settings.daily_api_key.strip()
        if not key:
            return
        if not daily_ready():
            self.note("daily", "failed", "it needs: pip install 'voxwire-server[daily]'")
            return
        try:
            async with asyncio.timeout(_DAILY_S):
                await DailyRest(key, url=self.settings.daily_url).look()
        except (VoxwireError, TimeoutError) as error:
            why = error.reason if isinstance(error, VoxwireError) else "Daily does not answer"
            self.note("daily", "failed", why)
            return
        self.note("daily", "ok", "Daily knows the key")

    async def keys(self) -> None:
        settings = self.settings
        try:
            ring = KeyFiles.ring_of(settings)
        except (FileError, KeyRingError) as error:
            self.note("key", "failed", str(error))
            return
        self._is_safe("key", settings.keys_file)
        if not self._authenticator():
            return
        if not ring and settings.authenticator:
            self.note("key", "ok", "none: the authenticator says who may come")
        elif not ring:
            self.note("key", "ok", "none: for programs and pages of this machine only")
        elif ring.signer is None or not settings.key:
            self.note("key", "warning", "no VOXWIRE_KEY: POST /v1/tokens issues no tokens")
        else:
            self.note("key", "ok", f"tokens are issued and checked{self._who_needs_none()}")
        try:
            check_admin_key(settings.admin_key.strip())
        except AdminKeyError as error:
            self.note("key", "failed", str(error))

    def _is_safe(self, name: str, path: str) -> None:
        wrong = open_to_others(path) if path else ""
        if wrong:
            self.note(name, "warning", wrong)

    def _authenticator(self) -> bool:
        try:
            found = Authenticator.of(self.settings.authenticator)
        except AuthenticatorSettingError as error:
            self.note("key", "failed", str(error))
            return False
        if found is not None:
            self.note("key", "ok", "whoever has no token of ours is asked by the authenticator")
        return True

    def _who_needs_none(self) -> str:
        settings = self.settings
        if settings.authenticator:
            return ""
        behind = settings.public_url or settings.trusted_proxies or is_unix(settings.host)
        if behind or not is_loopback(settings.host):
            return ""
        return (
            "; programs of this machine need none, nor does who comes by a proxy that adds no"
            " header (behind one, set VOXWIRE_PUBLIC_URL or VOXWIRE_TRUSTED_PROXIES)"
        )

    async def proxy(self) -> None:
        settings = self.settings
        try:
            proxies = TrustedProxies.parse(settings.trusted_proxies)
            public = PublicUrl.parse(settings.public_url)
        except ProxiesError as error:
            self.note("proxy", "failed", str(error))
            return
        if (public.authority or proxies) and not settings.has_key:
            wrong = "clients that come by a proxy need VOXWIRE_KEY: openssl rand -hex 32"
            self.note("proxy", "failed", wrong)
        elif public.authority and not proxies:
            wrong = "VOXWIRE_TRUSTED_PROXIES is empty: every client counts as the proxy's address"
            self.note("proxy", "warning", wrong)
        elif public.scheme == "http" and not is_loopback(urlsplit(public.origin).hostname or ""):
            wrong = "VOXWIRE_PUBLIC_URL is http: browsers give no microphone to such a page"
            self.note("proxy", "warning", wrong)
        elif public.authority:
            self.note("proxy", "ok", f"clients connect to {public.websocket}")

    async def ice(self) -> None:
        settings = self.settings
        try:
            clients_at = urlsplit(PublicUrl.parse(settings.public_url).origin).hostname or ""
        except ProxiesError:
            return
        inside = is_loopback(settings.host) and not settings.ice_addresses.strip()
        if inside and settings.server_ice == "host" and clients_at and not is_loopback(clients_at):
            wrong = (
                "WebRTC is offered on loopback only, and clients elsewhere get their audio over"
                " WebSocket: set VOXWIRE_ICE_ADDRESSES to addresses of this machine that they"
                " reach, or VOXWIRE_SERVER_ICE=relay with a TURN server"
            )
            self.note("ice", "warning", wrong)

    async def certificate(self) -> None:
        try:
            public = PublicUrl.parse(self.settings.public_url)
        except ProxiesError:
            return
        if public.scheme != "https":
            return
        try:
            days = await _certificate_days(public.origin)
        except (OSError, TimeoutError) as error:
            self.note("certificate", *_tls_trouble(public.authority, error))
            return
        soon = days < _SOON_DAYS
        detail = f"that of {public.authority} is good for {days:.0f} days more"
        self.note("certificate", "warning" if soon else "ok", detail)

    async def port(self) -> None:
        settings = self.settings
        place = settings.host if is_unix(settings.host) else f"{settings.host}:{settings.port}"
        try:
            listener = bind(settings)
        except MissingKeyError as error:
            self.note("port", "failed", str(error).removeprefix("voxwire-server: "))
            return
        except OSError as error:
            self.note("port", "failed", f"cannot listen on {place}: {error.strerror or error}")
            return
        with closing(listener):
            self.note("port", "ok", f"{place} is free")
            self._admin_address()
            forget(listener)

    def _admin_address(self) -> None:
        settings = self.settings
        if settings.admin_address and not settings.admin_key:
            wrong = "VOXWIRE_ADMIN_ADDRESS without VOXWIRE_ADMIN_KEY: nothing listens there"
            self.note("port", "warning", wrong)
            return
        try:
            listener = bind_admin(settings)
        except AdminAddressError as error:
            self.note("port", "failed", str(error.strerror))
            return
        if listener is not None:
            listener.close()
            self.note("port", "ok", f"{settings.admin_address} is free, for the operator")

    async def turn(self) -> None:
        settings = self.settings
        try:
            servers = IceServers.parse(
                ice_servers=settings.ice_servers,
                turn_urls=settings.turn_urls,
                turn_secret=KeyFiles.turn_secret_of(settings),
                max_ttl_s=_TURN_PROBE_TTL_S,
            )
        except (FileError, IceServersError) as error:
            self.note("turn", "failed", str(error))
            return
        self._is_safe("turn", settings.turn_secret_file)
        if settings.ready_needs_turn and not (servers.has_turn and settings.turn_check_s):
            self.note("turn", "failed", never_ready_message())
            return
        if not servers.has_turn:
            state: State = "failed" if settings.server_ice != "host" else "ok"
            self.note("turn", state, "no TURN server: clients without UDP use WebSocket audio")
            return
        minted = servers.mint(f"check-{secrets.token_hex(4)}", now_s=time.time(), ttl_s=None)
        await self._ask(minted)

    async def _ask(self, servers: list[wire.IceServer]) -> None:
        try:
            from voxwire_protocol.rtc import try_turn
        except ImportError as error:
            self.note("turn", "failed", f"TURN is for WebRTC: {error}")
            return
        for url, error in await try_turn(servers):
            if error is None:
                self.note("turn", "ok", f"{url} gives an address")
            else:
                self.note("turn", "failed", str(error))

    async def log(self) -> None:
        settings = self.settings
        if not settings.log_file:
            return
        try:
            _try_to_write(Path(settings.log_file))
        except OSError as error:
            self.note("log", "failed", f"VOXWIRE_LOG_FILE: {error}")
            return
        self.note("log", "ok", f"{settings.log_file} can be written")

    async def bots(self) -> None:
        loaded: list[LoadedBot] = []
        providers = Providers(self.settings.stt, self.settings.llm, self.settings.tts)
        for name in self.settings.bot.split(","):
            try:
                loaded.append(load_bot(name.strip(), providers))
            except BotNotFoundError as error:
                self.note("bot", "failed", str(error))
        try:
            names = ", ".join(Bots(loaded).names) if loaded else ""
        except BotsError as error:
            self.note("bot", "failed", str(error))
            return
        if names:
            self.note("bot", "ok", f"{names} can be served")
        for bot in loaded:
            self._says_itself(bot)

    def _says_itself(self, bot: LoadedBot) -> None:
        settings = self.settings
        if bot.waits and not settings.max_waiting:
            wrong = f"clients of {bot.name} would wait, and VOXWIRE_MAX_WAITING is 0: nobody does"
            self.note("bot", "warning", wrong)
        elif bot.waits is False and settings.max_waiting:
            self.note("bot", "ok", f"clients of {bot.name} do not wait for a place")
        if bot.caps:
            caps = Caps.of(bot.caps).or_else(Caps.parse(settings.caps_per_bot))
            self.note("bot", "ok", f"a day of {bot.name} may cost {caps.notation}")


def _try_to_write(path: Path) -> None:
    """Raises OSError where it cannot be; leaves nothing behind."""
    was_there = path.exists()
    path.open("a").close()
    if not was_there:
        path.unlink()


async def _certificate_days(origin: str) -> float:
    """Shake hands as a client does; how long the certificate is good, days.

    Raises:
        OSError: There is none that a client would take.
        TimeoutError: Nobody answers.
    """
    parts = urlsplit(origin)
    async with asyncio.timeout(_TLS_S):
        _, writer = await asyncio.open_connection(
            parts.hostname, parts.port or 443, ssl=ssl.create_default_context()
        )
    try:
        found: dict[str, Any] = writer.get_extra_info("peercert")
        return (ssl.cert_time_to_seconds(found["notAfter"]) - time.time()) / _DAY_S
    finally:
        writer.close()


def _tls_trouble(authority: str, error: OSError) -> tuple[State, str]:
    match error:
        case ssl.SSLCertVerificationError():
            return "failed", f"no client takes that of {authority}: {error.verify_message}"
        case ssl.SSLError():
            return "failed", f"{authority} speaks no TLS: {error.reason}"
        case socket.gaierror():
            return "warning", f"{authority} is no name that can be looked up: {error.strerror}"
        case TimeoutError():
            return "warning", f"{authority} does not answer: is its port open?"
        case _:
            why = error.strerror or type(error).__name__
            return "warning", f"{authority} cannot be reached: {why}; is the proxy running?"
