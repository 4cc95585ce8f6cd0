"""What logs show of messages, and that a record is one line."""

import io
import json
import logging
from collections.abc import Iterator

import aiortc
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from voxwire_protocol import wire
from voxwire_protocol.gen.voxwire.v1 import options_pb2
from voxwire_server.logs import JsonFormatter, LibraryFilter, TextFormatter
from voxwire_server.redact import OneLineFilter, one_line, redacted

CANARY = "CANARY-5ec2e7"
PLAIN = "plain-text"


def fill(message: Message, protected: list[str], depth: int = 0) -> Message:
    """Set every field: canaries where the schema or the type protects, plain text elsewhere."""
    for field in message.DESCRIPTOR.fields:
        level = field.GetOptions().Extensions[options_pb2.sensitivity]
        hidden = level != options_pb2.SENSITIVITY_UNSPECIFIED
        if hidden:
            protected.append(field.full_name)
        value: object = 1
        if field.type == FieldDescriptor.TYPE_STRING:
            value = CANARY if hidden else PLAIN
        elif field.type == FieldDescriptor.TYPE_BYTES:
            value = CANARY.encode()
        target = getattr(message, field.name)
        if field.message_type is not None:
            if depth < 4:
                child = target.add() if hasattr(target, "add") else target
                child.SetInParent()
                fill(child, protected, depth + 1)
        elif hasattr(target, "append"):
            target.append(value)
        else:
            setattr(message, field.name, value)
    return message


PAYLOADS = [f for f in wire.Envelope.DESCRIPTOR.fields if f.message_type is not None]


def test_no_protected_field_of_any_message_is_shown() -> None:
    protected: list[str] = []
    shown = ""
    for payload in PAYLOADS:
        envelope = wire.Envelope(seq=7)
        child: Message = getattr(envelope, payload.name)
        child.SetInParent()
        fill(child, protected)
        # A oneof keeps only its last member, so each member is also set alone.
        for oneof_field in [f for o in child.DESCRIPTOR.oneofs for f in o.fields]:
            if oneof_field.type == FieldDescriptor.TYPE_STRING:
                alone = wire.Envelope()
                setattr(getattr(alone, payload.name), oneof_field.name, CANARY)
                shown += str(redacted(alone))
        text = str(redacted(envelope))
        assert payload.name in text
        shown += text
    assert CANARY not in shown and CANARY.encode().hex() not in shown
    assert PLAIN in shown and "[secret]" in shown and f"[{len(CANARY)} chars]" in shown
    assert len(set(protected)) >= 25


def test_a_message_is_readable_where_it_may_be() -> None:
    hello = wire.Hello(protocol_version=1, token=CANARY, attach_nonce=b"n" * 16, bot="offline")
    hello.features.extend([wire.Feature.FEATURE_WORDS, 99])  # type: ignore[list-item]
    hello.metadata_json = '{"a": 1}'
    hello.tools.add(name="map", timeout_ms=5)
    assert redacted(wire.Envelope(seq=3, hello=hello)) == {
        "seq": 3,
        "hello": {
            "protocol_version": 1,
            "attach_nonce": "[16 bytes]",
            "token": "[secret]",
            "features": ["FEATURE_WORDS", 99],
            "bot": "offline",
            "tools": [{"name": "map", "timeout_ms": 5}],
            "metadata_json": "[8 chars]",
        },
    }


def test_nested_repeated_and_oneof_fields_are_redacted() -> None:
    ice = wire.IceServersUpdate()
    ice.ice_servers.add(urls=["turn:x"], username=CANARY, credential=CANARY)
    assert redacted(ice) == {
        "ice_servers": [{"urls": ["turn:x"], "username": "[secret]", "credential": "[secret]"}]
    }
    failed = wire.ToolResult(call_id="c", call_token=b"t", error=wire.Error(code=82))  # type: ignore[arg-type]
    assert redacted(failed) == {
        "call_id": "c",
        "call_token": "[secret]",
        "error": {"code": "ERROR_CODE_TOOL_FAILED"},
    }
    done = wire.ToolResult(result_json=CANARY)
    assert redacted(done) == {"result_json": f"[{len(CANARY)} chars]"}


def test_lists_are_short_unknown_fields_left_out_and_text_on_one_line() -> None:
    welcome = wire.Welcome(examples=["a\nb"] * 20)
    shown = redacted(welcome)["examples"]
    assert isinstance(shown, list) and shown[0] == r"a\nb" and shown[-1] == "[4 more]"
    unknown = wire.Ack.FromString(wire.Hello(token=CANARY).SerializeToString())
    assert redacted(unknown) == {}


@pytest.fixture
def logger() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    handler.addFilter(OneLineFilter())
    log = logging.Logger("test")
    log.addHandler(handler)
    yield log, out
    handler.close()


Log = tuple[logging.Logger, io.StringIO]


