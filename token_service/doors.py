"""The HTTP routes of the token service.

    POST   /v1/realtime/client-secrets    AI SDK (ai-gateway.md 2.3); API key
    POST   /v1/realtime/client_secrets    OpenAI (openai-realtime.md 2.1); API key
    POST   /v1/realtime/setup             useRealtime({api: {token: URL}}) (ai-gateway.md 2.12); configured origins
    DELETE /v1/realtime/tokens/{jti}      revoke one; API key
    GET    /.well-known/jwks.json         public keys (RFC 7517)

Errors have the body that both protocols read, `{"error": {message, type, param, code}}` (ai-gateway.md 2.2,
openai-realtime.md 12.4); they differ in the types they know. Bodies, tokens and keys are never logged.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, cast
from urllib.parse import quote_plus, urlsplit

import orjson
from aiohttp import web

from relay import limits
from relay.errors import CallerError, Forbidden, TooMany, Unauthenticated, UnknownModel
from token_service import policy, tokens
from token_service.policy import Identity
from token_service.service import TokenService, Wish
from token_service.tokens import Surface

Protocol = Literal["gateway", "openai"]
Door = Callable[[web.Request], Awaitable[web.Response]]

JSON = "application/json"
OPENAI_DEFAULT_S = 600
"""What a mint without `expires_after` asks for (openai-realtime.md 2.1); clamped like any other wish."""


def routes(service: TokenService) -> list[web.RouteDef]:
    """The routes of this service, to be added to an application."""
    doors = Doors(service)
    return [
        web.post("/v1/realtime/client-secrets", guarded(doors.mint_gateway, "gateway")),
        web.post("/v1/realtime/client_secrets", guarded(doors.mint_openai, "openai")),
        web.post("/v1/realtime/setup", doors.setup),
        web.options("/v1/realtime/setup", doors.preflight),
        web.delete("/v1/realtime/tokens/{jti}", guarded(doors.revoke, "openai")),
        web.get("/.well-known/jwks.json", doors.jwks),
    ]


class Doors:
    """One method a route."""

    def __init__(self, service: TokenService) -> None:
        self.service = service

    async def mint_gateway(self, request: web.Request) -> web.Response:
        """{model, routeKind?, expiresIn?} -> {token, expiresAt, id}; `expiresAt` in Unix seconds.

        Of our own, and optional: `session` (settings to start with), `maxSeconds`, `origins`, `metadata`, `singleUse`.
        """
        identity = self._identity(request)
        body = await _json_object(request, {})
        minted = await asyncio.to_thread(self.service.mint, _gateway_wish(body), identity)
        return _answer({"token": minted.token, "expiresAt": minted.expires_at, "id": minted.jti})

    async def mint_openai(self, request: web.Request) -> web.Response:
        """{expires_after?, session?} -> {value, expires_at, session}; no body at all is fine too."""
        identity = self._identity(request)
        wish = _openai_wish(await _json_object(request, {}), single_use=self.service.config.tokens.openai_single_use)
        model = self.service.resolve(wish.model) if wish.model else ""
        described = self.service.describe_session(wish.session, model)
        minted = await asyncio.to_thread(self.service.mint, wish, identity)
        kind = described.get("type", "realtime")
        session = {
            **described,
            "type": kind,
            "object": "realtime.transcription_session" if kind == "transcription" else "realtime.session",
            "id": described.get("id") or "sess_" + minted.jti.removeprefix("tok_"),
        }
        return _answer({"value": minted.token, "expires_at": minted.expires_at, "session": session})

    async def setup(self, request: web.Request) -> web.Response:
        """{"sessionConfig"?: …} -> {token, url, expiresAt}, for pages of configured origins and the playground.

        `?model=` chooses on the playground; everybody else gets `tokens.setup_model`. `sessionConfig` stays with the
        page, whose hook sends it as its first frame. The token opens one session, from this origin only.
        """
        headers = self._cors(request)
        try:
            minted_url = await self._set_up(request)
        except CallerError as error:
            return refusal(error, "gateway", headers)
        return _answer(minted_url, headers)

    async def preflight(self, request: web.Request) -> web.Response:
        """CORS: what a page of another origin asks before it posts."""
        headers = self._cors(request)
        if "Access-Control-Allow-Origin" not in headers:
            return refusal(_origin_refused(), "gateway", headers)
        allow = {"Access-Control-Allow-Methods": "POST", "Access-Control-Allow-Headers": "content-type",
                 "Access-Control-Max-Age": "600"}
        return web.Response(status=204, headers={**headers, **allow})

    async def revoke(self, request: web.Request) -> web.Response:
        """-> {id, revoked: true}, whether or not such a token was ever used; its session ends within a second."""
        self._identity(request)
        jti = request.match_info["jti"]
        if not re.fullmatch(r"tok_[0-9a-f]{32}", jti):
            raise CallerError("This is not the id of a token.", code="invalid_value", param="jti")
        await asyncio.to_thread(self.service.revoke, jti)
        return _answer({"id": jti, "revoked": True})

    async def jwks(self, _request: web.Request) -> web.Response:
        """The public keys that verify tokens at this moment."""
        keys = self.service.keys.jwks(self.service.clock())
        return _answer(keys, {"Cache-Control": "no-cache"})

    def _identity(self, request: web.Request) -> Identity:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        identity = self.service.api_keys.check(key.strip(), peer_of(request)) if scheme.lower() == "bearer" else None
        if identity is None:
            raise Unauthenticated("The API key is missing or wrong.")
        return identity

    async def _set_up(self, request: web.Request) -> dict[str, Any]:
        service, origin = self.service, request.headers.get("Origin")
        if origin is None or not service.origins.may_set_up(origin, request.host, peer_of(request)):
            raise _origin_refused()
        wait_s = service.rate.wait_s(request.remote or "", service.clock())
        if wait_s:
            raise TooMany("Too many tokens for this address; try again later.", retry_after_s=wait_s)
        await _json_object(request, {})
        named, only = request.query.get("model", ""), service.config.tokens.setup_model
        if not service.origins.is_playground(origin, request.host, peer_of(request)):
            if only is None:
                raise Forbidden("The relay has no tokens.setup_model; only its own playground may choose a model.")
            if named and service.resolve(named) != service.resolve(only):
                raise Forbidden("This origin gets tokens for another model only.")
        model = named or only
        if not model:
            raise CallerError("Name a model: ?model=…", code="missing_required_parameter", param="model")
        minted = await asyncio.to_thread(service.mint, Wish(model, origins=(origin,)), policy.SETUP)
        return {"token": minted.token, "url": self._socket_url(request, model), "expiresAt": minted.expires_at}

    def _socket_url(self, request: web.Request, model: str) -> str:
        base = self.service.config.server.public_url or f"{request.scheme}://{request.host}"
        parts = urlsplit(base)
        scheme = "wss" if parts.scheme in ("https", "wss") else "ws"
        path = parts.path.rstrip("/") + "/v4/ai/realtime-model"
        return f"{scheme}://{parts.netloc}{path}?ai-model-id={quote_plus(model)}"

    def _cors(self, request: web.Request) -> dict[str, str]:
        origin = request.headers.get("Origin")
        if origin and self.service.origins.may_set_up(origin, request.host, peer_of(request)):
            return {"Vary": "Origin", "Access-Control-Allow-Origin": origin,
                    "Access-Control-Expose-Headers": "retry-after"}
        return {"Vary": "Origin"}


_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")


def peer_of(request: web.Request) -> str:
    """The address at the other end; "" when a proxy forwards, so that nobody passes for a loopback peer through one."""
    return "" if any(name in request.headers for name in _FORWARDED) else request.remote or ""


def _origin_refused() -> Forbidden:
    return Forbidden("This origin may not fetch tokens here; see tokens.setup_origins.", code="origin_refused")


def guarded(door: Door, protocol: Protocol) -> Door:
    """A door whose refusals are answered in the shape of its protocol."""

    async def answer(request: web.Request) -> web.Response:
        try:
            return await door(request)
        except CallerError as error:
            return refusal(error, protocol)

    return answer


def error_body(error: CallerError, protocol: Protocol) -> dict[str, Any]:
    """What a refusal says, in the words of a protocol."""
    kind, param = error.type, cast(Any, error.param)
    if protocol == "openai" and kind in ("authentication_error", "forbidden", "model_not_found"):
        kind = "invalid_request_error"  # OpenAI tells these apart by status and code
    elif isinstance(error, UnknownModel) and error.param:
        param = {"modelId": error.param}
    return {"error": {"message": str(error), "type": kind, "param": param, "code": error.code}}


def refusal(error: CallerError, protocol: Protocol, headers: Mapping[str, str] | None = None) -> web.Response:
    """A refusal as an HTTP response."""
    wait = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s else {}
    body = orjson.dumps(error_body(error, protocol))
    return web.Response(status=error.status, body=body, content_type=JSON, headers={**(headers or {}), **wait})


def _answer(body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> web.Response:
    no_store = {"Cache-Control": "no-store"}  # RFC 6749 section 5.1: responses with tokens are not to be cached
    return web.Response(body=orjson.dumps(body), content_type=JSON, headers={**no_store, **(headers or {})})


async def _json_object(request: web.Request, default: dict[str, Any]) -> dict[str, Any]:
    """The body; `default` when there is none.

    Raises:
        CallerError: 400, 408 or 413.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(limits.HANDSHAKE_DEADLINE_S):
            async for chunk in request.content.iter_chunked(16 * 1024):
                body += chunk
                if len(body) > limits.MAX_MINT_BODY_BYTES:
                    raise _status(413, f"The body is larger than {limits.MAX_MINT_BODY_BYTES} bytes.", "too_large")
    except TimeoutError:
        raise _status(408, "The body did not arrive in time.", "timeout") from None
    if not body.strip():
        return default
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise CallerError("The body is not JSON.", code="invalid_json") from None
    if not isinstance(value, dict) or not _is_shallow(value, limits.MAX_JSON_DEPTH):
        raise CallerError("The body is not a JSON object, or nests too deeply.", code="invalid_json")
    return value


