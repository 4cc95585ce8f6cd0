"""SmallWebRTC's signaling: offers and candidates as requests to a bot's runner."""

import logging
from collections.abc import Mapping
from typing import Any, Final

from voxwire.rtvi._http import ask
from voxwire_protocol.errors import ErrorCode, ProtocolError, VoxwireError

__all__ = ["Offers"]

_log = logging.getLogger("voxwire")

MAX_ID_CHARS: Final = 256

CANDIDATE_MS: Final = 5000
"""How long telling a candidate may take."""


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
            VoxwireError: Nothing answers in time, it refuses, or answers with something else.
        """
        body: dict[str, Any] = {"sdp": sdp, "type": "offer"}
        if self._pc_id:
            body |= {"pc_id": self._pc_id, "restart_pc": True}
        if self._request_data is not None:
            body["request_data"] = self._request_data  # not requestData: /api/offer loses that
        answer = await ask("POST", self._url, body, headers=self._headers, timeout_ms=timeout_ms)
        given, pc_id = answer.get("sdp"), answer.get("pc_id")
        is_answer = answer.get("type") == "answer" and isinstance(given, str)
        if not is_answer or not isinstance(pc_id, str) or not 0 < len(pc_id) <= MAX_ID_CHARS:
            raise ProtocolError(ErrorCode.MALFORMED, "the bot did not answer the offer with one")
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