@pytest.mark.parametrize(
    "payload", ["a\nERROR root: forged", "\x1b[2J\x07", "{}{0}%s%n", "\u2028\u2029\x85\u202e", "\0"]
)
def test_hostile_text_gives_exactly_one_line(logger: Log, payload: str) -> None:
    log, out = logger
    log.info("user %s", payload)
    log.info(payload)
    log.info("%(who)s", {"who": payload})
    log.info("with field", extra={"who": payload})
    lines = out.getvalue().splitlines()
    assert len(lines) == 4 and all(line.startswith("INFO test: ") for line in lines)
    assert all(line.isprintable() for line in lines)


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=2000))
def test_any_text_is_one_printable_line_of_at_most_256_bytes(text: str) -> None:
    shown = one_line(text)
    assert shown.isprintable() and len(shown.encode()) <= 256
    assert one_line(shown) == shown
    if text.isprintable() and len(text.encode()) <= 256:
        assert shown == text


def test_values_are_cut_at_256_bytes_and_numbers_stay_numbers(logger: Log) -> None:
    log, out = logger
    log.info("%s|%d|%.1f|%s|%s", "é" * 5000, 7, 0.25, None, b"\x00raw")
    value, *rest = out.getvalue().strip().removeprefix("INFO test: ").split("|")
    assert len(value.encode()) <= 256 and value.endswith("[10000 bytes]")
    assert rest == ["7", "0.2", "None", "[4 bytes]"]


def test_a_message_as_argument_is_redacted(logger: Log) -> None:
    log, out = logger
    envelope = wire.Envelope(hello=wire.Hello(token=CANARY, metadata_json=CANARY))
    log.debug("received %s", envelope, extra={"envelope": envelope})
    assert "[secret]" in out.getvalue() and CANARY not in out.getvalue()


def test_a_traceback_is_folded_into_the_line(logger: Log) -> None:
    log, out = logger
    try:
        try:
            raise ValueError("inner\nline " + "x" * 999)
        except ValueError as error:
            raise RuntimeError("outer") from error
    except RuntimeError:
        log.exception("failed")
    (line,) = out.getvalue().splitlines()
    assert line.index("RuntimeError: outer at ") < line.index(r"ValueError: inner\nline")
    assert "test_redact.py" in line and "x" * 256 not in line


def test_a_record_that_cannot_be_formatted_shows_no_arguments(
    logger: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    log, out = logger

    class Broken:
        def __str__(self) -> str:
            raise RuntimeError(CANARY)

    log.info("too few %s %s", CANARY)
    log.info("%s", Broken())
    log.info("%d", CANARY)
    lines = out.getvalue().splitlines()
    assert len(lines) == 3 and "[unprintable]" in lines[1]
    assert CANARY not in out.getvalue() + capsys.readouterr().err


def test_extra_fields_are_cleaned_too(logger: Log) -> None:
    log, out = logger
    log.handlers[0].setFormatter(logging.Formatter("%(message)s %(who)s %(hello)s %(count)d"))
    hello = wire.Hello(token=CANARY)
    log.info("joined", extra={"who": "a\nb" + "x" * 999, "hello": hello, "count": 3})
    (line,) = out.getvalue().splitlines()
    assert line.startswith(r"joined a\nbxx") and line.endswith("{'token': '[secret]'} 3")
    assert CANARY not in line and "x" * 256 not in line


def test_every_handler_sees_the_record_clean(logger: Log) -> None:
    log, out = logger
    second = logging.StreamHandler(out)
    second.addFilter(OneLineFilter())
    log.addHandler(second)
    log.info("a %s", "b\nc")
    assert out.getvalue().splitlines() == [r"INFO test: a b\nc", r"a b\nc"]


def test_lines_carry_their_fields_as_text_and_as_json() -> None:
    record = logging.makeLogRecord(
        {"name": "voxwire.session", "levelname": "INFO", "msg": "session started", "created": 0.0}
    )
    record.session, record.hello = "a.b", wire.Hello(token=CANARY)
    assert OneLineFilter().filter(record)
    assert (
        TextFormatter()
        .format(record)
        .endswith("INFO voxwire.session: session started hello={'token': '[secret]'} session=a.b")
    )
    assert json.loads(JsonFormatter().format(record)) == {
        "time": "1970-01-01T00:00:00.000+00:00",
        "level": "INFO",
        "logger": "voxwire.session",
        "message": "session started",
        "session": "a.b",
        "hello": "{'token': '[secret]'}",
    }


@pytest.mark.parametrize(("level", "shown"), [(logging.INFO, False), (logging.WARNING, True)])
def test_a_librarys_text_is_shown_from_warning_on_and_a_bots_always(
    level: int, shown: bool
) -> None:
    library = logging.makeLogRecord(
        {"name": "aiortc", "levelno": level, "pathname": aiortc.__file__, "msg": f"a {CANARY}"}
    )
    template = logging.makeLogRecord(
        {"name": "aiortc", "levelno": level, "pathname": aiortc.__file__, "msg": "got %s"}
    )
    template.args = (CANARY,)
    bot = logging.makeLogRecord({"name": "mine", "levelno": level, "pathname": __file__})
    bot.msg = f"a {CANARY}"
    for record in (library, template, bot):
        assert LibraryFilter().filter(record)
    assert (CANARY in library.getMessage()) is shown
    assert (CANARY in template.getMessage()) is shown
    assert "got %s" in str(template.msg)
    assert CANARY in bot.getMessage()


def test_the_text_of_an_exception_is_not_shown_below_warning(logger: Log) -> None:
    log, out = logger
    try:
        raise ValueError(CANARY)
    except ValueError as error:
        log.info("refused", exc_info=error)
    assert CANARY not in out.getvalue()
    assert "ValueError at " in out.getvalue()
