"""Plain HTTP: health, catalogues, the playground's files, and errors in the shapes that their readers know."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from relay import __version__
from relay.dialects.ai_gateway import model_entry
from relay.errors import CallerError, Unauthenticated
from relay.net.house import HOUSE
from relay.net.tasks import place, running
from relay.routing import LOCAL_MODEL, catalogue
from token_service.doors import Protocol, peer_of, refusal
from token_service.policy import is_loopback

log = logging.getLogger("relay.http")

WEB = Path(__file__).resolve().parent.parent / "web"

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self' ws: wss:; worker-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
"""Of the playground's files: they load nothing from elsewhere, nobody frames them, only they may use the microphone."""

TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

Door = Callable[[web.Request], Awaitable[web.StreamResponse]]


def routes() -> list[web.RouteDef]:
    """Everything that is neither a session nor a token."""
    return [
        web.get("/", page),
        web.get("/static/{name}", page),
        web.get("/healthz", healthz),
        web.get("/readyz", readyz),
        web.get("/v1/models", models),
        web.get("/v4/ai/config", gateway_config),
        web.get("/v1/playground/config", playground_config),
    ]


async def page(request: web.Request) -> web.StreamResponse:
    """A file of the playground; `/` is its page."""
    name = request.match_info.get("name", "index.html")
    kind = TYPES.get(Path(name).suffix)
    path = WEB / name
    if kind is None or path.parent != WEB or not path.is_file():
        raise web.HTTPNotFound
    return web.Response(body=path.read_bytes(), content_type=kind, charset="utf-8", headers=HEADERS)


async def healthz(request: web.Request) -> web.Response:
    """The process lives; with the counts that would show a leak."""
    return _json({"status": "ok", "version": __version__, "sessions": len(request.app[HOUSE].calls),
                  "tasks": len(running())})


async def readyz(request: web.Request) -> web.Response:
    """Whether new callers are welcome: 503 from the moment a restart is announced."""
    draining = request.app[HOUSE].admission.draining
    return _json({"status": "draining" if draining else "ready"}, 503 if draining else 200)


async def models(request: web.Request) -> web.Response:
    """The catalogue in the shape of `GET /v1/models` of OpenAI; `created` is this relay's start, in Unix seconds."""
    house = request.app[HOUSE]
    _check_key(request)
    return _json({"object": "list", "data": [
        {"id": offer.id, "object": "model", "created": house.started_at, "owned_by": offer.owner}
        for offer in catalogue(house.config)]})


async def gateway_config(request: web.Request) -> web.Response:
    """The catalogue of AI SDK gateway clients (ai-gateway.md 2.7), which know no chat models by voice."""
    _check_key(request)
    return _json({"models": [
        model_entry(offer.id, offer.kind, offer.name, offer.description)
        for offer in catalogue(request.app[HOUSE].config) if offer.kind != "chat"]})


def _check_key(request: web.Request) -> None:
    """A key that is given must be good; none need be given on a relay that only this machine reaches.

    Raises:
        Unauthenticated: there is no good key.
    """
    house = request.app[HOUSE]
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if not scheme and is_loopback(house.config.server.host) and is_loopback(peer_of(request)):
        return
    keys = house.authenticator.service.api_keys
    if scheme.lower() != "bearer" or keys.check(key.strip(), peer_of(request)) is None:
        raise Unauthenticated("The API key is missing or wrong.")


async def playground_config(request: web.Request) -> web.Response:
    """What the playground's menu offers. No CORS: pages of other origins cannot read it."""
    offers = [{"id": offer.id, "name": offer.name, "kind": offer.kind, "description": offer.description}
              for offer in catalogue(request.app[HOUSE].config)]
    agents = [offer for offer in offers if offer["id"].startswith("agent/")]
    return _json({"models": [offer for offer in offers if offer not in agents], "agents": agents,
                  "default": agents[0]["id"] if agents else LOCAL_MODEL, "relayVersion": __version__})


@web.middleware
async def shaped_errors(request: web.Request, handler: Door) -> web.StreamResponse:
    """Every error of `/v4/ai/` and `/v1/` has the JSON body that its clients read; a fault of ours shows no detail."""
    try:
        return await handler(request)
    except CallerError as error:
        return refusal(error, family_of(request.path))
    except web.HTTPException as error:
        if error.status < 400 or not request.path.startswith(("/v1/", "/v4/ai/")):
            raise
        answer = refusal(_as_caller_error(error), family_of(request.path))
        if "Allow" in error.headers:
            answer.headers["Allow"] = error.headers["Allow"]
        return answer
    except Exception as error:
        if isinstance(error, ConnectionError) and (request.transport is None or request.transport.is_closing()):
            return web.Response(status=499)  # hung up while it was being let in: nobody reads this, and nobody failed
        log.error("request failed", extra={"route": _route_of(request), "error": type(error).__name__,
                                           "place": place(error)})
        failure = CallerError("The relay failed.", code="internal_server_error")
        failure.status, failure.type = 500, "internal_server_error"
        return refusal(failure, family_of(request.path))


def family_of(path: str) -> Protocol:
    """Whose words an error at this path is in. AI SDK clients also own the origin-relative mint path."""
    return "gateway" if path.startswith("/v4/ai/") or path == "/v1/realtime/client-secrets" else "openai"


def _as_caller_error(error: web.HTTPException) -> CallerError:
    kinds = {401: "authentication_error", 403: "forbidden", 404: "not_found", 429: "rate_limit_exceeded"}
    made = CallerError(error.reason, code=error.reason.lower().replace(" ", "_"))
    made.status = error.status
    made.type = kinds.get(error.status, "invalid_request_error")
    return made


def _route_of(request: web.Request) -> str:
    """The pattern that matched, which unlike the URL holds nothing a caller wrote."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else ""


def _json(body: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")


