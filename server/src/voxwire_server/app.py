"""The ASGI application."""

import time
from collections.abc import Awaitable, Callable
from functools import partial
from secrets import token_bytes
from typing import Any

from fastapi import FastAPI
from starlette.routing import Route, WebSocketRoute

from voxwire_protocol.clocks import SYSTEM_CLOCK
from voxwire_server.admin.demand import demand_ms
from voxwire_server.admin.meters import Meters
from voxwire_server.admin.relays import RelayWatch, asking, never_ready_message
from voxwire_server.admin.routes import admin_routes, check_admin_key
from voxwire_server.admin.watchdog import Watchdog
from voxwire_server.authenticator import Authenticator
from voxwire_server.bots.house import Bots, Servable, UnknownBotError, loaded
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.caps import Caps
from voxwire_server.cluster import Cluster
from voxwire_server.config import Settings
from voxwire_server.daily.rooms import rooms_of
from voxwire_server.gate import Gate, MissingKeyError, is_loopback, missing_key_message
from voxwire_server.ice_servers import IceServers, IceServersError
from voxwire_server.key_files import KeyFiles
from voxwire_server.life import Life, lifespan
from voxwire_server.logs import quiet_pipecat
from voxwire_server.openapi import document
from voxwire_server.phone.exchange import exchange_of
from voxwire_server.phone.tickets import Tickets
from voxwire_server.phone.vendors import vendors_of
from voxwire_server.pipeline.wires import Wires
from voxwire_server.proxies import PublicUrl, TrustedProxies, is_unix
from voxwire_server.routes.check import check_route
from voxwire_server.routes.console import console_routes
from voxwire_server.routes.control import ControlRoute
from voxwire_server.routes.entrance import Entrance
from voxwire_server.routes.health import health_router
from voxwire_server.routes.live_sessions import LiveSessions, states
from voxwire_server.routes.passages import Passages, mark_of
from voxwire_server.routes.peer_door import PeerDoor
from voxwire_server.routes.peers import CARRIED, PEER_PATH, Carrier, addresses_of
from voxwire_server.routes.phone import PhoneDoor
from voxwire_server.routes.refusals import SESSION_PATH, NotHere, Refusals
from voxwire_server.routes.sockets import PendingSockets
from voxwire_server.routes.stock_daily import Guests
from voxwire_server.routes.stock_files import StockFiles
from voxwire_server.routes.stock_http import StockHttp
from voxwire_server.routes.stock_offers import Offers
from voxwire_server.routes.stock_sockets import STOCK_PATHS, StockSocketRoute
from voxwire_server.routes.stock_starts import Starts
from voxwire_server.routes.stock_uploads import Uploads
from voxwire_server.routes.tokens import secret_check, tokens_router
from voxwire_server.sent_files import Acceptance, types_of
from voxwire_server.session.admission import Admission, ChosenBot, NoSuchBotError
from voxwire_server.session.directory import Directory
from voxwire_server.session.load import Load
from voxwire_server.session.registry import SessionRegistry
from voxwire_server.session.session import Session
from voxwire_server.session.start_pace import StartPace
from voxwire_server.session.start_rates import StartRates
from voxwire_server.tokens import TokenIssuer
from voxwire_server.version import server_version

__all__ = ["create_app", "lifespan", "wires_of"]


class _FrontMiddleware:
    """Who a request comes from, how, and where below the server it points, when a proxy sent it."""

    def __init__(self, app: Any, proxies: TrustedProxies, public: PublicUrl) -> None:
        self._app = app
        self._proxies = proxies
        self._public = public

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "websocket") and CARRIED not in scope:
            scope = {**scope, **self._changes(scope)}
        await self._app(scope, receive, send)

    def _changes(self, scope: Any) -> dict[str, Any]:
        changes: dict[str, Any] = {}
        root_path = scope.get("root_path", "")
        if (below := self._public.root_path(scope["path"].removeprefix(root_path))) != "":
            changes["root_path"] = root_path + below
        client = scope.get("client")
        front = self._proxies.front(client[0] if client else None, scope["headers"])
        if front is None:
            return changes
        if front.client is not None:
            changes["client"] = (front.client, 0)
        if front.scheme:
            websocket = scope["type"] == "websocket"
            changes["scheme"] = front.scheme.replace("http", "ws") if websocket else front.scheme
        return changes


