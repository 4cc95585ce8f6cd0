"""The doctor's advice knows the server's refusals by their words."""

import pytest

from voxwire._diagnosis.refusals import advice_on
from voxwire_protocol.errors import ErrorCode, make_error
from voxwire_server.authenticator import AuthenticatorFailedError
from voxwire_server.session.admission import NoSuchBotError
from voxwire_server.session.refusals import BusyError, ClosingError, refusal_of
from voxwire_server.session.registry import CapacityError
from voxwire_server.session.start_rates import StartRateError
from voxwire_server.session.store import StoreUnreachableError
from voxwire_server.session.token_uses import TooManySessionsError


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (CapacityError(), "try again in 2 s; the operator can raise VOXWIRE_MAX_SESSIONS"),
        (BusyError(), "the operator can add servers, or a faster one"),
        (StoreUnreachableError(), "why the servers' store is silent"),
        (AuthenticatorFailedError("down"), "what the authenticator says in the server's log"),
        (ClosingError(), "the server is being stopped"),
        (StartRateError("from this address", 2000), "try again in 2 s; the operator can raise"),
        (NoSuchBotError("there are several"), "--bot"),
        (TooManySessionsError(), "max_sessions"),
    ],
)
def test_each_refusal_has_its_own_advice(error: Exception, told: str) -> None:
    refused = refusal_of(error)
    said = make_error(
        ErrorCode(refused.code), refused.reason, retry_after_ms=refused.retry_after_ms
    )
    assert told in advice_on(said)
