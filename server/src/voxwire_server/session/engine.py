"""Where ``VOXWIRE_ENGINE`` says that the processes of a service agree.

redis-py reads the URL of one server. The other forms are ours:

- ``redis://[user:password@]host[:6379][/0]``, ``rediss://…`` with TLS, ``unix:///run/redis.sock``;
  ``valkey`` instead of ``redis`` is the same.
- ``redis+sentinel://[user:password@]host[:26379],host/name[/0]``: the one that Sentinel calls so.
- ``redis+cluster://[user:password@]host[:6379],host``: the cluster that these know.

Over TLS these are ``rediss+sentinel`` and ``rediss+cluster``. Sentinel's own password, if it has
one, is ``?sentinel_password=…``; behind the URL of one server stand redis-py's own settings
(``?ssl_ca_certs=…``).
"""

from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from voxwire_server.session.redis_store import RedisStore

__all__ = ["Engine", "EngineError", "open_engine"]

_INSTALL: Final = 'pip install "voxwire-server[cluster]"'
_PORTS: Final = {"cluster": 6379, "sentinel": 26379}
_SCHEMES: Final = {(base, form) for base in ("redis", "rediss") for form in ("", *_PORTS)}
_SCHEMES.add(("unix", ""))
_FORMS: Final = (
    "redis://host:6379/0, rediss://…, valkey://…, unix:///run/redis.sock,"
    " redis+sentinel://host1,host2/name or redis+cluster://host1,host2"
)


class EngineError(ValueError):
    """``VOXWIRE_ENGINE`` cannot be used; the text says why, without what is secret in it."""


class Engine(NamedTuple):
    """What the URL says.

    Attributes:
        kind: ``server``, ``sentinel`` or ``cluster``.
        url: Of one server, as redis-py reads it.
        hosts: Names and ports of the others.
        name: What Sentinel calls the server.
        database: Its number.
        user: Who logs in; empty = the default user.
        password: With what.
        tls: True over TLS.
        sentinel_password: Sentinel's own; empty = none.
    """

    kind: str
    url: str = ""
    hosts: tuple[tuple[str, int], ...] = ()
    name: str = ""
    database: int = 0
    user: str = ""
    password: str = ""
    tls: bool = False
    sentinel_password: str = ""

    @classmethod
    def parse(cls, url: str) -> "Engine":
        """Read ``VOXWIRE_ENGINE``.

        Raises:
            EngineError: It is something else.
        """
        scheme, _, rest = url.partition("://")
        base, _, form = scheme.lower().replace("valkey", "redis").partition("+")
        if not rest or (base, form) not in _SCHEMES:
            raise EngineError(f"write VOXWIRE_ENGINE as {_FORMS}")
        if not form:
            return cls("server", url=f"{base}://{rest}")
        place, _, query = rest.partition("?")
        place, _, path = place.partition("/")
        login, _, hosts = place.rpartition("@")
        user, _, password = login.partition(":")
        names = path.split("/") if path else []
        name = unquote(names.pop(0)) if form == "sentinel" and names else ""
        if form == "sentinel" and not name:
            raise EngineError("VOXWIRE_ENGINE: what Sentinel calls the server stands behind a /")
        database = names.pop(0) if names else "0"
        if names or not database.isdecimal() or (form == "cluster" and database != "0"):
            raise EngineError("VOXWIRE_ENGINE: what stands behind the last / is no database")
        asked = dict(parse_qsl(query))
        found = cls(
            form,
            hosts=tuple(_host(host, _PORTS[form]) for host in hosts.split(",")),
            name=name,
            database=int(database),
            user=unquote(user),
            password=unquote(password),
            tls=base == "rediss",
            sentinel_password=asked.pop("sentinel_password", ""),
        )
        if asked:
            raise EngineError(f"VOXWIRE_ENGINE: {', '.join(sorted(asked))} is no setting of it")
        return found


def _host(text: str, port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        found = parts.hostname, parts.port or port
    except ValueError:
        found = None, 0
    if not found[0]:
        raise EngineError("VOXWIRE_ENGINE: hosts are names or addresses, [::1]:6379 for IPv6")
    return found[0], found[1]


def open_engine(
    url: str, *, session_ms: int, answers_s: float = 0.2, settles_ms: int = 1000
) -> "RedisStore":
    """The store at a URL; nothing is connected yet.

    Args:
        url: ``VOXWIRE_ENGINE``.
        session_ms: How long a session is kept whose owner is not heard of, milliseconds.
        answers_s: How long the engine may take to answer, seconds.
        settles_ms: How long one that is new is told what was claimed, before anything can be.

    Raises:
        EngineError: The URL is none, or what it needs is not installed.
    """
    engine = Engine.parse(url)
    try:
        from voxwire_server.session.redis_store import RedisStore
    except ImportError:
        raise EngineError(f"VOXWIRE_ENGINE needs redis-py: {_INSTALL}") from None
    return RedisStore(
        _client_of(engine, answers_s),
        session_ms=session_ms,
        is_cluster=engine.kind == "cluster",
        answers_s=answers_s,
        settles_ms=settles_ms,
    )


def _client_of(engine: Engine, answers_s: float) -> Any:
    from redis.asyncio import Redis as TypedRedis
    from redis.asyncio import RedisCluster, Sentinel
    from redis.asyncio.cluster import ClusterNode
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    redis: Any = TypedRedis  # its constructors are half typed
    # the store has a timeout of its own; redis-py's may swallow the cancel of that, and are slow
    settings: dict[str, Any] = {
        "socket_timeout": None,
        "socket_connect_timeout": None,
        "retry": Retry(NoBackoff(), 0),
    }
    if engine.kind == "server":
        try:
            return redis.from_url(engine.url, **settings)
        except (ValueError, TypeError):
            raise EngineError(f"write VOXWIRE_ENGINE as {_FORMS}") from None
    login: dict[str, Any] = {"ssl": True} if engine.tls else {}
    if engine.user:
        login["username"] = engine.user
    if engine.password:
        login["password"] = engine.password
    if engine.kind == "cluster":
        nodes = [ClusterNode(host, port) for host, port in engine.hosts]
        return RedisCluster(startup_nodes=nodes, **settings, **login)
    own: dict[str, Any] = {**settings, "ssl": True} if engine.tls else {**settings}
    own |= {"socket_timeout": answers_s / 4, "socket_connect_timeout": answers_s / 4}
    if engine.sentinel_password:
        own = {**own, "password": engine.sentinel_password}
    sentinel: Any = Sentinel(engine.hosts, sentinel_kwargs=own, **settings, **login)
    return sentinel.master_for(engine.name, db=engine.database)
