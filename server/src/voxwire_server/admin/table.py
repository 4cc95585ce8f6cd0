"""``voxwire-server sessions``: what an operator sees in a terminal."""

import http.client
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlsplit

__all__ = ["AdminApi", "AdminError", "show", "table"]

_TIMEOUT_S: Final = 5.0
_PAUSE_S: Final = 1.0
_COLUMNS: Final = (
    ("id", "session", 34),
    ("state", "state", 9),
    ("bot", "bot", 14),
    ("user", "user", 14),
    ("age_s", "age", 8),
    ("heard_s", "heard", 8),
    ("turns", "turns", 6),
    ("last_turn_ms", "last turn", 10),
)
_UNITS: Final = {"age_s": " s", "heard_s": " s", "last_turn_ms": " ms"}
_CLEAR: Final = "\x1b[H\x1b[2J"


class AdminError(Exception):
    """The server gave no answer, or another one than wanted; the text says what to do."""


class AdminApi:
    """The operator's routes of one server.

    Args:
        url: ``http://127.0.0.1:7860``.
        key: ``VOXWIRE_ADMIN_KEY``.

    Raises:
        AdminError: The URL is none.
    """

    def __init__(self, url: str, key: str) -> None:
        try:
            self._parts = urlsplit(url)
        except ValueError as error:
            raise AdminError(f"{url} is no URL") from error
        self._key = key.strip()
        self.url = url

    def sessions(self) -> list[dict[str, Any]]:
        """The sessions that there are.

        Raises:
            AdminError: They cannot be had.
        """
        try:
            return json.loads(self._ask("GET", "/v1/sessions"))["sessions"]
        except (ValueError, KeyError, TypeError) as error:
            raise AdminError(f"{self.url} is no Voxwire server") from error

    def end(self, session_id: str, reason: str) -> None:
        """End one.

        Raises:
            AdminError: It cannot be.
        """
        body = json.dumps({"reason": reason})
        self._ask("DELETE", f"/v1/sessions/{quote(session_id, safe='')}", body)

    def _ask(self, method: str, path: str, body: str | None = None) -> bytes:
        secure = self._parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        headers = {"Authorization": f"Bearer {self._key}"}
        try:
            connection = kind(self._parts.netloc, timeout=_TIMEOUT_S)
            connection.request(method, self._parts.path.rstrip("/") + path, body, headers)
            answer = connection.getresponse()
            said = answer.read()
            connection.close()
        except (OSError, http.client.HTTPException) as error:
            raise AdminError(f"{self.url} does not answer: {error}") from error
        except ValueError as error:  # a key that no header may hold, a URL that is none
            raise AdminError("the URL or VOXWIRE_ADMIN_KEY cannot be used") from error
        match answer.status:
            case 200 | 204:
                return said
            case 401:
                raise AdminError(
                    "the key is another one: set VOXWIRE_ADMIN_KEY as the server has it"
                )
            case 404 if method == "DELETE":
                raise AdminError("there is no such session")
            case 404 | 405:
                raise AdminError(
                    f"{self.url} has no operator's routes: set VOXWIRE_ADMIN_KEY there"
                )
            case status:
                raise AdminError(f"{self.url} answered {status}")


def table(sessions: Sequence[Mapping[str, Any]]) -> str:
    """Lines of text, a session each, the oldest first."""
    head = "".join(f"{title:<{width}}" for _, title, width in _COLUMNS)
    lines = [head.rstrip()]
    for session in sorted(sessions, key=lambda each: -float(each["age_s"])):
        cells = (_cell(session, name, width) for name, _, width in _COLUMNS)
        lines.append("".join(cells).rstrip())
    number = len(sessions)
    lines.append(f"{number} session{'' if number == 1 else 's'}")
    return "\n".join(lines)


def _cell(session: Mapping[str, Any], name: str, width: int) -> str:
    value = session.get(name)
    text = "–" if value in (None, "") else f"{value}{_UNITS.get(name, '')}"
    plain = "".join(char if char.isprintable() else "?" for char in text)
    return f"{plain[: width - 1]:<{width}}"


def show(
    api: AdminApi,
    *,
    once: bool,
    as_json: bool,
    pause: Callable[[float], object] = time.sleep,
) -> None:
    """Print the sessions: once, or anew every second until Ctrl-C.

    Raises:
        AdminError: They cannot be had.
    """
    live = not once and sys.stdout.isatty()
    while True:
        sessions = api.sessions()
        text = json.dumps({"sessions": sessions}) if as_json else table(sessions)
        print((_CLEAR if live else "") + text, flush=True)
        if once:
            return
        pause(_PAUSE_S)
