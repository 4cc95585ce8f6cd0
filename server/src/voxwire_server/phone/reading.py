"""Reading what a vendor writes in JSON and forms: no more of it than is meant, of the right kind.

Pure. What is wrong is told without what it was.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import parse_qsl

from voxwire_server.phone.vendor import Audio, ForgedError, Keys, WireError
from voxwire_server.strict_json import load_json

__all__ = [
    "audio_of",
    "field_of",
    "form_of",
    "keys_of",
    "member_of",
    "members_of",
    "number_of",
    "parameters_of",
    "party_of",
    "text_of",
    "texts_of",
]

_MAX_NAME_CHARS: Final = 256
_MAX_FIELDS: Final = 200
_MAX_PARAMETERS: Final = 16
_MAX_VALUE_CHARS: Final = 1024
_MAX_AUDIO_BYTES: Final = 96_000
"""3 s of 16-bit samples at 16 kHz; a message of more than 128 KiB has closed the socket before."""
_DIGITS: Final = re.compile(r"[0-9*#]{1,64}")
_BARE: Final = re.compile(r"[1-9][0-9]{6,14}")
_NOBODY: Final = frozenset(
    {
        *("anonymous", "blocked", "private", "restricted", "unavailable", "unknown"),
        *("266696687", "2562533", "7378742833", "86282452253", "8656696"),
    }
)
"""What stands for a number that was withheld: words, and what Twilio makes of them on a keypad."""


def members_of(message: str | bytes) -> dict[str, Any]:
    """The members of a JSON object.

    Raises:
        WireError: It is no text, or no object.
    """
    found = load_json(message) if isinstance(message, str) else None
    if not isinstance(found, dict):
        raise WireError("no JSON object")
    return cast("dict[str, Any]", found)


def member_of(members: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A member that is an object itself.

    Raises:
        WireError: It is none.
    """
    found = members.get(name)
    if not isinstance(found, dict):
        raise WireError(f"{name} is no object")
    return cast("dict[str, Any]", found)


def text_of(members: Mapping[str, Any], name: str) -> str:
    """A member that is a short text.

    Raises:
        WireError: It is none.
    """
    found = members.get(name)
    if not isinstance(found, str) or not 0 < len(found) <= _MAX_NAME_CHARS:
        raise WireError(f"{name} is no short text")
    return found


def number_of(members: Mapping[str, Any], name: str) -> int:
    """A member that is a whole number from 1, as such or as text.

    Raises:
        WireError: It is none.
    """
    found = members.get(name)
    if isinstance(found, str) and re.fullmatch(r"[0-9]{1,15}", found):
        found = int(found)
    if not isinstance(found, int) or isinstance(found, bool) or not 0 < found < 10**15:
        raise WireError(f"{name} is no number")
    return found


def parameters_of(members: Mapping[str, Any], name: str) -> dict[str, str]:
    """A member with texts by name; of what is too much, or no text, nothing."""
    found = members.get(name)
    return texts_of(cast("dict[str, Any]", found) if isinstance(found, dict) else {})


def texts_of(members: Mapping[str, Any]) -> dict[str, str]:
    """The members that are texts; of what is too much, or too long, nothing."""
    texts = {k: v for k, v in members.items() if isinstance(v, str) and len(k) <= _MAX_NAME_CHARS}
    short = [(k, v) for k, v in texts.items() if len(v) <= _MAX_VALUE_CHARS]
    return dict(short[:_MAX_PARAMETERS])


def audio_of(members: Mapping[str, Any], name: str, *, number: int = 0) -> Audio:
    """Sound in base64.

    Raises:
        WireError: It is none.
    """
    found = members.get(name)
    if not isinstance(found, str) or len(found) > _MAX_AUDIO_BYTES * 4 // 3 + 4:
        raise WireError(f"{name} is no sound")
    try:
        return Audio(base64.b64decode(found, validate=True), number)
    except (binascii.Error, ValueError):
        raise WireError(f"{name} is no base64") from None


def keys_of(members: Mapping[str, Any], name: str) -> Keys:
    """Keys that were pressed.

    Raises:
        WireError: They are none.
    """
    found = members.get(name)
    if not isinstance(found, str) or not _DIGITS.fullmatch(found):
        raise WireError(f"{name} are no keys")
    return Keys(found)


def form_of(body: bytes) -> list[tuple[str, str]]:
    """The fields of a form (``application/x-www-form-urlencoded``), in their order.

    Raises:
        ForgedError: It is none.
    """
    try:
        text = body.decode("ascii")
        return parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError:
        raise ForgedError("the body is no form") from None


def field_of(form: Mapping[str, str], name: str) -> str:
    """A field that names something.

    Raises:
        ForgedError: It does not.
    """
    found = form.get(name, "")
    if not 0 < len(found) <= _MAX_NAME_CHARS or not found.isprintable():
        raise ForgedError(f"no {name}")
    return found


def party_of(form: Mapping[str, str], name: str, *, bare: bool = False) -> str:
    """A number or an address; empty = there is none, or it was withheld.

    Args:
        form: The fields.
        name: Of the field.
        bare: Whether its numbers lack their ``+``: who calls has one name, whoever brings him.
    """
    found = form.get(name, "").strip()
    named = found.lstrip("+").lower() not in _NOBODY
    if bare and named and _BARE.fullmatch(found):
        found = f"+{found}"
    return found if named and len(found) <= _MAX_NAME_CHARS and found.isprintable() else ""
