"""What was said since a session's last handle: it is resumed as it was when that was made. Pure."""

from typing import Any

__all__ = ["SinceHandle"]


class SinceHandle:
    """Keeps what a resumed session will not know."""

    def __init__(self) -> None:
        """Starts with nothing said."""
        self._said: list[tuple[str, str]] = []
        self._told = False  # on this connection, and the model has not spoken since

    def __bool__(self) -> bool:
        return bool(self._said)

    def note(self, role: str, text: str) -> None:
        """Somebody ("user" or "model") said something, or went on to."""
        if self._said and self._said[-1][0] == role:
            text = self._said.pop()[1] + text
        self._said.append((role, text))

    def told(self) -> None:
        """A session that was resumed was told; the handle that greets it was made before that."""
        self._told = bool(self.turns())

    def spoke(self) -> None:
        """The model speaks: handles from here on know of what it was told."""
        self._told = False

    def known(self) -> None:
        """A new handle knows of everything, unless it may be older than what was told."""
        if not self._told:
            self._said.clear()

    def cut(self, heard: str) -> None:
        """Of what the model said last, this was heard."""
        if self._said and self._said[-1][0] == "model":
            self._said[-1] = ("model", heard)

    def drop_user(self) -> None:
        """The user's words will come again."""
        if self._said and self._said[-1][0] == "user":
            self._said.pop()

    def turns(self) -> list[dict[str, Any]]:
        """As turns of a ``clientContent``."""
        return [
            {"role": role, "parts": [{"text": text.strip()}]}
            for role, text in self._said
            if text.strip()
        ]
