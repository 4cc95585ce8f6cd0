"""Who may come, as a function of the operator's says it: it is asked, within its time.

Whatever it does, a client is told one of a few sentences, and neither log nor client a credential.
"""

import asyncio
import importlib
import importlib.util
import inspect
import logging
import sys
import sysconfig
import time
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from voxwire_protocol import wire
from voxwire_server.tokens import Limits, Name, TokenError, require_bot

__all__ = [
    "Authenticator",
    "AuthenticatorFailedError",
    "AuthenticatorSettingError",
    "Credential",
    "ForbiddenError",
    "Identity",
    "UnauthorizedError",
]

_log = logging.getLogger("voxwire.authenticator")

_AT_ONCE: Final = 64
_THREADS: Final = 8
_MAX_REASON_CHARS: Final = 200
_MIN_ECHO_CHARS: Final = 8
_SAME_LINE_S: Final = 5.0
_LIBRARIES: Final = (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"))
_UNKNOWN: Final = "nobody is known by this credential"
_NOT_ALLOWED: Final = "this user may not"


class AuthenticatorSettingError(ValueError):
    """``VOXWIRE_AUTHENTICATOR`` names nothing that can be asked."""


class AuthenticatorFailedError(Exception):
    """The authenticator did not decide: it failed, or took too long."""


class UnauthorizedError(Exception):
    """An authenticator raises it: nobody is known by the credential.

    Args:
        reason: One sentence for whoever develops the client; the credential must not be in it.
    """

    def __init__(self, reason: str = _UNKNOWN) -> None:
        super().__init__(reason)


class ForbiddenError(Exception):
    """An authenticator raises it: the user is known, and may not.

    Args:
        reason: One sentence for whoever develops the client; the credential must not be in it.
    """

    def __init__(self, reason: str = _NOT_ALLOWED) -> None:
        super().__init__(reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What somebody shows who wants a session.

    Attributes:
        token: The token of the Hello, or the bearer of a request; empty = none.
        bot: Name of the bot that is wanted; empty = the only one.
        origin: Origin of the web page; empty = a program. It was checked already.
        address: Where he comes from, behind trusted proxies; empty = a Unix socket.
        is_local: True for a program of this machine, no web page and no proxy.
        headers: The request's headers by their names in lower case, without those that only carry
            it. Whoever comes has written them, unless a proxy does.
    """

    token: str = field(default="", repr=False)
    bot: str = ""
    origin: str = ""
    address: str = field(default="", repr=False)
    is_local: bool = False
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


class Identity(BaseModel):
    """Who a credential is of, and what his sessions may use.

    Attributes:
        user: His name: counted by, and held against that of a session which is resumed.
        bot: The only bot that he may talk to; None = any.
        limits: What his sessions may use: below the server's own, never above.
        expires_at_s: When the credential ends, seconds since the epoch; None = it does not.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    user: Name = Field(repr=False)
    bot: Name | None = None
    limits: Limits = Limits()
    expires_at_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None

    def require(self, *, bot: str) -> None:
        """Hold what is asked for against what he is bound to.

        Raises:
            TokenError: FORBIDDEN.
        """
        require_bot(self.bot, bot)


class Authenticator:
    """Asks a function who comes.

    Args:
        ask: Takes a :class:`Credential`, returns an :class:`Identity` (None = nobody is known) or
            raises :class:`UnauthorizedError` or :class:`ForbiddenError`. A plain function is called
            in a thread of its own.
        timeout_ms: Longest wait for it, milliseconds.
    """

    def __init__(self, ask: Callable[[Credential], Any], *, timeout_ms: int = 2000) -> None:
        self._ask = ask
        self._timeout_ms = timeout_ms
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._threads: ThreadPoolExecutor | None = None
        self._said: dict[str, float] = {}

    @classmethod
    def of(
        cls, given: "str | Callable[[Credential], Any]", *, timeout_ms: int = 2000
    ) -> "Authenticator | None":
        """That of the settings; None = there is none.

        Args:
            given: The function, or where it is: ``package.module:function``, ``file.py:function``.
            timeout_ms: Longest wait for it, milliseconds.

        Raises:
            AuthenticatorSettingError: It is not there, or cannot be asked.
        """
        if isinstance(given, str):
            if not given.strip():
                return None
            given = _loaded(given.strip())
        if not callable(given):
            raise AuthenticatorSettingError("VOXWIRE_AUTHENTICATOR is no function")
        return cls(given, timeout_ms=timeout_ms)

    async def identify(self, credential: Credential) -> Identity:
        """Ask.

        Cancel-safe.

        Raises:
            TokenError: UNAUTHORIZED or FORBIDDEN.
            AuthenticatorFailedError: It was not decided; asked again, it may be.
        """
        task = asyncio.ensure_future(self._asked(credential))
        task.add_done_callback(_retrieved)
        try:
            await asyncio.wait({task}, timeout=self._timeout_ms / 1000)
        finally:
            task.cancel()  # it may swallow that; nobody waits for it
        if not task.done():
            raise self._failed(f"no answer within {self._timeout_ms} ms")
        if task.cancelled():
            raise self._failed("it was cancelled")
        error = task.exception()
        if isinstance(error, UnauthorizedError | ForbiddenError):
            raise _refusal(error, credential) from None
        if error is not None:
            raise self._failed(_where(error))
        identity = task.result()
        if identity is None:
            raise _refusal(UnauthorizedError(), credential)
        if not isinstance(identity, Identity):
            raise self._failed(f"it returned {type(identity).__name__}, no Identity")
        return identity

    async def _asked(self, credential: Credential) -> object:
        async with self._at_once:
            if _is_async(self._ask):
                return await self._ask(credential)
            if self._threads is None:
                self._threads = ThreadPoolExecutor(_THREADS, "voxwire-authenticator")
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(self._threads, partial(self._ask, credential))
            return await found if inspect.isawaitable(found) else found

    def _failed(self, what: str) -> AuthenticatorFailedError:
        """Say it in the log, each thing once in five seconds."""
        now_s = time.monotonic()
        self._said = {each: at_s for each, at_s in self._said.items() if now_s < at_s}
        if what not in self._said:
            self._said[what] = now_s + _SAME_LINE_S
            _log.error("the authenticator did not decide: %s", what)
        return AuthenticatorFailedError(what)

    async def close(self) -> None:
        """Ask nobody any more; a thread that is at work ends by itself."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None


def _retrieved(task: "asyncio.Task[object]") -> None:
    """What a task that nobody waited for has raised is nobody's concern."""
    if not task.cancelled():
        task.exception()


def _is_async(ask: Callable[..., Any]) -> bool:
    while isinstance(ask, partial):
        ask = ask.func
    return inspect.iscoroutinefunction(ask) or inspect.iscoroutinefunction(type(ask).__call__)


def _refusal(error: Exception, credential: Credential) -> TokenError:
    """What the client is told; a sentence that holds what he has shown is replaced."""
    forbidden = isinstance(error, ForbiddenError)
    code = (
        wire.ErrorCode.ERROR_CODE_FORBIDDEN
        if forbidden
        else (wire.ErrorCode.ERROR_CODE_UNAUTHORIZED)
    )
    reason = " ".join(str(error).split())[:_MAX_REASON_CHARS]
    if not reason or any(secret in reason for secret in _secrets(credential)):
        reason = _NOT_ALLOWED if forbidden else _UNKNOWN
    return TokenError(code, reason)


def _secrets(credential: Credential) -> set[str]:
    """What a credential is made of, as far as it could be known again."""
    headers = credential.headers
    parts = {credential.token, *headers.get("authorization", "").split()}
    parts |= {part.strip().partition("=")[2] for part in headers.get("cookie", "").split(";")}
    parts |= {value for name, value in headers.items() if name.startswith("x-")}
    return {part for part in parts if len(part) >= _MIN_ECHO_CHARS}


def _where(error: BaseException) -> str:
    """What failed and at which line of the operator's; its text may hold what it was given."""
    frames = traceback.extract_tb(error.__traceback__)
    frames = [frame for frame in frames if not frame.filename.startswith(_LIBRARIES)] or frames
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"


def _loaded(named: str) -> Callable[..., Any]:
    place, _, name = named.rpartition(":")
    if not place or not name.isidentifier():
        raise AuthenticatorSettingError(
            "VOXWIRE_AUTHENTICATOR must be package.module:function or file.py:function"
        )
    try:
        module = _file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    except Exception as error:
        raise AuthenticatorSettingError(
            f"VOXWIRE_AUTHENTICATOR: {place} cannot be imported: {error}"
        ) from error
    found = getattr(module, name, None)
    if not callable(found):
        raise AuthenticatorSettingError(f"VOXWIRE_AUTHENTICATOR: {place} has no function {name}")
    return found


def _file(path: Path) -> Any:
    """The module of a file."""
    name = f"voxwire_authenticator_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path.resolve(strict=True))
    if spec is None or spec.loader is None:
        raise ImportError("it is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
