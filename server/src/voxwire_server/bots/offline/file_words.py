"""What the offline bot says of a file that it was sent: name, type and size."""

import base64
from typing import Final

from pipecat.frames.frames import UserFileRawFrame, UserImageRawFrame

from voxwire_server.pipeline.files import FILENAME

__all__ = ["about"]

_KINDS: Final = {"image": "an image", "text": "a text", "audio": "a sound", "video": "a video"}
_SPOKEN_CHARS: Final = 60


def about(frame: UserImageRawFrame | UserFileRawFrame) -> str:
    """In words that can be spoken: ``plan.pdf, a file of 12 kilobytes``."""
    if isinstance(frame, UserImageRawFrame):
        name, num_bytes = str(frame.metadata.get(FILENAME, "")), len(frame.image)
    else:
        encoded = frame.file.partition(",")[2]
        name, num_bytes = frame.filename or "", len(base64.b64decode(encoded))
    kind = _KINDS.get(str(frame.format).partition("/")[0], "a file")
    what = f"{kind} of {_size(num_bytes)}"
    return f"{name[:_SPOKEN_CHARS]}, {what}" if name else what


def _size(num_bytes: int) -> str:
    for unit, name in ((1_000_000, "megabyte"), (1000, "kilobyte"), (1, "byte")):
        if num_bytes >= unit:
            number = round(num_bytes / unit)
            return f"{number} {name}{'' if number == 1 else 's'}"
    return "0 bytes"
