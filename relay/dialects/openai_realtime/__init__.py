"""OpenAI Realtime, GA shape, over WebSocket: the server's side (`caller`) and the client's side (`model`).

`wire` opens a frame and says what is wrong with one; `shapes` and `items` translate between the objects of the
protocol and our nouns; `caller` and `model` translate frames and events. Every frame is one JSON object in a text
frame; audio is standard base64 inside. Facts are from the OpenAI API description 2.3.0 and the `openai` client 3.51,
summed up in `protocols/openai-realtime.md`; the sections named in this package are that document's.

Where we differ on purpose:

* `audio/pcm` may have any rate of `nouns.SUPPORTED_RATES_HZ` on the caller's leg (OpenAI: 24,000 only).
* A warning travels as a `rate_limits.updated` event that names no limit and has one more member,
  `relay_warning: {code, message, param}`. The protocol has no warning, and of all events only one that every client
  knows and ignores disturbs nobody: an `error` event is raised by `dispatch_events` of openai-python and, without a
  listener, is an unhandled rejection (the end of the process) in openai-node; an event of a new type is reported as
  an error of the session by openai-agents for Python, which validates against the closed list of types.
* Sessions of type `transcription` are refused for now.
"""

from __future__ import annotations

from relay.dialects.openai_realtime.caller import OpenAICaller
from relay.dialects.openai_realtime.model import OpenAIModel

__all__ = ["OpenAICaller", "OpenAIModel"]
