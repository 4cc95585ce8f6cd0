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
) -> APIRouter:
    """Routes for whoever watches the server.

    Args:
        is_ready: True while new sessions are taken.
        sessions: Number of sessions.
        has_started: True once it is warm.
        is_busy: True while new sessions are refused for those that there are.
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
        busy = is_busy()
        ready = is_ready() and not busy
        response.status_code = 200 if ready else 503
        return {"ready": ready, "busy": busy, "sessions": sessions()}

    return router
