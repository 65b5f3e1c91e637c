"""The value types that events and commands are made of: formats, settings, items, usage, faults.

All are frozen and compare by value. Names follow the OpenAI Realtime protocol where it has a name for the
thing; every dialect translates its own words into these. Imports nothing of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Encoding = Literal["pcm16", "mulaw", "alaw"]
"""pcm16 is signed 16-bit little-endian; mulaw and alaw are G.711, one byte a sample. Always mono."""

SUPPORTED_RATES_HZ = (8_000, 16_000, 24_000, 48_000)
"""Sample rates a caller may ask for with pcm16; G.711 is always 8,000."""


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """How the samples of one direction of one leg are laid out."""

    encoding: Encoding = "pcm16"
    rate_hz: int = 24_000

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample."""
        return 2 if self.encoding == "pcm16" else 1

    @property
    def bytes_per_second(self) -> int:
        """Bytes of one second."""
        return self.rate_hz * self.sample_bytes

    def duration_ms(self, size_bytes: int) -> float:
        """Milliseconds that ``size_bytes`` of this format last."""
        return size_bytes * 1000.0 / self.bytes_per_second


PCM24 = AudioFormat("pcm16", 24_000)
PCM16K = AudioFormat("pcm16", 16_000)
MULAW8K = AudioFormat("mulaw", 8_000)
ALAW8K = AudioFormat("alaw", 8_000)


@dataclass(frozen=True, slots=True)
class TurnDetection:
    """When the caller's turn begins and ends. ``None`` in its place means push to talk."""

    type: Literal["server_vad", "semantic_vad"] = "server_vad"
    threshold: float = 0.5
    """Probability of speech, 0 to 1, that counts as speech."""
    prefix_padding_ms: int = 300
    """Audio kept before the detected start."""
    silence_duration_ms: int = 500
    """Silence after which the turn is over."""
    create_response: bool = True
    """Answer at the end of the turn without being asked."""
    interrupt_response: bool = True
    """Cut a running answer when the caller speaks. When false, no cancel is ever sent."""
    idle_timeout_ms: int | None = None
    """After this much silence following an answer, speak first (5,000 to 30,000); server_vad only."""
    eagerness: str = "auto"
    """semantic_vad only."""


@dataclass(frozen=True, slots=True)
class Transcription:
    """How the caller's speech is written down; ``None`` in its place means that no transcript is sent."""

    model: str | None = None
    language: str | None = None
    prompt: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})
    """A JSON Schema of type object."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a session runs with. A change of settings is a mapping from field name to new value."""

    model: str = ""
    instructions: str = ""
    voice: str | None = None
    """None: the model's own default voice."""
    modality: Literal["audio", "text"] = "audio"
    """What answers are made of; audio always comes with its transcript."""
    input_format: AudioFormat = PCM24
    """What the caller sends."""
    output_format: AudioFormat = PCM24
    """What the caller gets."""
    transcription: Transcription | None = None
    turn_detection: TurnDetection | None = field(default_factory=TurnDetection)
    tools: tuple[Tool, ...] = ()
    tool_choice: str | Mapping[str, Any] = "auto"
    max_output_tokens: int | None = None
    """None: no bound of the caller's own."""
    speed: float = 1.0
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Members that the caller's dialect allows and we carry without understanding, by their wire name
    (OpenAI: reasoning, truncation, tracing, prompt, include, noise_reduction, parallel_tool_calls)."""


PartType = Literal["input_text", "input_audio", "input_image", "output_text", "output_audio"]


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a message."""

    type: PartType
    text: str | None = None
    """The words of a text part, the transcript of an audio part; None while not known."""
    audio: bytes | None = None
    """Samples in the session's input format; only on what a caller hands in or retrieves."""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of the conversation. Ids are unique across sessions."""

    id: str
    type: str
    """message, function_call or function_call_output; anything else is carried in ``extra`` untouched."""
    role: str | None = None
    """Of a message: user, assistant or system."""
    status: Literal["in_progress", "completed", "incomplete"] = "completed"
    content: tuple[Part, ...] = ()
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    """JSON text."""
    output: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ResponseOptions:
    """What one request for an answer asks to differ from the session; None means as the session has it."""

    modality: Literal["audio", "text"] | None = None
    instructions: str | None = None
    tools: tuple[Tool, ...] | None = None
    tool_choice: str | Mapping[str, Any] | None = None
    voice: str | None = None
    max_output_tokens: int | None = None
    metadata: Mapping[str, str] | None = None
    out_of_band: bool = False
    """True: the answer does not enter the conversation and may run beside another one."""
    verbatim: str | None = None
    """Words to say as they are, where the model can (a greeting); `instructions` says the same to those that cannot."""
    input: tuple[Item, ...] | None = None
    """Items to answer instead of the conversation; an item of type item_reference names one of it by id."""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a response or transcription cost, in tokens unless said otherwise. Input counts include cached ones."""

    input_text: int = 0
    input_audio: int = 0
    cached_text: int = 0
    cached_audio: int = 0
    output_text: int = 0
    output_audio: int = 0
    seconds: float | None = None
    """Audio billed by duration."""
    input_image: int = 0
    cached_image: int = 0


@dataclass(frozen=True, slots=True)
class Fault:
    """What was wrong, in words that may go to the caller: no secrets, no paths, no stack."""

    type: str
    """invalid_request_error, authentication_error, not_found, rate_limit_exceeded, server_error, ..."""
    code: str
    message: str
    param: str | None = None
    """Dotted path of the offending member."""
    request_id: str | None = None
    """The caller's own id of the frame that caused it."""


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """Where one word lies in synthesized speech."""

    text: str
    """The word with the white space that follows it; concatenated words are the spoken text."""
    start_ms: float
    """From the beginning of the utterance."""
