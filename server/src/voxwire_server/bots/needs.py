"""Keys of providers: from the environment, or from a file ``.env`` where the server was started."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from dotenv import load_dotenv

__all__ = ["Needs", "NotConfiguredError", "how_to_set"]


class NotConfiguredError(Exception):
    """A bot cannot start: a package or a key is missing; the message says what to do."""


def how_to_set(names: Sequence[str], file: Path) -> str:
    """What to do about environment variables that are not set.

    Args:
        names: Their names.
        file: The file that is read for them.
    """
    line = " ".join(f"{name}=..." for name in names)
    return f"set it in the environment, or write the line {line} into the file {file.resolve()}"


@dataclass(frozen=True)
class Needs:
    """What a provider needs before it can be asked.

    Attributes:
        who: Who needs it, as messages say: ``the gemini bot``.
        package: Import name of the provider's client.
        extra: The extra of voxwire-server that installs it.
        keys: Environment variables that all have to be set; of one that is written
            ``A|B``, either will do.
        get_key: Where one gets them.
        python: The oldest Python that the package runs on.
    """

    who: str
    package: str
    extra: str
    keys: tuple[str, ...]
    get_key: str
    python: str = "3.11"

    def check(self) -> None:
        """Read ``.env`` into the environment (which wins) and see whether all is there.

        Raises:
            NotConfiguredError: A package or a key is missing.
        """
        if not _installed(self.package):
            newer = f" (on Python {self.python} or newer)" if self.python != "3.11" else ""
            raise NotConfiguredError(
                f"{self.who} needs{newer}: pip install 'voxwire-server[{self.extra}]'"
            )
        load_dotenv(Path(".env"))
        missing = [names for names in self.keys if not self.find(names, os.environ)]
        if missing:
            names = " and ".join(names.partition("|")[0] for names in missing)
            how = how_to_set([names.partition("|")[0] for names in missing], Path(".env"))
            raise NotConfiguredError(f"{self.who} needs {names}: {how}; get one at {self.get_key}")

    @staticmethod
    def find(names: str, environment: Mapping[str, str]) -> str:
        """The value of the first variable of ``A|B`` that is set, else ""."""
        values = (environment.get(name, "").strip() for name in names.split("|"))
        return next((value for value in values if value), "")

    def key(self, names: str) -> str:
        """A key's value from the environment; "" when it is not set."""
        return self.find(names, os.environ)


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # its parent is missing
        return False
