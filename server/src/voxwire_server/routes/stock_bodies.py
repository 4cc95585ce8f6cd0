"""The bodies that stock clients send, as far as they are JSON."""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["MAX_BODY_BYTES", "Body", "Candidate", "CandidatesBody", "OfferBody", "StartBody"]

MAX_BODY_BYTES: Final = 16_384


class Body(BaseModel):
    """One of them: it holds nothing else."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class StartBody(Body):
    """Of ``POST /start``."""

    transport: str = "webrtc"
    enableDefaultIceServers: bool = False
    createDailyRoom: bool = False
    body: Any = None


class OfferBody(Body):
    """Of ``POST .../api/offer``."""

    sdp: Annotated[str, Field(max_length=MAX_BODY_BYTES)]
    type: Literal["offer"]
    pc_id: Annotated[str, Field(max_length=128)] | None = None
    restart_pc: bool | None = None
    request_data: Any = None
    requestData: Any = None


class Candidate(Body):
    """One ICE candidate."""

    candidate: Annotated[str, Field(max_length=512)]
    sdp_mid: Annotated[str, Field(max_length=64)] | None = None
    sdp_mline_index: Annotated[int, Field(ge=0, le=64)] | None = None


class CandidatesBody(Body):
    """Of ``PATCH .../api/offer``."""

    pc_id: Annotated[str, Field(max_length=128)]
    candidates: Annotated[list[Candidate], Field(max_length=16)] = []
