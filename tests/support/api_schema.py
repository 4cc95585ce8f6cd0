"""The application's OpenAPI document as schemathesis reads it, and cases that it makes of it."""

from collections.abc import Callable, Iterator
from typing import Any, Final

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.generation.modes import GenerationMode
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.support.clicks import make_bot
from tests.support.token_states import ADMIN_KEY, KEY
from voxwire_server.app import create_app
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.config import Settings

__all__ = ["CHECKS", "Asker", "api_schema", "operations"]

CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]
"""``positive_data_acceptance`` is not among them: the grammar of SDP, and which sessions there are,
is in no schema."""
_CONFIG: Final = {
    "generation": {"with-security-parameters": False},
    "checks": {"negative_data_rejection": {"expected-statuses": ["4xx", "501", "503"]}},
}
_MODES: Final = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


def api_schema() -> BaseSchema:
    """The document of a server with every route."""
    chosen = Settings(key=KEY, admin_key=ADMIN_KEY)
    app = create_app(chosen, LoadedBot(name="test", run=make_bot()))
    config = SchemathesisConfig.from_dict(_CONFIG)
    return schemathesis.openapi.from_dict(app.openapi(), config=config)


def operations(schema: BaseSchema) -> dict[str, Any]:
    """Its operations, by method and path."""
    found = (result.ok() for result in schema.get_all_operations())
    return {operation.label: operation for operation in found}


class Asker:
    """Asks a server what schemathesis has made up.

    Args:
        base_url: Of the server.
    """

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._session = requests.Session()
        self._session.trust_env = False
        self.asked = 0

    def ask(self, case: Any, headers: dict[str, str]) -> Any:
        """Ask one case, and hold its answer against the document."""
        answer = case.call(base_url=self._base_url, session=self._session, headers=headers)
        self.asked += 1
        case.validate_response(answer, checks=CHECKS, headers=headers)
        return answer

    def covered(self, operation: Any, headers: Callable[[], dict[str, str]]) -> Iterator[Any]:
        """Cases that cover an operation's schema, valid and not, and the answers to them."""
        cases = operation.schema.iter_coverage_cases(
            operation,
            generation_modes=list(_MODES),
            generation_config=operation.schema.config.generation_for(operation=operation),
        )
        for case in cases:
            yield case, self.ask(case, headers())

    def invented(
        self, operation: Any, headers: Callable[[], dict[str, str]], *, examples: int
    ) -> list[Any]:
        """Cases that Hypothesis has invented, the same ones in every run, and the answers."""
        answers: list[Any] = []
        for mode in _MODES if operation.body else _MODES[:1]:  # any text is a valid parameter

            @settings(
                max_examples=examples,
                derandomize=True,
                database=None,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(operation.as_strategy(generation_mode=mode))
            def each(case: Any) -> None:
                answers.append((case, self.ask(case, headers())))

            each()
        return answers
