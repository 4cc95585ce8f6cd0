"""The tables of protocol/spec/limits.md are what the code does."""

from contextlib import suppress
from pathlib import Path

from voxwire_protocol import json_text, wire
from voxwire_protocol.channel import Channel
from voxwire_protocol.files import MAX_NAME_CHARS, MAX_TEXT_CHARS, PIECE_BYTES
from voxwire_protocol.json_text import parse_json
from voxwire_server import serving, sockets
from voxwire_server.capture import allowance
from voxwire_server.config import Settings
from voxwire_server.control import bad_messages, intake, link
from voxwire_server.conversation import file_arrival, files
from voxwire_server.pipeline import input as pipeline_input
from voxwire_server.playout import path_formats
from voxwire_server.routes import hello, stock_files, stock_uploads, waiting_socket
from voxwire_server.strict_json import load_json

SPEC = (Path(__file__).resolve().parents[2] / "protocol" / "spec" / "limits.md").read_text("utf-8")


def rows(heading: str) -> dict[str, list[str]]:
    """The rows of the tables whose first column has this heading, by their first cell."""
    found: dict[str, list[str]] = {}
    inside = False
    for line in SPEC.splitlines():
        if line.startswith(f"| {heading} |"):
            inside = True
        elif not line.startswith("|"):
            inside = False
        elif inside and not line.startswith("|---"):
            cells = [cell.strip().strip("`") for cell in line.strip("|").split("|")]
            found[cells[0]] = cells[1:]
    return found


def test_every_limit_is_the_code_s() -> None:
    settings = Settings()
    expected = {
        "envelope": wire.DEFAULT_MAX_MESSAGE_BYTES,
        "WebSocket message": serving._CLOSING_BYTES,
        "chunked message": Channel(allowed=wire.CLIENT_PAYLOADS)._max_message_bytes,
        **intake.PAYLOAD_BYTES,
        "any other event": intake.EVENT_BYTES,
        "bad messages in a row": bad_messages.MAX_BAD_MESSAGES,
        "faster than real time": allowance.AUDIO_CREDIT_FACTOR,
        "audio at once": allowance.AUDIO_CREDIT_START_MS,
        "audio at once after a pause": allowance.AUDIO_CREDIT_MAX_MS,
        "audio more with the first path": allowance.AUDIO_CREDIT_KEPT_MS,
        "audio queued for the pipeline": pipeline_input._MAX_QUEUED_BLOCKS,
        "sockets of an address before Hello": settings.max_pending_per_address,
        "sockets before Hello": settings.max_pending,
        "starts of an address": float(settings.starts_per_address.removesuffix("/minute")),
        "turned away from an address": float(settings.starts_per_address.removesuffix("/minute")),
        "starts of a user": float(settings.starts_per_user.removesuffix("/minute")),
        "clients that wait for a place": Settings.model_fields["max_waiting"].default,
        "longest wait for a place": Settings.model_fields["max_wait_s"].default,
        "lateness of the event loop, p95 of 10 s": Settings.model_fields["max_lag_ms"].default,
        "head of a request": settings.hello_timeout_ms,
        "Hello": settings.hello_timeout_ms,
        "Hello size": hello._MAX_HELLO_BYTES,
        "said while a client waits for a place": waiting_socket.MAX_KEPT_BYTES,
        "metadata in Hello": hello._MAX_METADATA_BYTES,
        "write to a client that does not read": link.MAX_STUCK_MS,
        "ping unanswered by a client that sends": link.MAX_DEAF_MS,
        "events queued for a client": link.MAX_EVENT_BYTES,
        "file": settings.file_max_bytes,
        "name of a file": MAX_NAME_CHARS,
        "text beside a file": MAX_TEXT_CHARS,
        "piece of a file": PIECE_BYTES,
        "of a file on its way": file_arrival.MAX_WINDOW_BYTES,
        "files of a session at once": files.MAX_OPEN,
        "files of a session, in all": 2 * settings.file_max_bytes,
        "files that a bot is given in a session": files.MAX_GIVEN_FILES * settings.file_max_bytes,
        "files of all sessions, in all": settings.files_total_bytes,
        "no piece of a file": files.STALL_MS,
        "a file, beyond that": files.LEAST_BYTES_PER_SECOND,
        "uploads at once": stock_files.MAX_UPLOADING,
        "uploads at once, of one client": stock_files.MAX_UPLOADING_OF_ONE,
        "an upload, from its tenth second on": stock_files.LEAST_BYTES_PER_SECOND,
        "uploads that wait or come, of one client": stock_uploads._MAX_OF_ONE,
        "uploads that wait": stock_uploads._MAX_UPLOADS,
        "an upload waits": stock_uploads.UPLOAD_TTL_MS,
    }
    assert {name: float(cells[0]) for name, cells in rows("limit").items()} == expected


def nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


def test_json_is_as_deep_as_it_says() -> None:
    readers = {
        "of tools and requests": parse_json,
        "of metadata": parse_json,
        "of tokens and of HTTP requests": load_json,
        "that an event shows": json_text.load_json,
    }
    deepest = {name: int(cells[0]) for name, cells in rows("JSON").items()}
    assert deepest.keys() == readers.keys()
    for name, read in readers.items():
        assert read(nested(deepest[name])), name
        with suppress(ValueError):  # or None
            assert read(nested(deepest[name] + 1)) is None, name


def test_every_rate_is_the_code_s() -> None:
    table = {name: (float(c[0]), float(c[1])) for name, c in rows("what").items()}
    assert table == {name: tuple(rate) for name, rate in intake.RATES.items()}
    control_frames = sockets._CONTROL_FRAMES
    assert f"{control_frames.per_second} a second, {control_frames.burst} at once" in SPEC, (
        control_frames
    )


def test_the_formats_are_the_code_s() -> None:
    *first, last = (str(rate) for rate in sorted(path_formats.SAMPLE_RATES))
    text = " ".join(SPEC.split())
    assert f"a rate of {', '.join(first)} or {last} Hz" in text
    *first, last = (str(ms) for ms in sorted(path_formats.BLOCKS_MS) if ms)
    assert f"blocks of {', '.join(first)} or {last} ms (0 = the server's choice)" in text


def test_what_is_beyond_a_limit_names_a_code_that_exists() -> None:
    names = {name.removeprefix("ERROR_CODE_") for name, _ in wire.ErrorCode.items()}
    cells = " ".join(cells[-1] for table in ("limit", "what") for cells in rows(table).values())
    said = {word.strip("`,;") for word in cells.split() if word.startswith("`") and "_" in word}
    assert said
    assert said <= names, said - names
