"""The XML that webhooks are answered with. Pure."""

from collections.abc import Mapping
from xml.sax.saxutils import escape, quoteattr

from voxwire_server.phone.vendor import Document

__all__ = ["document", "element", "stream"]


def element(tag: str, *children: str, text: str = "", **attributes: str) -> str:
    """An element, with what is in it; nothing of a text is read as XML."""
    named = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
    inside = escape(text) + "".join(children)
    return f"<{tag}{named}>{inside}</{tag}>" if inside else f"<{tag}{named}/>"


def document(*children: str) -> Document:
    """A ``<Response>``, which all vendors with XML have."""
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    return Document("application/xml", head + element("Response", *children))


def stream(url: str, sent: Mapping[str, str], **attributes: str) -> Document:
    """A document that opens a stream as TwiML and TeXML do, with parameters."""
    named = [element("Parameter", name=name, value=value) for name, value in sent.items()]
    return document(element("Connect", element("Stream", *named, url=url, **attributes)))