def _status(status: int, message: str, code: str) -> CallerError:
    error = CallerError(message, code=code)
    error.status = status
    return error


def _is_shallow(value: Any, depth: int) -> bool:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth > 0 and all(_is_shallow(child, depth - 1) for child in children)


def _gateway_wish(body: dict[str, Any]) -> Wish:
    model, life_s = body.get("model"), body.get("expiresIn")
    if not isinstance(model, str) or not model.strip():
        raise CallerError("model: a non-empty string is required.", code="missing_required_parameter", param="model")
    kind = body.get("routeKind", "realtime")
    if kind not in tokens.SURFACES:
        raise CallerError("routeKind: speech or transcription, or absent for realtime.", param="routeKind")
    session, origins, metadata = body.get("session", {}), body.get("origins", []), body.get("metadata", {})
    max_s, single_use = body.get("maxSeconds"), body.get("singleUse", True)
    for name, right in {
        "expiresIn": life_s is None or _is_positive(life_s),
        "maxSeconds": max_s is None or _is_positive(max_s),
        "session": isinstance(session, dict),
        "origins": isinstance(origins, list) and all(isinstance(each, str) for each in origins),
        "metadata": isinstance(metadata, dict) and all(isinstance(each, str) for each in metadata.values()),
        "singleUse": isinstance(single_use, bool),
    }.items():
        if not right:
            raise CallerError(f"{name}: wrong type or value.", code="invalid_value", param=name)
    return Wish(model, cast(Surface, kind), life_s, session, max_s, tuple(origins), metadata, single_use)


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0 and math.isfinite(value)


