"""What a program does before it serves: where it logs to, and what people are told."""

import shlex
from collections.abc import Sequence

from voxwire_server.config import Settings
from voxwire_server.hangups import has_terminal, on_hangup
from voxwire_server.log_file import LogFile
from voxwire_server.logs import configure_logging
from voxwire_server.proxies import PublicUrl, is_unix

__all__ = ["how_to_talk", "log_as", "stays", "where"]


def log_as(settings: Settings) -> None:
    """Log as the settings say. From now on SIGHUP does not end a program that reads files anew, nor
    one without a terminal.

    Raises:
        OSError: The log file cannot be written.
    """
    if stays(settings):
        on_hangup(lambda: None)
    if not settings.log_file:
        configure_logging(settings.log_level, settings.log_format)
        return
    size, count = settings.log_file_max_bytes, settings.log_file_count
    file = LogFile(settings.log_file, max_bytes=size, count=count)
    file.reopen_on_hangup()
    configure_logging(settings.log_level, settings.log_format, file)


def stays(settings: Settings) -> bool:
    """Whether SIGHUP ends no server with these settings."""
    return settings.has_files or not has_terminal()


def where(settings: Settings, port: int) -> str:
    """URL of a server that listens: the public one, or ``ws://HOST:PORT``, an IPv6 address in
    brackets, or ``unix:PATH``.
    """
    if settings.public_url:
        return PublicUrl.parse(settings.public_url).websocket
    if is_unix(settings.host):
        return settings.host
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"ws://{host}:{port}"


def how_to_talk(settings: Settings, port: int, names: Sequence[str]) -> str:
    """One line for people: how to talk to a server that listens."""
    choice = f" --bot {shlex.quote(names[0])}" if len(names) > 1 else ""
    return f'Talk to it: voxwire talk {where(settings, port)}{choice} --text "hello"'
