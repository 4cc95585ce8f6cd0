"""The XML that webhooks are answered with. Pure."""

from typing import Final
from urllib.parse import urlsplit
from xml.sax.saxutils import escape, quoteattr

from voxwire_server.phone.vendor import Document

__all__ = ["as_signed", "document", "element"]

_PORTS: Final = {"https": 443, "wss": 443, "http": 80, "ws": 80}


def element(tag: str, *children: str, text: str = "", **attributes: str) -> str:
    """An element, with what is in it; nothing of a text is read as XML."""
    named = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
    inside = escape(text) + "".join(children)
    return f"<{tag}{named}>{inside}</{tag}>" if inside else f"<{tag}{named}/>"


def document(*children: str) -> Document:
    """A ``<Response>``, which all vendors with XML have."""
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    return Document("application/xml", head + element("Response", *children))


def as_signed(url: str) -> tuple[str, str]:
    """A URL without its port and with it: vendors sign one or the other (twilio-python #392)."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    port = parts.port or _PORTS.get(parts.scheme, 0)
    return (
        parts._replace(netloc=host).geturl(),
        parts._replace(netloc=f"{host}:{port}").geturl(),
    )
