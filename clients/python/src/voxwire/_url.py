"""The URL of a control channel. Pure."""

import ipaddress
import re
import socket
from typing import Final, cast
from urllib.parse import urlsplit, urlunsplit

from voxwire_protocol.errors import ErrorCode, UsageError

__all__ = ["address_of", "is_loopback", "normalise_url"]

_SCHEMES: Final = {"ws": "ws", "http": "ws", "wss": "wss", "https": "wss"}
_PATH: Final = "/v1/session"
_NUMBER: Final = re.compile(r"\d+|0x[\da-f]*", re.ASCII | re.IGNORECASE)


def _bad_url(how: str = "") -> UsageError:
    reason = "the URL must look like ws://127.0.0.1:7860 or wss://host"
    return UsageError(ErrorCode.INVALID_ARGUMENT, f"{reason}, {how}" if how else reason)


def normalise_url(url: str) -> str:
    """The control channel's URL for what a person typed.

    ``http`` becomes ``ws``. A path is where the server is mounted, ``/v1/session`` is added to it
    unless it ends so.

    Raises:
        UsageError: Not a ws, wss, http or https URL.
    """
    given = cast("object", url)
    if not isinstance(given, str):
        raise _bad_url(f"not a {type(given).__name__}")
    if not url.isprintable() or " " in url:
        raise _bad_url("without spaces and control characters")
    try:
        parts = urlsplit(url if "://" in url else f"ws://{url}")
        scheme = _SCHEMES.get(parts.scheme.lower())
        host = (parts.hostname or "").encode("idna")
        url.encode()
        valid = scheme is not None and bool(host) and parts.port != 0
    except ValueError:  # of urlsplit, of the port, of a host that no name server knows
        raise _bad_url() from None
    if scheme is None or not valid:
        raise _bad_url()
    if parts.username is not None:
        raise _bad_url("without a user name: pass token=...")
    path = parts.path.rstrip("/").removesuffix(_PATH) + _PATH
    return urlunsplit((scheme, parts.netloc, path, parts.query, ""))


def is_loopback(url: str) -> bool:
    """True when the URL names this machine, however its host is written."""
    host = (urlsplit(url).hostname or "").removesuffix(".")
    try:
        address = address_of(host)
    except ValueError:
        return False
    if address is None:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def address_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a host is, in any form that a resolver takes: ``127.1``, ``0x7f000001``.

    Args:
        host: Without brackets and the dot at its end.

    Returns:
        The address, IPv4 where IPv6 only wraps it; None = the host is a name.

    Raises:
        ValueError: It is neither, such as ``256.0.0.1``.
    """
    if ":" in host:
        wide = ipaddress.IPv6Address(host)
        return wide.ipv4_mapped or wide
    if not _NUMBER.fullmatch(host.rpartition(".")[2]):
        return None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError as error:
        raise ValueError(host) from error