def _openai_wish(body: dict[str, Any], *, single_use: bool) -> Wish:
    for name in body:
        if name not in ("expires_after", "session"):
            raise CallerError(f"Unknown parameter: '{name[:64]}'.", code="unknown_parameter", param=name[:64])
    session = body.get("session")
    if session is not None and not isinstance(session, dict):
        raise CallerError("session: an object is required.", code="invalid_type", param="session")
    kind = "realtime" if session is None else session.get("type")
    if kind is None:
        raise CallerError(
            "Missing required parameter: 'session.type'.", code="missing_required_parameter", param="session.type"
        )
    if kind not in ("realtime", "transcription"):
        raise CallerError("session.type: realtime or transcription.", code="invalid_value", param="session.type")
    path = ("model",) if kind == "realtime" else ("audio", "input", "transcription", "model")
    model = _member(session, *path)
    if not isinstance(model, str | None):
        name = ".".join(("session", *path))
        raise CallerError(f"{name}: a string is required.", code="invalid_type", param=name)
    return Wish(
        model=model or "",
        surface=cast(Surface, kind),
        life_s=_openai_life_s(body.get("expires_after")),
        session=session or {},
        single_use=single_use,
        prefix=tokens.OPENAI_PREFIX,
    )


def _openai_life_s(expires_after: Any) -> float:
    if expires_after is None:
        return OPENAI_DEFAULT_S
    if not isinstance(expires_after, dict):
        raise CallerError("expires_after: an object is required.", code="invalid_type", param="expires_after")
    if "anchor" not in expires_after:
        name = "expires_after.anchor"
        raise CallerError(f"Missing required parameter: '{name}'.", code="missing_required_parameter", param=name)
    if expires_after["anchor"] != "created_at":
        raise CallerError("expires_after.anchor: created_at.", code="invalid_value", param="expires_after.anchor")
    seconds = expires_after.get("seconds", OPENAI_DEFAULT_S)
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not 10 <= seconds <= 7200:
        raise CallerError(
            "expires_after.seconds: an integer from 10 to 7200.", code="invalid_value", param="expires_after.seconds"
        )
    return seconds


def _member(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value
