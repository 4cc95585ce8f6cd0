"""What a log may show: messages redacted by the schema, one line for each record.

The schema's ``sensitivity`` option decides (``options.proto``): a SECRET is never shown, of CONTENT
only the length. Bytes are never shown, whatever the option says.
"""

import logging
import traceback
from collections.abc import Iterable, Mapping
from numbers import Number
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from voxwire_protocol import wire

__all__ = ["MAX_VALUE_BYTES", "OneLineFilter", "fields_of", "one_line", "redacted"]

MAX_VALUE_BYTES: Final = 256
"""Longest value in a log line, bytes of UTF-8."""
_MAX_LINE_BYTES: Final = 4096
_MAX_ITEMS: Final = 16
_MAX_DEPTH: Final = 8
_MAX_FRAMES: Final = 16
_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}

_POOL: Final = wire.Envelope.DESCRIPTOR.file.pool
_SENSITIVITY: Final[Any] = _POOL.FindExtensionByName("voxwire.v1.sensitivity")
_LEVELS: Final = _SENSITIVITY.enum_type.values_by_name
_CONTENT: Final = _LEVELS["SENSITIVITY_CONTENT"].number
_OPEN: Final = _LEVELS["SENSITIVITY_UNSPECIFIED"].number


def one_line(value: object, *, max_bytes: int = MAX_VALUE_BYTES) -> str:
    """Text that stays on its line: what is not printable is escaped, what is long is cut.

    Control characters, line and paragraph separators, direction marks and lone surrogates are
    written as Python escapes.
    """
    try:
        text = value if isinstance(value, str) else str(value)
    except Exception:
        return "[unprintable]"
    if not text.isprintable():
        text = "".join(
            c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:65536]
        )
    data = text.encode("utf-8", "backslashreplace")
    if len(data) <= max_bytes:
        return text
    mark = f"…[{len(data)} bytes]"
    return data[: max(0, max_bytes - len(mark.encode()))].decode("utf-8", "ignore") + mark


def _hidden(value: object, level: int) -> str:
    """What stands for a value that may not be shown; an unknown level is a secret."""
    if level not in (_CONTENT, _OPEN):
        return "[secret]"
    if isinstance(value, str):
        return f"[{len(value)} chars]"
    return f"[{len(value)} bytes]" if isinstance(value, bytes) else "[content]"


def _shown(field: FieldDescriptor, value: Any, level: int, depth: int) -> object:
    if level != _OPEN or isinstance(value, bytes):
        return _hidden(value, level)
    if isinstance(value, Message):
        return _render(value, depth + 1) if depth < _MAX_DEPTH else "[deep]"
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known is not None else int(value)
    return one_line(value) if isinstance(value, str) else value


def _field(field: FieldDescriptor, value: Any, depth: int) -> object:
    level: int = field.GetOptions().Extensions[_SENSITIVITY]
    if isinstance(value, str | bytes | int | float | Message):
        return _shown(field, value, level, depth)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return f"[{len(value)} entries]"
    items = [_shown(field, item, level, depth) for item in value[:_MAX_ITEMS]]
    return [*items, f"[{len(value) - _MAX_ITEMS} more]"] if len(value) > _MAX_ITEMS else items


def _render(message: Message, depth: int) -> dict[str, object]:
    return {field.name: _field(field, value, depth) for field, value in message.ListFields()}


def redacted(message: Message) -> dict[str, object]:
    """Render a message for a log.

    Args:
        message: Any message; fields that are not set and fields that the schema does not know are
            left out.

    Returns:
        Plain values by field name: "[secret]", "[n chars]" and "[n bytes]" stand for what the
        schema protects; enums by name; text on one line and cut; at most 16 items of a list.
    """
    return _render(message, 0)


def _value(value: object) -> object:
    """A log argument as it may be formatted; numbers stay numbers for ``%d``."""
    if value is None or isinstance(value, Number):
        return value
    if isinstance(value, bytes):
        return _hidden(value, _OPEN)
    if isinstance(value, Message):
        return one_line(redacted(value), max_bytes=_MAX_LINE_BYTES // 2)
    return one_line(value)


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """The ``extra`` fields of a record."""
    return {name: record.__dict__[name] for name in sorted(record.__dict__.keys() - _STANDARD)}


def _exception(error: BaseException | None, *, with_text: bool) -> Iterable[str]:
    """One part for each exception of the chain: type, text (cut), where."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen and len(seen) < 4:
        seen.add(id(error))
        frames = traceback.extract_tb(error.__traceback__)[-_MAX_FRAMES:]
        where = " < ".join(f"{f.filename}:{f.lineno} {f.name}" for f in reversed(frames))
        text = f": {one_line(error)}" if with_text else ""
        yield f"{type(error).__qualname__}{text} at {where}"
        hidden = error.__suppress_context__
        error = error.__cause__ or (None if hidden else error.__context__)


class OneLineFilter(logging.Filter):
    """Makes every record one line and harmless; put it on handlers, it never drops a record.

    Arguments and ``extra`` fields are escaped and cut at 256 bytes, protobuf messages redacted, a
    traceback is folded into the line; below WARNING without the exceptions' texts, since parsers
    put their input there. A record changes in place, and a second pass changes nothing.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Clean a record."""
        for name in record.__dict__.keys() - _STANDARD:
            record.__dict__[name] = _value(record.__dict__[name])
        parts = [self._message(record)]
        if record.exc_info:
            shown = record.levelno >= logging.WARNING
            parts.extend(_exception(record.exc_info[1], with_text=shown))
        if record.stack_info:
            parts.append(record.stack_info)
        record.msg = one_line(" | ".join(parts), max_bytes=_MAX_LINE_BYTES)
        record.args = record.exc_info = record.exc_text = record.stack_info = None
        return True

    @staticmethod
    def _message(record: logging.LogRecord) -> str:
        args = record.args
        try:
            if isinstance(args, Mapping):
                record.args = {name: _value(value) for name, value in args.items()}
            elif args:
                record.args = tuple(_value(value) for value in args)
            else:
                return one_line(record.msg, max_bytes=_MAX_LINE_BYTES)
            return record.getMessage()
        except (TypeError, ValueError, KeyError):
            return f"[arguments do not fit] {one_line(record.msg)}"