class _GateMiddleware:
    """The gate in front of every HTTP route."""

    def __init__(self, app: Any, gate: Gate, refusals: Refusals, life: Life) -> None:
        self._app = app
        self._gate = gate
        self._refusals = refusals
        self._life = life

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and CARRIED not in scope:  # else another process has let it in
            self._life.begin()
            refusal = self._gate.check(scope)
            if refusal is not None:
                await self._refusals.tell(scope, send, refusal)
                return
        await self._app(scope, receive, send)


def wires_of(session: Session) -> Wires:
    """What the pipeline of a session is given of it."""
    return Wires(
        port=session,
        session_id=session.id,
        facts=session.facts,
        kept=None if session.kept is None else session.kept.conversation,
        mark="" if session.term == 1 else f".{session.term}",
        tell=session.outlet.tell,
        keep=session.keep_state,
        changed=lambda: session.changed(),
        audio_in_sample_rate=session.settings.audio_in_sample_rate,
        audio_out_sample_rate=session.settings.audio_out_sample_rate,
        answer_timeout_ms=session.settings.answer_timeout_ms,
        voice=session.voice,
        speech_end=session.capture.tail,
        state=session.state,
        emit_state=session.emit_state,
        turns=session.turns,
        tools=session.tools,
        requests=session.requests,
        lane=session.lane,
        over=lambda: session.over,
        attached=lambda: session.control.attached,
        may_answer=lambda: session.intake.may_answer(session.now_ms()),
        audio_lost=session.capture.allowance.lost,
        started=session.pipeline_started,
    )


def _runner_of(bot: LoadedBot) -> Callable[[Session], Awaitable[None]]:
    async def run(session: Session) -> None:
        from voxwire_server.pipeline.bot import BotSession, run_bot

        await run_bot(bot.run, BotSession(wires_of(session)))

    return run


class _House:
    """The bots, as sessions need them."""

    def __init__(self, bots: Bots, settings: Settings) -> None:
        self._bots = bots
        self._types = types_of(settings.accepts)
        self._max_bytes = settings.file_max_bytes

    def choose(self, name: str) -> ChosenBot:
        """The bot that a client means.

        Raises:
            NoSuchBotError: There is none, or several and no name was given.
        """
        try:
            bot = self._bots.choose(name)
        except UnknownBotError as error:
            raise NoSuchBotError(str(error)) from None
        types = self._types if bot.accepts is None else types_of(",".join(bot.accepts))
        accepts = Acceptance(types, self._max_bytes)
        return ChosenBot(
            bot.name,
            bot.examples,
            _runner_of(bot),
            accepts,
            waits=bot.waits is not False,
            caps=Caps.of(bot.caps),
        )


def _gate(settings: Settings, proxies: TrustedProxies, public: PublicUrl) -> Gate:
    origins = (origin.strip() for origin in settings.allowed_origins.split(","))
    return Gate(
        loopback=is_loopback(settings.host),
        has_key=settings.has_key,
        allowed_origins=frozenset(origin for origin in origins if origin),
        public=public,
        behind_proxy=bool(proxies or public.authority or is_unix(settings.host)),
    )


def _admin_routes(settings: Settings, live: LiveSessions, meters: Meters) -> list[Route]:
    """The operator's routes; none without a key.

    Raises:
        AdminKeyError: The key cannot be used.
    """
    key = settings.admin_key.strip()
    check_admin_key(key)
    return admin_routes(key, live, meters) if key else []


def _ice_servers(settings: Settings) -> IceServers:
    """The STUN and TURN servers of the settings.

    Raises:
        IceServersError: They cannot be used.
        FileError: The secret's file cannot be read.
    """
    servers = IceServers.parse(
        ice_servers=settings.ice_servers,
        turn_urls=settings.turn_urls,
        turn_secret=KeyFiles.turn_secret_of(settings),
        max_ttl_s=settings.turn_ttl_s,
    )
    if settings.server_ice != "host" and not servers.has_turn:
        raise IceServersError(
            f"VOXWIRE_SERVER_ICE={settings.server_ice} needs a TURN server: set VOXWIRE_TURN_URLS"
        )
    return servers


