"""``app.openapi()``: what every HTTP route of the API takes, and everything that it answers.

The document is for programs that embed the application and for tests; no route serves it. The files
of the console are not in it, nor are preflights of pages (``OPTIONS``).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel

from voxwire_server.admin.routes import EndBody
from voxwire_server.routes.refusals import SESSION_PATH
from voxwire_server.routes.stock_bodies import CandidatesBody, OfferBody, StartBody
from voxwire_server.routes.tokens import TokenRequest

__all__ = ["document", "methods_of"]

Schema = dict[str, Any]

_REASONS: Final = {
    400: "The body is not what this server can do.",
    401: "No token or key, or one that is not good here.",
    403: "The gate or the token lets nobody do this.",
    404: "There is no such session or connection.",
    408: "The body did not come in time.",
    409: "The session or the connection is in another state.",
    413: "The body is too long.",
    415: "The body is of another type.",
    422: "The body is not as described.",
    429: "Too many, or no room; come back later.",
    501: "The server was installed without it.",
    503: "The server is shutting down, or has no relay.",
}
_TEXT: Final[Schema] = {"type": "string"}
_WHOLE: Final[Schema] = {"type": "integer"}
_NUMBER: Final[Schema] = {"type": "number"}
_FLAG: Final[Schema] = {"type": "boolean"}
_BODY_REFUSALS: Final = (408, 413, 415, 422)
_BOT: Final[Schema] = {"name": "bot", "in": "query", "required": False, "schema": _TEXT}


def _list_of(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _object(members: Mapping[str, Schema], **maybe: Schema) -> Schema:
    """A JSON object with those members, perhaps `maybe`, and no others."""
    return {
        "type": "object",
        "properties": {**members, **maybe},
        "required": list(members),
        "additionalProperties": False,
    }


_REFUSED: Final = _object({"code": _TEXT, "reason": _TEXT}, detail=_TEXT)
_ICE: Final = _object(
    {"iceServers": _list_of(_object({"urls": _list_of(_TEXT)}, username=_TEXT, credential=_TEXT))}
)
_SESSION: Final[dict[str, Schema]] = {
    "id": _TEXT,
    "state": {"enum": ["attached", "parked", "ending"]},
    "bot": _TEXT,
    "user": _TEXT,
    "client": _TEXT,
    "began": _NUMBER,
    "age_s": _NUMBER,
    "heard_s": _NUMBER,
    "turns": _WHOLE,
    "spent": {"type": "object", "additionalProperties": _WHOLE},
    "last_turn_ms": {"type": ["integer", "null"]},
}
_STAGES: Final[Schema] = {"type": "object", "additionalProperties": _WHOLE}


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _refusals(*statuses: int) -> Schema:
    """Answers to requests that are turned away; the gate's is among them."""
    answers: Schema = {}
    for status in sorted({403, *statuses}):
        answers[str(status)] = {"description": _REASONS[status], "content": _json(_REFUSED)}
    if "401" in answers:
        challenge = {"required": True, "schema": {"const": "Bearer"}}
        answers["401"]["headers"] = {"WWW-Authenticate": challenge}
    if "429" in answers:
        later = {"required": True, "schema": {"type": "string", "pattern": "^[0-9]+$"}}
        answers["429"]["headers"] = {"Retry-After": later}
    return answers


def _operation(
    summary: str,
    says: Schema | None,
    *refuses: int,
    takes: Schema | None = None,
    may_be_empty: bool = False,
    by: str = "",
    query: tuple[Schema, ...] = (),
) -> Schema:
    """One operation.

    Args:
        summary: What it is for.
        says: Schema of the JSON of a 200; None = a 204 without a body.
        refuses: Statuses besides the gate's 403.
        takes: What it takes, by media type.
        may_be_empty: The body may be missing.
        by: The security scheme; empty = whoever passes the gate.
        query: Its query parameters.
    """
    good = "204" if says is None else "200"
    answer: Schema = {"description": "Done."}
    if says is not None:
        answer["content"] = _json(says)
    done: Schema = {"summary": summary, "responses": {good: answer, **_refusals(*refuses)}}
    if takes is not None:
        done["requestBody"] = {"required": not may_be_empty, "content": takes}
    if by:
        done["security"] = [{by: []}]
    if query:
        done["parameters"] = list(query)
    return done


