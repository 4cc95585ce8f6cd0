"""One file in a body of ``multipart/form-data`` (RFC 7578), and nothing else. Pure."""

import re
from email.message import Message
from typing import Final, NamedTuple

__all__ = ["MAX_FRAME_BYTES", "FilePart", "MultipartError", "boundary_of", "file_in"]

MAX_FRAME_BYTES: Final = 16_384
"""Most that a body has beside the file."""
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_MAX_HEAD_BYTES: Final = 8192


class MultipartError(ValueError):
    """The body is not what it must be; the message repeats nothing of it."""


class FilePart(NamedTuple):
    """The file.

    Attributes:
        name: Its name as the client says it: not to be trusted.
        media_type: The same; empty = not said.
        data: Its bytes.
    """

    name: str
    media_type: str
    data: bytes


def boundary_of(content_type: str) -> bytes:
    """The boundary that a ``Content-Type`` names.

    Raises:
        MultipartError: It is another type, or names none.
    """
    said = Message()
    said["Content-Type"] = content_type
    boundary = _get(said, "boundary", "content-type")
    named = isinstance(boundary, str) and _BOUNDARY.fullmatch(boundary)
    if said.get_content_type() != "multipart/form-data" or not named:
        raise MultipartError("the body must be multipart/form-data with a boundary")
    return str(boundary).encode("ascii")


def file_in(body: bytes | bytearray, boundary: bytes) -> FilePart:
    """The one part of a body: a file in the field ``file``.

    Raises:
        MultipartError: There is none, or more than it.
    """
    first, line = b"--" + boundary + b"\r\n", b"\r\n--" + boundary
    if not body.startswith(first):
        raise MultipartError("the body does not begin with its boundary")
    head_end = body.find(b"\r\n\r\n", len(first), len(first) + _MAX_HEAD_BYTES)
    end = body.find(line, max(head_end, 0) + 2)
    if head_end < 0 or end < 0:
        raise MultipartError("the body has no whole part")
    if bytes(body[end + len(line) :]).rstrip(b"\r\n") != b"--":
        raise MultipartError("the body must have one part, named file")
    name, media_type = _head_of(bytes(body[len(first) : head_end]))
    return FilePart(name, media_type, bytes(body[head_end + 4 : end]))


def _head_of(head: bytes) -> tuple[str, str]:
    part = Message()
    for line in head.decode("utf-8", "replace").split("\r\n"):
        field, colon, value = line.partition(":")
        if not colon or not field.isascii() or not field.replace("-", "").isalnum():
            raise MultipartError("a header of the part cannot be read")
        part[field] = value.strip()
    if part.get_content_disposition() != "form-data" or _param(part, "name") != "file":
        raise MultipartError("the body must have one part, named file")
    if part.get("content-transfer-encoding") is not None:
        raise MultipartError("the part must not be encoded")
    return _param(part, "filename"), str(part.get("content-type", ""))


def _param(part: Message, name: str) -> str:
    # browsers escape a quotation mark as %22 (WHATWG HTML, multipart/form-data)
    value = _get(part, name, "content-disposition")
    return str(value if isinstance(value, str) else value[2]).replace("%22", '"')


def _get(said: Message, name: str, header: str) -> str | tuple[str | None, str | None, str]:
    """A parameter; RFC 2231 lets one come in numbered parts, which the library reads trustfully."""
    try:
        return said.get_param(name, "", header=header)
    except (TypeError, ValueError):
        raise MultipartError("a parameter of the multipart/form-data cannot be read") from None
