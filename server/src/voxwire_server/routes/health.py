"""``/livez`` (and ``/healthz``), ``/startupz`` and ``/readyz``, for whoever watches the server."""

from collections.abc import Callable

from fastapi import APIRouter, Response

__all__ = ["health_router"]


def health_router(
    is_ready: Callable[[], bool],
    sessions: Callable[[], int],
    *,
    has_started: Callable[[], bool],
    is_busy: Callable[[], bool],
    turn: Callable[[], str] | None = None,
    needs_turn: bool = False,
) -> APIRouter:
    """Routes for whoever watches the server.

    A server that is too busy for new sessions stays ready: a load balancer that took it out would
    cut its clients off from the sessions that they have, and those that resume would not find them.

    Args:
        is_ready: True while it is warm and does not shut down.
        sessions: Number of sessions.
        has_started: True once it is warm.
        is_busy: True while new sessions are refused for those that there are.
        turn: What is known of the TURN servers: ``ok``, ``degraded``, ``down``, ``unknown``; None =
            there are none. It must not block.
        needs_turn: Without one that gives an allocation it is not ready; otherwise clients go on
            without: over their own UDP, or over WebSocket.
    """
    router = APIRouter()

    @router.get("/livez")
    @router.get("/healthz")
    async def livez() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/startupz")
    async def startupz(response: Response) -> dict[str, bool]:
        started = has_started()
        response.status_code = 200 if started else 503
        return {"started": started}

    @router.get("/readyz")
    async def readyz(response: Response) -> dict[str, object]:
        state = turn() if turn is not None else ""
        ready = is_ready() and not (needs_turn and state not in ("ok", "degraded"))
        response.status_code = 200 if ready else 503
        said: dict[str, object] = {"ready": ready, "busy": is_busy(), "sessions": sessions()}
        return {**said, "turn": state} if state else said

    return router
