"""The members of a message's data, read by name and type. Pure."""

from typing import Any, cast

from voxwire_protocol.errors import ErrorCode
from voxwire_protocol.rtvi.message import ABSENT, RtviError, RtviMessage

__all__ = ["Fields", "fields_of"]


class Fields:
    """Reads members of an object. What has another type than it must is a typed error.

    A member that is null counts as absent: stock peers write both (pipecat leaves nulls out, the
    Android client writes them).
    """

    def __init__(self, members: dict[str, Any], message: RtviMessage) -> None:
        self._members = members
        self._message = message

    def text(self, name: str, default: str | None = None) -> str:
        """A string; one without a default must be there."""
        value = self._members.get(name)
        if isinstance(value, str):
            return value
        if value is None and default is not None:
            return default
        raise self.wrong(name, "a string")

    def flag(self, name: str, default: bool | None = None) -> bool:
        """A boolean; one without a default must be there."""
        value = self._members.get(name)
        if isinstance(value, bool):
            return value
        if value is None and default is not None:
            return default
        raise self.wrong(name, "true or false")

    def whole(self, name: str, *, least: int, most: int) -> int:
        """A whole number within limits; it must be there."""
        value = self._members.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            value = None
        if value is not None and least <= value <= most and value == int(value):
            return int(value)
        raise self.wrong(name, f"a whole number from {least} to {most}")

    def inner(self, name: str) -> "Fields":
        """The members of an object; one that is not there has none."""
        value = self._members.get(name)
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise self.wrong(name, "an object")
        return Fields(cast("dict[str, Any]", value), self._message)

    def value(self, name: str, default: Any = None) -> Any:
        """Any value."""
        return self._members.get(name, default)

    def has(self, name: str) -> bool:
        """Whether a member is there and not null."""
        return self._members.get(name) is not None

    def wrong(self, name: str, wanted: str) -> RtviError:
        """The error that says what a member should be."""
        return RtviError(
            ErrorCode.MALFORMED,
            f"{self._message.type}: {name} must be {wanted}",
            message_id=self._message.id or "",
        )


def fields_of(message: RtviMessage) -> Fields:
    """The members of a message's data; data that is absent or null has none.

    Raises:
        RtviError: MALFORMED: the data is no object.
    """
    data: object = {} if message.data is ABSENT or message.data is None else message.data
    if not isinstance(data, dict):
        raise RtviError(
            ErrorCode.MALFORMED,
            f"{message.type}: the data must be an object",
            message_id=message.id or "",
        )
    return Fields(cast("dict[str, Any]", data), message)
