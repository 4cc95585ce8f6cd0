"""Files that a client sends: what they are, which of them a bot takes, and how much room they have.

Pure. The rules are protocol/spec/files.md.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from voxwire_protocol import wire
from voxwire_protocol.files import MAX_TEXT_CHARS, is_name, media_type_of, takes

__all__ = ["NO_FILES", "Acceptance", "FileRefusal", "FileRoom", "SentFile", "types_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SentFile:
    """A file that a client sent.

    Attributes:
        name: Its name, without a path; empty = it has none.
        media_type: Such as "image/png", in lower case, as the client says it: not to be trusted.
        data: Its bytes.
        text: What the user wrote beside it; may be empty.
        run_immediately: Whether the bot is to answer now.
        audio_response: Whether it is to speak the answer.
        image_size: Width and height of an image in pixels, as the client says; (0, 0) = not said.
        custom_options: For the model's service; None = none.
    """

    name: str
    media_type: str
    data: bytes = field(repr=False)
    text: str = field(default="", repr=False)
    run_immediately: bool = True
    audio_response: bool = True
    image_size: tuple[int, int] = (0, 0)
    custom_options: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class FileRefusal:
    """Why a file is not taken.

    Attributes:
        code: Why.
        reason: One sentence for a developer; never repeats what the client sent.
        retryable: Whether the same may succeed later.
    """

    code: wire.ErrorCode
    reason: str
    retryable: bool = False


def types_of(text: str) -> tuple[str, ...]:
    """Media types from a setting: ``image/*, application/pdf``."""
    return tuple(part for each in text.split(",") if (part := each.strip().lower()))


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What a bot takes of files.

    Attributes:
        types: Media types: "application/pdf", "image/*", "*/*"; none = it takes no files.
        max_bytes: Largest file.
    """

    types: tuple[str, ...] = ()
    max_bytes: int = 0

    @property
    def any(self) -> bool:
        """Whether it takes files at all."""
        return bool(self.types and self.max_bytes)

    def told(self) -> wire.FileAcceptance | None:
        """As the client is told; None = it takes none."""
        if not self.any:
            return None
        return wire.FileAcceptance(types=self.types, max_bytes=self.max_bytes)

    def refusal_of(
        self, *, name: str, media_type: str, size: int, text: str = ""
    ) -> FileRefusal | None:
        """Why a file of that kind is not taken; None = it is."""
        codes = wire.ErrorCode
        if not self.any:
            return FileRefusal(codes.ERROR_CODE_UNSUPPORTED, "this bot takes no files")
        if name and not is_name(name):
            reason = "a file's name has 1 to 255 characters that can be shown, and no path"
            return FileRefusal(codes.ERROR_CODE_INVALID_ARGUMENT, reason)
        essence = media_type_of(media_type)
        if not essence:
            reason = "the file's type is no media type"
            return FileRefusal(codes.ERROR_CODE_INVALID_ARGUMENT, reason)
        if not takes(self.types, essence):
            return FileRefusal(codes.ERROR_CODE_UNSUPPORTED, f"this bot takes {_list(self.types)}")
        if size > self.max_bytes:
            reason = f"a file has at most {self.max_bytes} bytes here"
            return FileRefusal(codes.ERROR_CODE_TOO_LARGE, reason)
        if not size:
            return FileRefusal(codes.ERROR_CODE_INVALID_ARGUMENT, "the file is empty")
        if len(text) > MAX_TEXT_CHARS:
            reason = f"the text beside a file has at most {MAX_TEXT_CHARS} characters"
            return FileRefusal(codes.ERROR_CODE_TOO_LARGE, reason)
        return None


NO_FILES: Final = Acceptance()


def _list(types: Iterable[str]) -> str:
    return ", ".join(types)


class FileRoom:
    """The memory that files of all sessions may take together.

    Args:
        total_bytes: How much it is.
    """

    def __init__(self, total_bytes: int) -> None:
        self._total_bytes = total_bytes
        self.used_bytes = 0

    def has(self, num_bytes: int) -> bool:
        """Whether so much is left."""
        return self.used_bytes + num_bytes <= self._total_bytes

    def take(self, num_bytes: int) -> bool:
        """Take so much; False = there is not so much left, and nothing is taken."""
        if not self.has(num_bytes):
            return False
        self.used_bytes += num_bytes
        return True

    def give_back(self, num_bytes: int) -> None:
        """So much is free again."""
        self.used_bytes -= num_bytes
