"""Figures that the processes of a service tell their operator, added up."""

import re
from collections.abc import Iterable

import httpx

from tests.support.replicas import Replica

__all__ = ["Figures", "figures"]


class Figures:
    """What processes have told at one moment.

    Args:
        texts: Of each of them, in Prometheus' format.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._text = "\n".join(texts)

    def __getitem__(self, name: str) -> float:
        """A figure of all of them together, over all labels or with those of the name."""
        line = re.compile(rf"^{re.escape(name)}(?:{{.*}})? (\S+)$", re.MULTILINE)
        return sum(float(value) for value in line.findall(self._text))


async def figures(replicas: Iterable[Replica], key: str) -> Figures:
    """Ask processes for theirs.

    Args:
        replicas: The processes, with ``VOXWIRE_ADMIN_KEY``.
        key: What that is.
    """
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}) as operator:
        urls = [it.url.replace("ws://", "http://") + "/metrics" for it in replicas]
        return Figures([(await operator.get(url)).raise_for_status().text for url in urls])
