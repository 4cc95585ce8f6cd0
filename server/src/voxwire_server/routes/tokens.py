"""``POST /v1/tokens``: the operator's backend asks for a token for one of its users."""

import hashlib
import hmac
from collections.abc import Callable
from typing import Annotated, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from voxwire_protocol import wire
from voxwire_server.bots.house import UnknownBotError
from voxwire_server.gate import address_of
from voxwire_server.routes.bodies import (
    NO_STORE,
    RefusedRequestError,
    invalid,
    read_json_body,
)
from voxwire_server.routes.stock_offers import refused_request
from voxwire_server.session.refusals import refusal_of
from voxwire_server.session.start_rates import StartRateError, StartRates
from voxwire_server.session.told import NOBODY, Told
from voxwire_server.strict_json import checked, load_json
from voxwire_server.tokens import Limits, Name, TokenIssuer

__all__ = ["TokenRequest", "secret_check", "tokens_router"]

_MAX_BODY_BYTES: Final = 4096
_MAX_TTL_S: Final = 3600
_SHAPE: Final = "the body must be a JSON object: user and, if wanted, bot, ttl_s, limits"


class TokenRequest(BaseModel):
    """The body of ``POST /v1/tokens``."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    user: Name
    bot: Name | None = None
    ttl_s: Annotated[int, Field(ge=1, le=_MAX_TTL_S)] = 300
    limits: Limits = Limits()


def _check_key(request: Request, key_check: Callable[[bytes], bool]) -> None:
    values = [value for name, value in request.scope["headers"] if name == b"authorization"]
    scheme, _, given = values[0].partition(b" ") if len(values) == 1 else (b"", b"", b"")
    if scheme.lower() != b"bearer" or not key_check(given.strip()):
        raise RefusedRequestError(
            401, wire.ErrorCode.ERROR_CODE_UNAUTHORIZED, "Authorization must be: Bearer VOXWIRE_KEY"
        )


def _parse(body: bytes) -> TokenRequest:
    asked = checked(TokenRequest, load_json(body))
    if isinstance(asked, str):
        raise invalid(f"{asked} is missing or not valid" if asked else _SHAPE)
    return asked


def secret_check(secret: str) -> Callable[[bytes], bool] | None:
    """A constant-time comparison with a secret; None when there is no secret."""
    if not secret.strip():
        return None
    expected = hashlib.sha256(secret.strip().encode()).digest()
    return lambda given: hmac.compare_digest(hashlib.sha256(given).digest(), expected)


def _issue(issuer: TokenIssuer, asked: TokenRequest, now_s: int) -> str | None:
    try:
        return issuer.issue(
            asked.user, now_s=now_s, ttl_s=asked.ttl_s, bot=asked.bot, limits=asked.limits
        )
    except ValueError:
        return None


def tokens_router(
    issuer: TokenIssuer | None,
    key_check: Callable[[bytes], bool] | None,
    *,
    now_s: Callable[[], float],
    check_bot: Callable[[str], object] = bool,
    url: str = "",
    starts: StartRates,
    told: Told = NOBODY,
) -> APIRouter:
    """The route; none at all (404) without a key or without a key that signs.

    Nothing of a request is logged and nothing of it is repeated in an error.

    Args:
        issuer: Signs the tokens.
        key_check: Compares the bearer with ``VOXWIRE_KEY`` (:func:`secret_check`).
        now_s: Seconds since the epoch.
        check_bot: Raises UnknownBotError for the name of a bot that is not there; by default any
            is.
        url: Where to connect, told to the caller when it is set.
        starts: Says whether the user may begin a session, and counts wrong keys by address.
        told: Is told of refusals.
    """
    router = APIRouter()
    if issuer is None or key_check is None:
        return router

    async def answer(request: Request) -> dict[str, str | int]:
        try:
            _check_key(request, key_check)
        except RefusedRequestError:
            starts.turned_away(address_of(request.scope))
            raise
        asked = _parse(await read_json_body(request, _MAX_BODY_BYTES))
        starts.check_user(asked.user)
        if asked.bot is not None:
            try:
                check_bot(asked.bot)
            except UnknownBotError as error:
                raise invalid(str(error)) from None
        now = int(now_s())
        token = _issue(issuer, asked, now)
        if token is None:
            raise invalid("user, bot and limits are too long for one token")
        where = {"url": url} if url else {}
        return {"token": token, "expires_at": now + asked.ttl_s, **where}

    @router.post("/v1/tokens")
    async def post_tokens(request: Request) -> JSONResponse:
        try:
            return JSONResponse(await answer(request), headers=NO_STORE)
        except RefusedRequestError as error:
            refused = error
        except StartRateError as error:
            refused = refused_request(refusal_of(error))
        told.refused(refused.code)
        return refused.response()

    return router