def _of(model: type[BaseModel]) -> Schema:
    """The schema of a body, as the server checks it."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    return _json(schema)


def _definitions() -> Schema:
    found: Schema = {}
    for model in (TokenRequest, EndBody, StartBody, OfferBody, CandidatesBody):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        found |= schema.get("$defs", {})
    return found


def _health() -> Schema:
    alive = _operation("Whether the process lives.", _object({"status": {"const": "ok"}}))
    started = _operation("Whether it is warm.", _object({"started": _FLAG}))
    turn: Schema = {"enum": ["ok", "degraded", "down", "unknown"]}
    state = _object({"ready": _FLAG, "busy": _FLAG, "sessions": _WHOLE}, turn=turn)
    ready = _operation("Whether clients should be sent here.", state)
    for operation, what in ((started, "Not yet."), (ready, "Not now.")):
        answers = operation["responses"]
        answers["503"] = {**answers["200"], "description": what}
    return {
        "/livez": {"get": alive},
        "/healthz": {"get": alive},
        "/startupz": {"get": started},
        "/readyz": {"get": ready},
    }


def _operators() -> Schema:
    tokens = _operation(
        "A token for one user.",
        _object({"token": _TEXT, "expires_at": _WHOLE}, url=_TEXT),
        *(401, 429, *_BODY_REFUSALS),
        takes=_of(TokenRequest),
        by="key",
    )
    listed = _operation(
        "The sessions of this process.",
        _object({"sessions": _list_of(_object(_SESSION)), "waiting": _WHOLE}),
        *(401,),
        by="admin",
    )
    detail = _object({**_SESSION, "last_turns": _list_of(_STAGES)})
    one = _operation("One session.", detail, 401, 404, by="admin")
    end = _operation(
        "End a session.",
        None,
        *(401, 404, 422),
        takes=_of(EndBody),
        may_be_empty=True,
        by="admin",
    )
    metrics = _operation("Figures for Prometheus.", _TEXT, 401, by="admin")
    metrics["responses"]["200"]["content"] = {"text/plain": {"schema": _TEXT}}
    return {
        "/v1/tokens": {"post": tokens},
        "/v1/sessions": {"get": listed},
        "/v1/sessions/{id}": {"get": one, "delete": end},
        "/metrics": {"get": metrics},
    }


def _pages() -> Schema:
    told = _object({"protocol": _TEXT, "bots": _list_of(_TEXT)})
    check = _operation("Whether a page gets its control channel.", told)
    return {SESSION_PATH: {"get": check, "post": check}}


def _stock() -> Schema:
    state = _object({"status": {"const": "ready"}, "transports": _list_of(_TEXT)})
    page = _object({"sessionId": _TEXT}, iceConfig=_ICE, fileUploadUrl=_TEXT)
    room = {"sessionId": _TEXT, "dailyRoom": _TEXT, "dailyToken": _TEXT}
    start = _operation(
        "Promise a session to a stock client.",
        {"oneOf": [page, _object({"wsUrl": _TEXT}), _object(room, fileUploadUrl=_TEXT)]},
        *(400, 401, 429, 501, 503, *_BODY_REFUSALS),
        takes=_of(StartBody),
        may_be_empty=True,
        by="token",
        query=(_BOT,),
    )
    return {
        "/status": {"get": _operation("What is served.", state)},
        "/start": {"post": start},
        "/api/offer": _offer(by="token", query=(_BOT,)),
        "/sessions/{start}/api/offer": _offer(404),
        "/files": {"post": _file(by="token", query=(_BOT,))},
        "/sessions/{start}/files": {"post": _file(404)},
    }


def _offer(*refuses: int, **who: Any) -> Schema:
    answer = _object({"sdp": _TEXT, "type": {"const": "answer"}, "pc_id": _TEXT})
    return {
        "post": _operation(
            "Answer an offer of WebRTC.",
            answer,
            *(400, 401, 409, 429, 501, 503, *_BODY_REFUSALS, *refuses),
            takes=_of(OfferBody),
            **who,
        ),
        "patch": _operation(
            "Take candidates of a connection.",
            _object({"status": {"const": "success"}}),
            *(400, 401, 404, *_BODY_REFUSALS),
            takes=_of(CandidatesBody),
            **who,
        ),
    }


def _file(*refuses: int, **who: Any) -> Schema:
    source = _object({"type": {"const": "url"}, "url": _TEXT})
    part = _object({"file": {"type": "string", "format": "binary"}})
    return _operation(
        "Take a file for a session.",
        _object({"name": _TEXT, "source": source, "format": _TEXT}),
        *(400, 401, 429, *_BODY_REFUSALS, *refuses),
        takes={"multipart/form-data": {"schema": part}},
        **who,
    )


def methods_of(routes: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """Method and path of every HTTP route, those of included routers too."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:  # FastAPI keeps included routers as they are
            yield from methods_of(inner.routes)
        else:
            for method in sorted(getattr(route, "methods", None) or ()):
                yield method, route.path


def document(routes: Iterable[Any], *, version: str) -> Schema:
    """The OpenAPI document of those routes.

    Args:
        routes: The application's; what is not among them is left out.
        version: Of the server.
    """
    there = set(methods_of(routes))
    paths: Schema = {}
    for path, ways in {**_health(), **_operators(), **_pages(), **_stock()}.items():
        served = {method: way for method, way in ways.items() if (method.upper(), path) in there}
        names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
        if served and names:
            served["parameters"] = [
                {"name": name, "in": "path", "required": True, "schema": _TEXT} for name in names
            ]
        if served:
            paths[path] = served
    bearers = {
        "token": "A session token: JWT, used once.",
        "key": "VOXWIRE_KEY.",
        "admin": "VOXWIRE_ADMIN_KEY.",
    }
    schemes = {
        name: {"type": "http", "scheme": "bearer", "description": description}
        for name, description in bearers.items()
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "voxwire-server", "version": version},
        "paths": paths,
        "components": {"schemas": _definitions(), "securitySchemes": schemes},
    }
