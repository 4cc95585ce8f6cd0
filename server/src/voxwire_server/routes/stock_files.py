"""``POST /files``, ``POST /sessions/{id}/files``: uploads of stock clients.

The answer is what a client passes back as ``file`` of ``send-file`` (pipecat 1.14
``runner/run.py``).
"""

import asyncio
import time
from mimetypes import guess_type
from typing import Any, Final

from fastapi import Request
from starlette.requests import ClientDisconnect

from voxwire_protocol import wire
from voxwire_protocol.files import media_type_of
from voxwire_server.routes.bodies import RefusedRequestError, check_length, invalid
from voxwire_server.routes.multipart import (
    MAX_FRAME_BYTES,
    FilePart,
    MultipartError,
    boundary_of,
    file_in,
)
from voxwire_server.routes.stock_starts import Owner
from voxwire_server.routes.stock_uploads import UPLOAD_TTL_MS, Upload, Uploads
from voxwire_server.sent_files import Acceptance, FileRoom

__all__ = ["LEAST_BYTES_PER_SECOND", "MAX_UPLOADING", "MAX_UPLOADING_OF_ONE", "StockFiles"]

MAX_UPLOADING: Final = 8
"""Uploads that may come at once."""
MAX_UPLOADING_OF_ONE: Final = 2
"""Uploads of one owner that may come at once."""
LEAST_BYTES_PER_SECOND: Final = 16_384
"""How fast a body must come from its tenth second on: a few slow ones would keep all others out."""
_STALL_SECS: Final = 10.0
_WHOLE_SECS: Final = 120.0
_STATUS: Final = {
    wire.ErrorCode.ERROR_CODE_UNSUPPORTED: 415,
    wire.ErrorCode.ERROR_CODE_TOO_LARGE: 413,
}


class StockFiles:
    """Takes uploads.

    Args:
        uploads: Where they wait.
    """

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads
        self._coming: list[Owner] = []

    async def take(self, request: Request, owner: Owner, accepts: Acceptance) -> dict[str, Any]:
        """Take one upload.

        Args:
            request: The request.
            owner: Who may send it to his session.
            accepts: What his bot takes.

        Raises:
            RefusedRequestError: It is not taken.
        """
        if not accepts.any:
            code = wire.ErrorCode.ERROR_CODE_UNSUPPORTED
            raise RefusedRequestError(415, code, "this bot takes no files")
        if not self._may_come(owner):
            raise _too_many()
        if "content-encoding" in request.headers:
            code = wire.ErrorCode.ERROR_CODE_UNSUPPORTED
            raise RefusedRequestError(415, code, "the body must have no Content-Encoding")
        self._coming.append(owner)
        try:
            return await self._take(request, owner, accepts)
        finally:
            self._coming.remove(owner)

    def _may_come(self, owner: Owner) -> bool:
        mine = sum(coming.same(owner) for coming in self._coming)
        if len(self._coming) >= MAX_UPLOADING or mine >= MAX_UPLOADING_OF_ONE:
            return False
        return self._uploads.has_place(owner, _now_ms(), coming=mine)

    async def _take(self, request: Request, owner: Owner, accepts: Acceptance) -> dict[str, Any]:
        body = _Body(self._uploads.room, accepts.max_bytes + MAX_FRAME_BYTES)
        try:
            part = await _read(request, body)
            media_type = media_type_of(guess_type(part.name, strict=False)[0] or part.media_type)
            media_type = media_type or "application/octet-stream"
            size = len(part.data)
            refusal = accepts.refusal_of(name=part.name, media_type=media_type, size=size)
            if refusal is not None:
                status = _STATUS.get(refusal.code, 422)
                raise RefusedRequestError(status, refusal.code, refusal.reason)
            if not self._uploads.has_place(owner, _now_ms()):
                raise _too_many()
            upload = Upload(owner, part.name, media_type, part.data, _now_ms() + UPLOAD_TTL_MS)
            url = self._uploads.add(upload)
            body.keep(size)
        finally:
            body.give_back()
        loop = asyncio.get_running_loop()
        loop.call_later(UPLOAD_TTL_MS / 1000 + 1, lambda: self._uploads.expire(_now_ms()))
        return {"name": part.name, "source": {"type": "url", "url": url}, "format": media_type}


class _Body:
    """A body that is being read, and the memory that it holds."""

    def __init__(self, room: FileRoom, max_bytes: int) -> None:
        self.data = bytearray()
        self.max_bytes = max_bytes
        self._room = room
        self._held_bytes = 0

    def add(self, part: bytes) -> None:
        """Take the next part of it.

        Raises:
            RefusedRequestError: It is too long, or there is no memory left.
        """
        if len(self.data) + len(part) > self.max_bytes:
            raise _too_large(self.max_bytes - MAX_FRAME_BYTES)
        if not self._room.take(len(part)):
            code = wire.ErrorCode.ERROR_CODE_CAPACITY
            raise RefusedRequestError(429, code, "no room for files now; try again later")
        self._held_bytes += len(part)
        self.data += part

    def keep(self, num_bytes: int) -> None:
        """So much of it is held by somebody else now."""
        self._held_bytes -= num_bytes

    def give_back(self) -> None:
        """The rest is not needed any more."""
        self._room.give_back(self._held_bytes)
        self._held_bytes = 0


async def _read(request: Request, body: _Body) -> FilePart:
    try:
        boundary = boundary_of(request.headers.get("content-type", ""))
        check_length(request, body.max_bytes)
        parts = request.stream()
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.timeout(_WHOLE_SECS):
            while True:
                earned = began + len(body.data) / LEAST_BYTES_PER_SECOND
                async with asyncio.timeout_at(min(loop.time(), earned) + _STALL_SECS):
                    part = await anext(parts, None)
                if part is None:
                    return file_in(body.data, boundary)
                body.add(part)
    except MultipartError as error:
        raise invalid(str(error)) from None
    except (TimeoutError, ClientDisconnect):
        code = wire.ErrorCode.ERROR_CODE_TIMEOUT
        raise RefusedRequestError(408, code, "the body did not come in time") from None


def _too_large(max_bytes: int) -> RefusedRequestError:
    code = wire.ErrorCode.ERROR_CODE_TOO_LARGE
    return RefusedRequestError(413, code, f"a file has at most {max_bytes} bytes here")


def _too_many() -> RefusedRequestError:
    code = wire.ErrorCode.ERROR_CODE_RATE_LIMITED
    return RefusedRequestError(429, code, "too many uploads wait to be sent")


def _now_ms() -> float:
    return time.monotonic() * 1000
