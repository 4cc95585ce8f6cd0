"""``/livez`` (and ``/healthz``), ``/startupz`` and ``/readyz``, for whoever watches the server."""

from collections.abc import Callable

from fastapi import APIRouter, Response

__all__ = ["health_router"]


def health_router(
    is_ready: Callable[[], bool], sessions: Callable[[], int], *, has_started: Callable[[], bool]
) -> APIRouter:
    """Routes for whoever watches the server.

    Args:
        is_ready: True while new sessions are taken.
        sessions: Number of sessions.
        has_started: True once it is warm.
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
        ready = is_ready()
        response.status_code = 200 if ready else 503
        return {"ready": ready, "sessions": sessions()}

    return router
