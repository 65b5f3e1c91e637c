"""HOT PATH: one live session at the rim. What the core asks for is carried out here, without awaiting.

A frame of the caller: `caller_said` → `dialect.decode` → `session.handle` → commands → the model leg's `send`.
A frame of the model: the leg → `happened` → `session.handle` → commands → `dialect.encode` → the caller's outbox.
Nothing on either way awaits; tools, judge, dialling and closing run beside it and come back as events.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiohttp import web

from relay import commands, limits
from relay.core.session import Plan, Session
from relay.core.turns import State
from relay.dialects.base import Binary, CallerDialect
from relay.errors import CloseReason, ModelError
from relay.events import (
    AudioAppended,
    AudioProduced,
    Event,
    LegClosed,
    LegOpened,
    Rejected,
    SessionOpened,
    SettingsApplied,
)
from relay.net.alarm import Alarm
from relay.net.caller import CallerLeg
from relay.net.parts import ModelLeg, Sink, SpeechJudge, Tools
from relay.net.tasks import place, spawn
from relay.net.turnstile import Turnstile
from relay.net.wire import BINARY, TEXT
from relay.nouns import Settings

log = logging.getLogger("relay.call")

class Call:
    """One caller, one session, one model leg; must be made inside the running loop.

    Args:
        socket: the caller's, after the handshake.
        dialect: what the caller speaks.
        plan: the session's.
        same_dialect: the model speaks the caller's dialect: audio passes as the bytes it came in.
        judge: None: the gate alone decides what is speech.
        tools: runs server tools.
        agent_tools: the names under which `tools` knows those of this call's agent.
    """

    def __init__(
        self, socket: web.WebSocketResponse[bool], dialect: CallerDialect, plan: Plan, same_dialect: bool,
        judge: SpeechJudge | None, tools: Tools | None, agent_tools: Sequence[str] = (),
    ) -> None:
        loop = asyncio.get_running_loop()
        self.plan = plan
        self.reason: CloseReason | None = None
        """Why the call ended; None while it lives."""
        self._clock = loop.time
        self._session = Session(plan)
        self._dialect, self._decode, self._encode = dialect, dialect.decode, dialect.encode
        self._same = same_dialect
        self._caller = CallerLeg(socket, self._caller_full)
        self.outbox = self._caller.outbox
        self._judge, self._tools, self._agent_tools = judge, tools, agent_tools
        self._leg: ModelLeg | None = None
        self._pace = self._caller.pace
        self._out_bytes_per_ms = plan.settings.output_format.bytes_per_second / 1000
        self._retiring = False
        self._deadline: float | None = None
        self._running: dict[str, asyncio.Task[None]] = {}  # bounded by limits.MAX_PENDING_TOOLS in the session
        self._turnstile: Turnstile[Event | None] = Turnstile(self._step)
        self._alarm = Alarm(lambda: self.happened(None))
        self._dialling: asyncio.Task[None] | None = None
        self._farewell: asyncio.Task[None] | None = None
        self._ticker: asyncio.TimerHandle | None = None
        self._do: dict[type[commands.Command], Callable[[Any], None]] = {
            commands.ToCaller: self._to_caller,
            commands.ToModel: self._to_model,
            commands.FlushCaller: self._flush_caller,
            commands.Judge: self._ask_judge,
            commands.RunTool: self._run_tool,
            commands.StopTool: self._stop_tool,
            commands.Close: lambda command: self.end(command.reason, command.detail),
        }

    # --- life

    async def run(self, connect: Callable[[Sink], Awaitable[ModelLeg]]) -> None:
        """Carry the conversation until it ends; everything of it is released on return.

        Args:
            connect: opens the model's leg; raises `ModelError`. Runs while the caller is already being read.
        """
        try:
            self._begin(connect)
            self.happened(LegClosed("caller", await self._caller.read(self.caller_said)))
        finally:
            self.end(CloseReason.CALLER_LEFT)
            if self._farewell is not None:
                await asyncio.wait([self._farewell])
            if self._ticker is not None:
                self._ticker.cancel()

    def _begin(self, connect: Callable[[Sink], Awaitable[ModelLeg]]) -> None:
        if self._judge is not None:
            self._judge.open(self.plan.session_id, self.happened)
        self._tick()
        for command in self._session.start(self._clock()):
            self._do[type(command)](command)
        if self.reason is None:
            self._dialling = spawn(self._dial(connect), name="dial")
            self._deadline = self._session.deadline()
            self._alarm.set(self._deadline)

    def end(self, reason: CloseReason, detail: str = "") -> None:
        """End the call now, once: last words, release of all that is not the caller's socket, then the close frame."""
        if self.reason is not None:
            return
        self.reason = reason
        for frame in self._dialect.farewell(reason, detail):
            self.outbox.send(frame)
        self._alarm.set(None)
        if self._dialling is not None:
            self._dialling.cancel()
        if self._leg is not None:
            self._leg.close()
        if self._judge is not None:
            self._judge.close(self.plan.session_id)
        for task in self._running.values():
            task.cancel()
        self._farewell = spawn(self._caller.hang_up(reason, detail), name="farewell")
        log.info("call ended", extra={"session": self.plan.session_id, "reason": reason.code})

    def abort(self) -> None:
        """End the call without a word to anybody."""
        self.end(CloseReason.GOING_AWAY)
        self._caller.abort()

    @property
    def is_busy(self) -> bool:
        """Whether a turn is in progress: somebody speaks, is answered, or an answer is still being heard."""
        return self._session.floor.turns.state is not State.LISTENING or bool(self._running)

    def retire(self) -> None:
        """End the call as soon as no turn is in progress: the relay is being restarted."""
        self._retiring = True
        if not self.is_busy:
            self.end(CloseReason.GOING_AWAY)

    async def _dial(self, connect: Callable[[Sink], Awaitable[ModelLeg]]) -> None:
        try:
            leg = await connect(self.happened)
        except ModelError as error:
            self.happened(LegClosed("model", 1006, str(error)))
            return
        except Exception as error:
            self._failed(error)
            return
        self._leg = leg
        self.happened(LegOpened("model"))
        if self.reason is None:
            leg.start()

    # --- events

    def caller_said(self, frame: bytes, binary: bool) -> float:
        """A frame of the caller. Returns for how many seconds it should not be read from."""
        if self.reason is not None:
            return 0.0
        now, pace = self._clock(), self._pace
        stall_s = pace.message(now)
        if stall_s and pace.is_too_fast(now):
            self.end(CloseReason.TOO_FAST)
            return 0.0
        try:
            for event in self._decode(frame, binary=binary):
                kind = type(event)
                if kind is AudioAppended:
                    pace.audio(event.audio)  # type: ignore[attr-defined]
                elif kind is Rejected and pace.is_too_bad(now):
                    self.end(CloseReason.BAD_FRAME)
                    return 0.0
                self._turnstile.add(event)
        except Exception as error:
            self._failed(error)
        return stall_s

    def happened(self, event: Event | None) -> None:
        """Something happened, on either leg or in the world; None: the session's deadline has come. A fault of ours
        ends this call and no other."""
        if self.reason is not None:
            return
        try:
            self._turnstile.add(event)
        except Exception as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        log.error("call failed", extra={"session": self.plan.session_id, "error": type(error).__name__,
                                        "place": place(error)})
        self.end(CloseReason.INTERNAL)

    def _step(self, event: Event | None) -> None:
        session, do, now = self._session, self._do, self._clock()
        for command in session.wake(now) if event is None else session.handle(event, now):
            do[type(command)](command)
        if self.reason is None:
            if (deadline := session.deadline()) != self._deadline:
                self._deadline = deadline
                self._alarm.set(deadline)
            if self._retiring:
                self.retire()

    def _tick(self) -> None:
        """Look after both legs every limits.TICK_S."""
        now = self._clock()
        reason = self._caller.look(now)
        if reason is not None:
            self.end(reason)
        if reason is CloseReason.CALLER_STALLED:
            self._caller.abort()  # also when the call has ended: nobody takes its farewell
        elif self._leg is not None and self.reason is None:
            self._leg.look(now)
        self._ticker = asyncio.get_running_loop().call_later(limits.TICK_S, self._tick)

    # --- commands

    def _to_caller(self, command: commands.ToCaller) -> None:
        event = command.event
        if type(event) is AudioProduced:
            audio = event.audio
            size = len(audio) * 0.75 if type(audio) is str else len(audio)
            audio_ms = size / self._out_bytes_per_ms
            if self._same and event.raw is not None:
                self.outbox.send(event.raw, audio_ms=audio_ms, response_id=event.response_id)
                return
            for frame in self._encode(event):
                self.outbox.send(frame, opcode=BINARY if type(frame) is Binary else TEXT, audio_ms=audio_ms,
                                 response_id=event.response_id)
            return
        if type(event) is SettingsApplied or type(event) is SessionOpened:
            self._set_formats(event.settings)
        for frame in self._encode(event):
            self.outbox.send(frame, opcode=BINARY if type(frame) is Binary else TEXT)

    def _to_model(self, command: commands.ToModel) -> None:
        if self._leg is not None:
            self._leg.send(command.event)

    def _flush_caller(self, command: commands.FlushCaller) -> None:
        self.outbox.flush(command.response_id)

    def _ask_judge(self, command: commands.Judge) -> None:
        if self._judge is not None:
            self._judge.submit(self.plan.session_id, command.first_window, command.windows, command.fresh)

    def _run_tool(self, command: commands.RunTool) -> None:
        if self._tools is None:
            return
        task = self._tools.run(command.call_id, command.name, command.arguments, self.happened, self._agent_tools)
        self._running[command.call_id] = task
        task.add_done_callback(lambda _: self._running.pop(command.call_id, None))

    def _stop_tool(self, command: commands.StopTool) -> None:
        if task := self._running.get(command.call_id):
            task.cancel()

    def _set_formats(self, settings: Settings) -> None:
        self._out_bytes_per_ms = settings.output_format.bytes_per_second / 1000
        self._pace.listen_to(settings.input_format)
        if self._leg is not None:
            self._leg.audio_format = self.plan.model_input or settings.input_format

    def model_full(self, full: bool) -> None:
        """The model does not keep up with the caller (or does again): the caller is not read meanwhile."""
        self._caller.hold(full)

    def _caller_full(self, full: bool) -> None:
        if self._leg is not None:
            self._leg.pause(full)