def _start_rates(settings: Settings, proxies: TrustedProxies) -> StartRates:
    return StartRates(
        per_address=settings.starts_per_address,
        per_user=settings.starts_per_user,
        proxies=proxies,
        now_ms=SYSTEM_CLOCK.now_ms,
    )


def _heard_by(meters: Meters, *loads: Load | StartPace) -> Callable[[float], None]:
    """All are told how late the loop woke up, in its thread."""

    def lagged(seconds: float) -> None:
        meters.lagged(seconds)
        now_ms, worked_ms = SYSTEM_CLOCK.now_ms(), demand_ms()
        for load in loads:
            load.beat(now_ms, late_ms=seconds * 1000, worked_ms=worked_ms)

    return lagged


def create_app(settings: Settings, bot: Servable, *, port: int | None = None) -> FastAPI:
    """Build the application; it may be mounted in another one, see :func:`lifespan`.

    Args:
        settings: How the server runs. ``host`` says who may come: everybody on this machine, or,
            beyond loopback, everybody with a token.
        bot: The bot that it runs, or several by name.
        port: Port that is listened on, for the log; None = not known.

    Returns:
        The ASGI application; ``app.state.registry`` holds the sessions.

    Raises:
        MissingKeyError: ``settings.host`` is not loopback and there is no key.
        BotsError: The bots cannot be served together.
        KeyRingError: The keys cannot be used.
        FileError: A file of secrets cannot be read.
        AuthenticatorSettingError: The authenticator is not there.
        IceServersError: The STUN and TURN servers cannot be used, or there is none to be asked and
            one is needed.
        ProxiesError: The public URL or the proxies cannot be used.
        AdminKeyError: The operator's key cannot be used.
        EngineError: The engine cannot be used.
        PhoneSettingError: The telephone cannot be used.
    """
    if not is_loopback(settings.host) and not settings.has_key:
        raise MissingKeyError(missing_key_message(settings.host))
    quiet_pipecat(settings.log_level)
    bots = loaded(bot)
    proxies = TrustedProxies.parse(settings.trusted_proxies)
    public = PublicUrl.parse(settings.public_url)
    refusals, gate = Refusals(), _gate(settings, proxies, public)
    registry = SessionRegistry(settings.max_sessions)
    ring, ice = KeyFiles.ring_of(settings), _ice_servers(settings)
    authenticator = Authenticator.of(
        settings.authenticator, timeout_ms=settings.authenticator_timeout_ms
    )
    cluster = Cluster.of(settings, ring, port=port)
    meters = Meters(lambda: states(registry), places=settings.max_sessions)
    load, pace = Load(settings.max_lag_ms), StartPace(settings.max_lag_ms, lambda: len(registry))
    rates = _start_rates(settings, proxies)
    rooms = rooms_of(settings)
    directory = Directory(
        registry,
        Admission(
            ring,
            loopback=is_loopback(settings.host),
            bots=_House(bots, settings),
            authenticator=authenticator,
        ),
        settings=settings,
        ice=ice,
        rooms=rooms,
        told=meters,
        load=load,
        pace=pace,
        starts=rates,
        store=None if cluster is None else cluster.store,
        snapshots=None if cluster is None else cluster.snapshots,
        peer_url="" if cluster is None else cluster.peer_url,
        version=server_version(),
    )
    meters.watch(
        lambda: directory.places.busy,
        lambda: load.late_ms,
        starting=lambda: directory.places.paced.waiting,
        num_waiting=lambda: len(directory.places.waiting_room),
    )
    needs_turn = settings.ready_needs_turn
    relays = RelayWatch(asking(ice), every_s=settings.turn_check_s, needed=needs_turn)
    if needs_turn and not relays.watches:
        raise IceServersError(never_ready_message())
    if relays.watches:
        meters.watch_turn(lambda: relays.relays.up, lambda: relays.relays.down)
    life = Life(
        directory,
        bots,
        end_timeout_ms=settings.end_timeout_ms,
        watchdog=Watchdog(_heard_by(meters, load, pace), meters.stalled),
        relays=relays,
    )
    entrance = Entrance(
        gate,
        refusals=refusals,
        pending=PendingSockets(
            per_address=settings.max_pending_per_address,
            total=settings.max_pending,
            proxies=proxies,
        ),
        begin=life.begin,
    )
    control = ControlRoute(
        directory,
        entrance,
        hello_timeout_ms=settings.hello_timeout_ms,
        server=f"voxwire-server {server_version()}",
        carrier=None if cluster is None else Carrier(cluster.key),
    )
    about = {"library": "voxwire-server", "library_version": server_version()}
    uploads = Uploads(directory.file_room)
    mark = "" if cluster is None else mark_of(registry.name)
    offers = Offers(directory, settings, ice, uploads=uploads, about=about, mark=mark)
    starts = Starts(offers.owners, mark=mark)
    stock = StockSocketRoute(
        directory,
        entrance,
        starts,
        uploads,
        first_timeout_ms=settings.hello_timeout_ms,
        about=about,
    )
    app = FastAPI(lifespan=life.run, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.registry, app.state.life = registry, life
    app.state.directory = directory  # where every other front door attaches its clients
    app.state.peers = lambda: addresses_of(directory.leases.replicas)
    if cluster is not None:
        app.add_middleware(Passages, find=directory.leases.other, key=cluster.key)
    app.add_middleware(_GateMiddleware, gate=gate, refusals=refusals, life=life)
    app.add_middleware(_FrontMiddleware, proxies=proxies, public=public)
    app.include_router(
        health_router(
            lambda: life.ready,
            lambda: len(registry),
            has_started=lambda: life.started,
            is_busy=lambda: directory.places.busy,
            turn=(lambda: relays.relays.state) if relays.watches else None,
            needs_turn=needs_turn,
        )
    )
    app.include_router(
        tokens_router(
            TokenIssuer(ring) if ring.signer else None,
            secret_check(settings.key),
            now_s=time.time,
            check_bot=bots.choose,
            url=public.websocket,
            starts=rates,
            told=meters,
        )
    )
    app.state.key_files = key_files = KeyFiles(settings, ring, ice, told=meters.read_again)
    if rooms is not None:
        life.when_begun(rooms.begin)
        life.when_ended(rooms.close)
    life.when_ending(offers.close)
    life.when_ending(key_files.close)
    if authenticator is not None:
        life.when_ending(authenticator.close)
    routes = app.router.routes
    live = LiveSessions(
        registry, meters.turns_of, meters.number_of, lambda: len(directory.places.waiting_room)
    )
    app.state.admin = _admin_routes(settings, live, meters)
    if not settings.admin_address:
        routes.extend(app.state.admin)
    files = StockFiles(uploads)
    guests = None
    if rooms is not None:
        guests = Guests(
            directory,
            rooms,
            playout_rate=settings.audio_out_sample_rate,
            capture_rate=settings.audio_in_sample_rate,
            uploads=uploads,
            about=about,
            came=starts.came,
        )
        life.when_ending(guests.close)
    routes.extend(
        StockHttp(directory.doorkeeper, gate, offers, starts, ice, files, guests).routes()
    )
    routes.append(WebSocketRoute(SESSION_PATH, control))
    if cluster is not None:
        routes.append(WebSocketRoute(PEER_PATH, PeerDoor(control, cluster.key, registry.name, app)))
        life.when_ended(cluster.store.close)
    routes.extend(WebSocketRoute(path, stock) for path in STOCK_PATHS)
    phone = PhoneDoor(
        vendors_of(settings),
        directory,
        entrance,
        public=public,
        exchange=exchange_of(settings),
        tickets=Tickets(*([token_bytes(32)] if cluster is None else cluster.secrets)),
        starts=rates,
        start_timeout_ms=settings.hello_timeout_ms,
        dead_after_ms=settings.dead_after_ms,
    )
    routes.extend(phone.routes())
    routes.append(WebSocketRoute("/{path:path}", NotHere(refusals)))
    routes.append(check_route([] if settings.has_key else bots.names))
    routes.extend(console_routes())
    app.openapi = partial(document, routes, version=server_version())
    return app
