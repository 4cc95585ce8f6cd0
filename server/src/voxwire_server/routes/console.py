"""``/``: the console, built from ``clients/js/apps/console`` into this package."""

import mimetypes
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

__all__ = ["CONSOLE_FOLDER", "CONTENT_SECURITY_POLICY", "console_routes"]

CONSOLE_FOLDER: Final = Path(__file__).parents[1] / "console"
"""Where the built console is; not there in a checkout until it is built."""

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'self'; script-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; object-src 'none'"
)
"""Everything from this server, no inline script, no inline style, no frame around it."""

_COMMON: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_FOREVER: Final = "public, max-age=31536000, immutable"
_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

_NOT_BUILT: Final = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Voxwire server</title></head>
<body>
<h1>Voxwire server</h1>
<p>The server runs, and so does its API: <code>WS /v1/session</code>,
<a href="healthz">/healthz</a>, <a href="readyz">/readyz</a>.</p>
<p>The console, the page to talk to the bot, is not built. Install Node 20 or newer
(<code>node --version</code> says what there is), then run <code>make build</code> in the
repository and start the server again. The package <code>voxwire-server</code> has it built.</p>
<p>Without it, from a terminal: <code>voxwire talk ws://HOST</code></p>
</body>
</html>
"""


def _cache_control(path: str) -> str:
    """The page names the others and is never kept; what has a hash in its name never changes."""
    if path == "/":
        return "no-store"
    return _FOREVER if path.startswith("/assets/") else "no-cache"


def _files(folder: Path) -> dict[str, Path]:
    """Files by request path; nothing else can be asked for."""
    found = {
        f"/{file.relative_to(folder).as_posix()}": file
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
    page = found.pop("/index.html", None)
    return {"/": page, **found} if page else {}


def _file_answer(path: str, file: Path) -> Callable[[Request], Awaitable[Response]]:
    media_type = _TYPES.get(file.suffix) or mimetypes.guess_type(file.name)[0]
    headers = {**_COMMON, "Cache-Control": _cache_control(path)}

    async def answer(_: Request) -> Response:
        return FileResponse(file, headers=headers, media_type=media_type)

    return answer


async def _not_built(request: Request) -> Response:
    where = request.headers.get("host", "127.0.0.1:7860") + request.scope.get("root_path", "")
    plain = "".join(c for c in where if c.isalnum() or c in ".:-[]/_~")
    headers = {**_COMMON, "Cache-Control": "no-store"}
    return HTMLResponse(_NOT_BUILT.replace("HOST", plain), headers=headers)


def console_routes(folder: Path = CONSOLE_FOLDER) -> list[Route]:
    """One route for each file of the console, or one page that says how to build it.

    Args:
        folder: The built console; may be missing.
    """
    files = _files(folder) if folder.is_dir() else {}
    if not files:
        return [Route("/", _not_built, methods=["GET"])]
    return [Route(path, _file_answer(path, file), methods=["GET"]) for path, file in files.items()]
