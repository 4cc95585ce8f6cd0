"""``/healthz`` and ``/readyz``."""

from collections.abc import Callable

from fastapi import APIRouter, Response

__all__ = ["health_router"]


def health_router(is_ready: Callable[[], bool], sessions: Callable[[], int]) -> APIRouter:
    """Routes for whoever watches the server.

    Args:
        is_ready: True while new sessions are taken.
        sessions: Number of sessions.
    """
    router = APIRouter()

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/readyz")
    async def readyz(response: Response) -> dict[str, object]:
        ready = is_ready()
        response.status_code = 200 if ready else 503
        return {"ready": ready, "sessions": sessions()}

    return router
