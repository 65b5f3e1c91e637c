"""The two doors of a voice session: WebSocket handshakes of the OpenAI Realtime and the AI SDK dialect.

OpenAI clients read refusals from the HTTP status, so everything is decided before the upgrade is answered
(openai-realtime.md 1.2, 12.4). AI SDK clients lose the body of a refused upgrade, so their handshake is completed first
and the refusal is an error frame and a close code (ai-gateway.md 3.5). Nothing is dialled for a caller that is refused.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from aiohttp import web

from relay import limits
from relay.core.cascade import Cascade
from relay.dialects.ai_gateway import GatewayCaller
from relay.dialects.base import CallerDialect
from relay.dialects.openai_realtime import OpenAICaller, OpenAIModel
from relay.errors import CallerError, CloseReason, Forbidden, ModelError, TooMany, Unauthenticated, UnknownModel
from relay.net.auth import Grant, Offer, credential_of, peer_of
from relay.net.composed import CascadeLeg
from relay.net.house import HOUSE, House
from relay.net.parts import ModelLeg, Sink
from relay.net.planning import plan_of
from relay.net.pump import Call
from relay.net.upstream import SocketLeg, dial
from relay.routing import LOCAL_INPUT, LOCAL_OUTPUT, Route, resolve
from token_service.doors import refusal


@dataclass(frozen=True, slots=True)
class Visit:
    """A caller that may come in."""

    offer: Offer
    grant: Grant
    route: Route


def routes() -> list[web.RouteDef]:
    """Where the doors are."""
    return [
        *(web.get(path, openai_door) for path in ("/v1/realtime", "/realtime", "/openai/v1/realtime")),
        web.get("/v4/ai/realtime-model", gateway_door),
    ]


async def openai_door(request: web.Request) -> web.StreamResponse:
    """`WS /v1/realtime?model=…`: refusals are HTTP statuses with the OpenAI error body."""
    house = request.app[HOUSE]
    if not _asks_for_websocket(request):
        return _upgrade_required("openai")
    if _is_beta(request):
        return await _refuse_beta(request)
    try:
        house.admission.enter()
    except TooMany as error:
        return refusal(error, "openai")
    try:
        visit = await _admit(house, request, request.query.get("model", ""))
    except CallerError as error:
        house.admission.leave()
        return refusal(error, "openai")
    except BaseException:
        house.admission.leave()
        raise
    try:
        socket = await _accept(request, visit.offer.marker)
        await _converse(house, socket, visit, OpenAICaller.name)
        return socket
    finally:
        house.admission.leave()


async def gateway_door(request: web.Request) -> web.StreamResponse:
    """`WS /v4/ai/realtime-model?ai-model-id=…`, minted or relay mode: refusals are error frames."""
    house = request.app[HOUSE]
    if not _asks_for_websocket(request):
        return _upgrade_required("gateway")
    try:
        house.admission.enter()
    except TooMany as error:
        return refusal(error, "gateway")
    try:
        offer = credential_of(request)
        socket = await _accept(request, offer.marker)
        try:
            async with asyncio.timeout(limits.SETUP_DEADLINE_S):
                model = request.query.get("ai-model-id", "") or request.headers.get("ai-model-id", "")
                visit = await _admit(house, request, model)
        except CallerError as error:
            await _say_no(socket, GatewayCaller(), reason_of(error), str(error))
        except TimeoutError:
            await _say_no(socket, GatewayCaller(), CloseReason.INTERNAL, "")
        else:
            await _converse(house, socket, visit, GatewayCaller.name)
        return socket
    finally:
        house.admission.leave()


def reason_of(error: CallerError) -> CloseReason:
    """How a session ends that was refused after its handshake."""
    match error:
        case Unauthenticated():
            return CloseReason.UNAUTHENTICATED
        case Forbidden():
            return CloseReason.ORIGIN_REFUSED if error.code == "origin_refused" else CloseReason.FORBIDDEN
        case UnknownModel():
            return CloseReason.UNKNOWN_MODEL
        case TooMany():
            return CloseReason.FULL
    return CloseReason.MODEL_UNAVAILABLE if error.status == 502 else CloseReason.BAD_SETTINGS


async def _admit(house: House, request: web.Request, model: str) -> Visit:
    offer = credential_of(request)
    origin = request.headers.get("Origin")
    grant = await house.authenticator.admit(offer, "realtime", model, origin, peer_of(request))
    if not grant.model:
        raise UnknownModel("Name a model: it stands in the query, or in the token.", param=None)
    try:
        return Visit(offer, grant, resolve(house.config, grant.model))
    except ModelError as error:
        wrong = CallerError(str(error), code=error.code)
        wrong.status, wrong.type = 502, "server_error"
        raise wrong from None


async def _accept(request: web.Request, marker: str | None) -> web.WebSocketResponse[bool]:
    socket: web.WebSocketResponse[bool] = web.WebSocketResponse(
        protocols=(marker,) if marker else (), compress=False, decode_text=False,
        max_msg_size=limits.MAX_MESSAGE_BYTES, timeout=limits.CLOSE_DEADLINE_S,
    )
    await socket.prepare(request)
    return socket


async def _converse(house: House, socket: web.WebSocketResponse[bool], visit: Visit, dialect_name: str) -> None:
    """Make the call and carry it to its end."""
    route, grant = visit.route, visit.grant
    plan = plan_of(route, grant.session, grant.max_s, caller=dialect_name, judged=house.judge is not None,
                   shelf=house.tools, now=time.time())
    dialect: CallerDialect = (
        GatewayCaller(plan.settings) if dialect_name == GatewayCaller.name
        else OpenAICaller(plan.session_id, passthrough=plan.transparent)
    )
    same = route.target.dialect == dialect_name
    call = Call(socket, dialect, plan, same, house.judge, house.tools, route.agent.tools if route.agent else ())

    async def connect(sink: Sink) -> ModelLeg:
        return await _model_leg(house, route, call, same, sink)

    await house.carry(call, grant, connect)


async def _model_leg(house: House, route: Route, call: Call, same: bool, sink: Sink) -> ModelLeg:
    """Reach the model; raises `ModelError`."""
    plan = call.plan
    if route.target.leg == "cascade":
        cascade = Cascade(plan.session_id, plan.settings, LOCAL_INPUT, LOCAL_OUTPUT)
        return CascadeLeg(cascade, house.engines.session, sink)
    line = await dial(house.pool, route.target)
    return SocketLeg(line, OpenAIModel(passthrough=plan.transparent), sink, same=same,
                     on_full=call.model_full)


async def _say_no(
    socket: web.WebSocketResponse[bool], dialect: CallerDialect, reason: CloseReason, detail: str
) -> None:
    """Refuse after the handshake: last words, then the close code."""
    for frame in dialect.farewell(reason, detail):
        await socket.send_frame(frame, web.WSMsgType.TEXT)
    await socket.close(code=reason.ws_code, message=(detail or reason.text).encode()[:limits.MAX_CLOSE_REASON_BYTES])


def _is_beta(request: web.Request) -> bool:
    """Whether the shape is asked for that OpenAI switched off in May 2026 (openai-realtime.md 1.2)."""
    offered = ",".join(request.headers.getall("Sec-WebSocket-Protocol", ())).replace(" ", "").split(",")
    return request.headers.get("OpenAI-Beta", "").strip() == "realtime=v1" or "openai-beta.realtime-v1" in offered


async def _refuse_beta(request: web.Request) -> web.StreamResponse:
    socket = await _accept(request, credential_of(request).marker)
    await _say_no(socket, OpenAICaller(), CloseReason.BETA_SHAPE, "")
    return socket


def _asks_for_websocket(request: web.Request) -> bool:
    return request.headers.get("Upgrade", "").strip().lower() == "websocket"


def _upgrade_required(protocol: str) -> web.Response:
    error = CallerError("This is a WebSocket endpoint.", code="upgrade_required")
    error.status = 426
    answer = refusal(error, "openai" if protocol == "openai" else "gateway")
    answer.headers["Upgrade"] = "websocket"
    return answer
