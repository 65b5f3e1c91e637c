"""The client's side of one OpenAI Realtime conversation, without a socket or a screen.

`take` is given every frame of the server and says what to send back; what there is to show is left in `lines`, and in
`hearing` and `saying` while it is still growing. Facts: OpenAI Realtime (GA), WebSocket; sections "Server events",
"Barge-in" and "Function calling" of its guide. On a WebSocket the client owns playback, so it is the client that cuts
an interrupted answer and tells the server how much of it was heard.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from relay.cli.sound import RATE_HZ, Playback

Frame = dict[str, Any]
Kind = Literal["you", "agent", "tool", "note", "error"]

MAX_CUT_ITEMS = 64
"""Interrupted items whose late audio is recognized and dropped."""
MAX_LINES = 1_000
"""Lines that may wait to be shown."""


@dataclass(frozen=True, slots=True)
class Line:
    """Something to show, once."""

    kind: Kind
    text: str
    aside: str = ""
    """Shown behind it, in grey."""


def opening(text: str | None) -> list[Frame]:
    """What to send when the session exists: settings, and the first words if they are typed."""
    pcm = {"type": "audio/pcm", "rate": RATE_HZ}
    audio = {"input": {"format": pcm, "transcription": {}}, "output": {"format": pcm}}
    frames: list[Frame] = [{"type": "session.update", "session": {"type": "realtime", "audio": audio}}]
    if text is not None:
        content = [{"type": "input_text", "text": text}]
        frames.append(
            {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": content}}
        )
        frames.append({"type": "response.create"})
    return frames


class Conversation:
    """What is being said, who is waited for, and what was cut.

    Args:
        playback: takes the audio of answers.
        said_at: the time, on the clock of `now`, at which the given millisecond of our audio was sent; None when it
            was not sent yet.
    """

    def __init__(self, playback: Playback, said_at: Callable[[float], float | None]) -> None:
        self.lines: deque[Line] = deque(maxlen=MAX_LINES)
        self.hearing = ""
        self.saying = ""
        self.answers = 0
        """Responses that gave audio or text."""
        self.failed = False
        self._playback = playback
        self._said_at = said_at
        self._silence_ms = 0.0
        self._interrupts = True
        self._answers_turns = True
        self._speaking = False
        self._owed = 0
        self._active: dict[str, bool] = {}  # bounded: one response at a time, more only out of band
        self._item: str | None = None
        self._cut: deque[str] = deque(maxlen=MAX_CUT_ITEMS)
        self._stopped: tuple[float, float] | None = None

    @property
    def busy(self) -> bool:
        """Whether somebody speaks, or an answer is owed, on its way or still being heard."""
        return self._speaking or self._owed > 0 or bool(self._active) or self._playback.queued_ms > 0

    def expect_answer(self) -> None:
        """An answer was asked for by us."""
        self._owed += 1

    def take(self, event: Mapping[str, Any], now: float) -> list[Frame]:
        """One frame of the server, at `now` seconds. Returns frames to send. Unknown ones are ignored."""
        handle = self._TAKES.get(str(event.get("type")))
        return (handle(self, event, now) if handle else None) or []

    def _session(self, event: Mapping[str, Any], now: float) -> None:
        audio = _part(_part(event, "session"), "audio")
        turns = _part(_part(audio, "input"), "turn_detection")
        self._silence_ms = _number(turns.get("silence_duration_ms"))
        self._interrupts = bool(turns.get("interrupt_response", True))
        self._answers_turns = bool(turns.get("create_response", True))

    def _speech_started(self, event: Mapping[str, Any], now: float) -> list[Frame]:
        self._speaking = True
        self._stopped = None
        if not self._interrupts:
            return []
        if self._item is not None:
            self._cut.append(self._item)
        heard = self._playback.flush()
        if heard is None:
            return []
        self._end_saying(f"cut after {heard.played_ms / 1000:.1f} s")
        return [
            {"type": "conversation.item.truncate", "item_id": heard.item_id, "content_index": 0,
             "audio_end_ms": heard.played_ms}
        ]

    def _speech_stopped(self, event: Mapping[str, Any], now: float) -> None:
        self._speaking = False
        end_ms = _number(event.get("audio_end_ms")) - self._silence_ms
        said_at = self._said_at(end_ms)
        self._stopped = (now if said_at is None else said_at, now)

    def _committed(self, event: Mapping[str, Any], now: float) -> None:
        self._owed += 1 if self._answers_turns else 0

    def _heard_delta(self, event: Mapping[str, Any], now: float) -> None:
        self.hearing += str(event.get("delta") or "")

    def _heard(self, event: Mapping[str, Any], now: float) -> None:
        self.hearing = ""
        self.lines.append(Line("you", str(event.get("transcript") or "").strip() or "(no words)"))

    def _not_heard(self, event: Mapping[str, Any], now: float) -> None:
        self.hearing = ""
        self.lines.append(Line("note", f"not understood: {_part(event, 'error').get('message')}"))

    def _response_created(self, event: Mapping[str, Any], now: float) -> None:
        self._active[str(_part(event, "response").get("id"))] = False
        self._owed = max(0, self._owed - 1)

    def _audio(self, event: Mapping[str, Any], now: float) -> None:
        item_id = str(event.get("item_id"))
        if item_id in self._cut:
            return
        try:
            pcm = base64.b64decode(str(event.get("delta")), validate=True)
        except (binascii.Error, ValueError):
            self.lines.append(Line("error", "the server sent audio that is not base64"))
            return
        self._item = item_id
        self._begin_answer(event, now)
        self._playback.push(item_id, pcm)

    def _words(self, event: Mapping[str, Any], now: float) -> None:
        if str(event.get("item_id")) not in self._cut:
            self.saying += str(event.get("delta") or "")
            if event.get("type") == "response.output_text.delta":
                self._begin_answer(event, now)

    def _begin_answer(self, event: Mapping[str, Any], now: float) -> None:
        response_id = str(event.get("response_id"))
        if self._active.get(response_id):
            return
        self._active[response_id] = True
        self.answers += 1
        if self._stopped is not None:
            ended, noticed = self._stopped
            self._stopped = None
            after = f"{now - ended:.2f} s after the last word"
            self.lines.append(Line("note", f"answered {after}", f"{now - noticed:.2f} s after the turn was found over"))

    def _end_saying(self, aside: str = "") -> None:
        if self.saying.strip():
            self.lines.append(Line("agent", self.saying.strip(), aside))
        self.saying = ""

    def _words_done(self, event: Mapping[str, Any], now: float) -> None:
        if str(event.get("item_id")) not in self._cut:
            self._end_saying()

    def _tool_called(self, event: Mapping[str, Any], now: float) -> None:
        self.lines.append(Line("tool", f"{event.get('name')}({event.get('arguments')})"))

    def _item_done(self, event: Mapping[str, Any], now: float) -> None:
        item = _part(event, "item")
        if item.get("type") == "function_call_output":
            self.lines.append(Line("tool", f"→ {item.get('output')}"))

    def _response_done(self, event: Mapping[str, Any], now: float) -> None:
        response = _part(event, "response")
        spoke = self._active.pop(str(response.get("id")), False)
        self._item = None
        status, details = response.get("status"), _part(response, "status_details")
        self._end_saying("cut" if status == "cancelled" else "")
        output = response.get("output")
        if status == "completed" and isinstance(output, list):
            # A call is followed by another answer, once its result is there; so is a call that we are not shown.
            calls = any(isinstance(item, dict) and item.get("type") == "function_call" for item in output)
            self._owed += calls or not spoke
        elif status == "failed":
            self.failed = True
            self.lines.append(Line("error", f"the answer failed: {_part(details, 'error').get('message') or details}"))
        elif status == "incomplete":
            self.lines.append(Line("note", f"the answer is incomplete: {details.get('reason')}"))

    def _error(self, event: Mapping[str, Any], now: float) -> None:
        error = _part(event, "error")
        self.lines.append(Line("error", str(error.get("message") or error.get("code") or "unknown error")))

    _TAKES: ClassVar[Mapping[str, Callable[[Conversation, Mapping[str, Any], float], list[Frame] | None]]] = {
        "session.created": _session,
        "session.updated": _session,
        "input_audio_buffer.speech_started": _speech_started,
        "input_audio_buffer.speech_stopped": _speech_stopped,
        "input_audio_buffer.committed": _committed,
        "conversation.item.input_audio_transcription.delta": _heard_delta,
        "conversation.item.input_audio_transcription.completed": _heard,
        "conversation.item.input_audio_transcription.failed": _not_heard,
        "conversation.item.done": _item_done,
        "response.created": _response_created,
        "response.output_audio.delta": _audio,
        "response.output_audio_transcript.delta": _words,
        "response.output_audio_transcript.done": _words_done,
        "response.output_text.delta": _words,
        "response.output_text.done": _words_done,
        "response.function_call_arguments.done": _tool_called,
        "response.done": _response_done,
        "error": _error,
    }


def parse(text: str) -> Frame:
    """A frame of the server; anything that is no JSON object is an empty one."""
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return frame if isinstance(frame, dict) else {}


def _part(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The object below `name`; an empty one when it is something else."""
    part = value.get(name)
    return part if isinstance(part, dict) else {}


def _number(value: Any) -> float:
    """A number as it is; 0 for anything else."""
    return float(value) if isinstance(value, int | float) else 0.0
