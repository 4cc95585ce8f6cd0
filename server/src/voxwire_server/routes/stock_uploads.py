"""Files that stock clients upload, until they send them or their session ends.

Pure: ``now_ms`` is monotonic milliseconds. An upload's URL names it to its owner and to nobody
else; nothing is ever fetched from anywhere.
"""

import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final

from voxwire_protocol import wire
from voxwire_server.routes.stock_starts import Owner
from voxwire_server.sent_files import FileRefusal, FileRoom

__all__ = ["UPLOAD_TTL_MS", "GiveUpload", "TakeUpload", "Upload", "Uploads"]

UPLOAD_TTL_MS: Final = 120_000
"""How long an upload waits to be sent."""
_MAX_UPLOADS: Final = 256
_MAX_OF_ONE: Final = 4
_URL: Final = "voxwire:"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was uploaded.

    Attributes:
        owner: Whose it is.
        name: Its name, without a path.
        media_type: Its media type.
        data: Its bytes, whose memory is held.
        ends_at_ms: When it is forgotten.
    """

    owner: Owner
    name: str
    media_type: str
    data: bytes = field(repr=False)
    ends_at_ms: float


GiveUpload = Callable[[Upload], FileRefusal | None]
"""Hands an upload to a session; why it does not take it."""

TakeUpload = Callable[[str, GiveUpload], FileRefusal | None]
"""Has the upload of a URL handed to its session; why it does not get it."""

_NO_UPLOAD: Final = FileRefusal(
    wire.ErrorCode.ERROR_CODE_INVALID_ARGUMENT,
    "no file of this session was uploaded to that url; other urls are not fetched",
)


class Uploads:
    """The uploads of one server; at most 4 of one owner, and 256.

    Args:
        room: The memory that files of all sessions share.
    """

    def __init__(self, room: FileRoom) -> None:
        self.room = room
        self._uploads: dict[str, Upload] = {}

    def __len__(self) -> int:
        return len(self._uploads)

    def has_place(self, owner: Owner, now_ms: float, *, coming: int = 0) -> bool:
        """Whether one more of that owner is taken, beside those of him that are coming."""
        self.expire(now_ms)
        same = sum(upload.owner.same(owner) for upload in self._uploads.values())
        return same + coming < _MAX_OF_ONE and len(self._uploads) < _MAX_UPLOADS

    def add(self, upload: Upload) -> str:
        """Keep an upload.

        Returns:
            The URL that it is sent by: 192 random bits.
        """
        url = _URL + secrets.token_urlsafe(24)
        self._uploads[url] = upload
        return url

    def take(self, url: str, owners: Collection[Owner], now_ms: float) -> Upload | None:
        """Take an upload, which is used up; its memory is given back.

        Args:
            url: As :meth:`add` gave it.
            owners: Who the session is that sends it.
            now_ms: Now.
        """
        self.expire(now_ms)
        upload = self._uploads.get(url)
        if upload is None or not any(upload.owner.same(owner) for owner in owners):
            return None
        self._forget(url)
        return upload

    def hand_on(
        self, url: str, owners: Collection[Owner], now_ms: float, give: GiveUpload
    ) -> FileRefusal | None:
        """Hand an upload to its session; one that is refused for now can be sent again.

        Args:
            url: As :meth:`add` gave it.
            owners: Who the session is that sends it.
            now_ms: Now.
            give: Takes it; its memory has been given back.
        """
        upload = self.take(url, owners, now_ms)
        if upload is None:
            return _NO_UPLOAD
        refusal = give(upload)
        if refusal is not None and refusal.retryable and self.room.take(len(upload.data)):
            self._uploads[url] = upload
        return refusal

    def forget(self, owner: Owner) -> None:
        """The session of that owner is over."""
        for url, upload in list(self._uploads.items()):
            if upload.owner.same(owner):
                self._forget(url)

    def expire(self, now_ms: float) -> None:
        """Forget what has waited long enough."""
        for url, upload in list(self._uploads.items()):
            if upload.ends_at_ms <= now_ms:
                self._forget(url)

    def _forget(self, url: str) -> None:
        self.room.give_back(len(self._uploads.pop(url).data))
