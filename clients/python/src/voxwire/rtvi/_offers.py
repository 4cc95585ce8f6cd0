"""SmallWebRTC's signaling: offers and candidates as requests to a bot's runner."""

import logging
import re
from collections.abc import Mapping
from typing import Any, Final

from voxwire.rtvi._http import NothingListensError, ask
from voxwire_protocol.errors import ErrorCode, ProtocolError, SessionError, VoxwireError

__all__ = ["Offers", "is_other_connection"]

_log = logging.getLogger("voxwire")

MAX_ID_CHARS: Final = 256

CANDIDATE_MS: Final = 5000
"""How long telling a candidate may take."""


_NAMED: Final = re.compile(r"(\w+#\d+)-[0-9a-f]{32}")
"""A ``pc_id`` of pipecat 1.14: the connection's name, and what is new whenever it is restarted."""


class Offers:
    """The offers of one session; each one after the first takes the place of the one before."""

    def __init__(
        self, url: str, *, name: str, headers: Mapping[str, str], request_data: Any
    ) -> None:
        """Prepares.

        Args:
            url: Where offers go.
            name: What the runner calls the session; empty = it is named by its first answer.
            headers: Of every request.
            request_data: What the bot finds as its body; None = nothing.
        """
        self.name = name
        self._url = url
        self._headers = headers
        self._request_data = request_data
        self._pc_id = ""

    async def make(self, sdp: str, *, timeout_ms: int) -> str:
        """Offers a connection; the SDP of the answer. Cancel-safe.

        Raises:
            VoxwireError: Nothing answers in time, it refuses, or answers with something else;
                SESSION_EXPIRED: an offer after the first meets no bot, or another one.
        """
        body: dict[str, Any] = {"sdp": sdp, "type": "offer"}
        if self._pc_id:
            body |= {"pc_id": self._pc_id, "restart_pc": True}
        if self._request_data is not None:
            body["request_data"] = self._request_data  # not requestData: /api/offer loses that
        try:
            answer = await ask(
                "POST", self._url, body, headers=self._headers, timeout_ms=timeout_ms
            )
        except NothingListensError as error:
            if not self._pc_id:
                raise
            raise SessionError(
                ErrorCode.SESSION_EXPIRED, "the bot's process is gone, and its sessions with it"
            ) from error
        given, pc_id = answer.get("sdp"), answer.get("pc_id")
        is_answer = answer.get("type") == "answer" and isinstance(given, str)
        if not is_answer or not isinstance(pc_id, str) or not 0 < len(pc_id) <= MAX_ID_CHARS:
            raise ProtocolError(ErrorCode.MALFORMED, "the bot did not answer the offer with one")
        if is_other_connection(self._pc_id, pc_id):
            # A runner that does not know the connection answers all the same, with a new bot.
            raise SessionError(ErrorCode.SESSION_EXPIRED, "another bot answered in its place")
        self._pc_id = pc_id
        self.name = self.name or pc_id
        return str(given)

    async def add(self, candidate: str) -> None:
        """Tells a candidate of the newest offer; a bot that refuses it does without."""
        told = {"candidate": candidate, "sdp_mid": "0", "sdp_mline_index": 0}
        body = {"pc_id": self._pc_id, "candidates": [told]}
        try:
            await ask("PATCH", self._url, body, headers=self._headers, timeout_ms=CANDIDATE_MS)
        except VoxwireError as error:
            _log.info("the bot took no candidate: %s", error)


def is_other_connection(before: str, after: str) -> bool:
    """Whether two ``pc_id`` that pipecat made are of two connections; others do not tell."""
    names = [_NAMED.fullmatch(pc_id) for pc_id in (before, after)]
    return all(names) and len({match[1] for match in names if match}) == 2
