"""The same as ``test_openapi``, at length: every case in every state of a credential."""

from collections.abc import Iterator
from functools import partial

import httpx
import pytest

from tests.integration.test_every_route import GUARDED, served
from tests.integration.test_openapi import OPERATIONS, bad_states, right, way_of
from tests.support.api_schema import Asker
from tests.support.token_states import Credentials

EXAMPLES = 25


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[httpx.Client, Credentials]]:
    with served({"host": "0.0.0.0", "accepts": "text/*,application/octet-stream"}, {}) as made:
        yield made


@pytest.fixture
def asker(server: tuple[httpx.Client, Credentials]) -> Asker:
    return Asker(str(server[0].base_url).rstrip("/"))


@pytest.mark.parametrize("label", OPERATIONS)
def test_whoever_may_is_answered_as_the_document_says(
    label: str, server: tuple[httpx.Client, Credentials], asker: Asker
) -> None:
    headers = partial(right, label, server[1])
    for case, answer in asker.invented(OPERATIONS[label], headers, examples=EXAMPLES):
        assert answer.status_code not in (401, 403), case


@pytest.mark.parametrize(
    ("label", "state"),
    [(label, s) for label in OPERATIONS if way_of(label) in GUARDED for s in bad_states(label)],
)
def test_whoever_may_not_gets_401_or_403_and_as_the_document_says(
    label: str, state: str, server: tuple[httpx.Client, Credentials], asker: Asker
) -> None:
    operation, headers = OPERATIONS[label], partial(server[1].headers, state)
    answers = [*asker.covered(operation, headers)]
    answers += asker.invented(operation, headers, examples=EXAMPLES)
    for case, answer in answers:
        if case.method == operation.method.upper():
            assert answer.status_code in (401, 403), case
    assert asker.asked == len(answers) > 2
