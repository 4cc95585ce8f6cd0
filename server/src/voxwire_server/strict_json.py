"""JSON from outside, read strictly and without an exception that would carry it.

Pure.
"""

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from voxwire_protocol.json_schema import MAX_VALUE_DEPTH
from voxwire_protocol.json_text import text_is_deeper

__all__ = ["checked", "load_json"]

Model = TypeVar("Model", bound=BaseModel)


def load_json(data: bytes | str) -> object:
    """Parse JSON that is UTF-8, has no duplicate keys and no NaN, and nests at most 32 deep.

    Returns:
        The value; None for anything else, so that no exception carries the input.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError
        return found

    def refuse(_: str) -> None:
        raise ValueError

    try:
        text = data.decode() if isinstance(data, bytes) else data
        if text_is_deeper(text, MAX_VALUE_DEPTH):
            return None
        return json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
    except ValueError:
        return None


def checked(model: type[Model], data: object) -> Model | str:
    """Validate without an exception that would carry the input.

    Returns:
        The model, or the name of its field that is wrong ("" = none in particular).
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        places = [str(e["loc"][0]) for e in error.errors(include_input=False) if e["loc"]]
    names = {info.alias or name for name, info in model.model_fields.items()}
    return next((place for place in places if place in names), "")
