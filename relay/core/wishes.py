"""What a caller may have of what it asks for: pins, names of ours, and what the model cannot do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from relay import events as e
from relay.core.context import Context
from relay.nouns import PCM24, Settings, TurnDetection


class Wishes:
    """Settings and response options, as asked for, as shown, and as the model is told."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._plan = context.plan

    def visible(self) -> Settings:
        """The settings as the caller may see them: without the agent's prompt and tools."""
        settings = self._context.settings
        return replace(settings, instructions="") if "instructions" in self._plan.pinned else settings

    def allowed(self, event: e.SettingsRequested, *, voice_is_set: bool) -> dict[str, Any] | None:
        """The changes that may be made, with a warning for each that may not; None: the whole request is refused."""
        context, changes = self._context, dict(event.changes)
        current = context.settings
        asked = changes.get("model")
        if asked is not None and asked != current.model and not current.model.endswith(f"/{asked}"):
            text = "The model of a session cannot be changed."
            context.fail("invalid_value", text, "session.model", event.request_id)
            return None
        changes.pop("model", None)
        for name in ("input_format", "output_format"):
            form = changes.get(name)
            given = self._plan.model_input if name == "input_format" else self._plan.model_output
            if given is None and form is not None and form.encoding == "pcm16" and form != PCM24:
                text = "This model takes PCM at 24,000 Hz or G.711."
                context.fail("invalid_value", text, f"session.audio.{name.split('_')[0]}.format.rate", event.request_id)
                return None
        for name in sorted(self._plan.pinned & changes.keys()):
            if changes.pop(name) != getattr(current, name):
                context.warn("setting_pinned", f"{name} is set by the agent and stays as it is.", name)
        if voice_is_set and changes.get("voice", current.voice) != current.voice:
            text = "The voice cannot be changed after the first audio of the session."
            context.fail("cannot_update_voice", text, "session.audio.output.voice", event.request_id)
            return None
        self._warn_of_unsupported(changes)
        if "extra" in changes:
            merged = {**current.extra, **changes["extra"]}
            changes["extra"] = {name: value for name, value in merged.items() if value is not None}
        return changes

    def _warn_of_unsupported(self, changes: dict[str, Any]) -> None:
        """Name what this model cannot honour; what can be replaced by something near is replaced."""
        context, voices = self._context, self._plan.model_voices
        voice = changes.get("voice")
        if voice is not None and voices and voice not in voices:
            context.warn("voice_unknown", f"There is no voice {voice[:64]!r} here; the default is used.", "voice")
            changes["voice"] = None
        detection = changes.get("turn_detection")
        if self._plan.relay_turns and isinstance(detection, TurnDetection) and detection.type != "server_vad":
            context.warn("unsupported_setting", "semantic_vad is not available; server_vad is used.", "turn_detection")
            changes["turn_detection"] = replace(detection, type="server_vad")
        clash = {tool.name for tool in self._plan.server_tools} & {tool.name for tool in changes.get("tools", ())}
        if clash:
            text = f"Tools of the agent have the names {sorted(clash)}; yours are left out."
            context.warn("tool_name_taken", text, "tools")
            changes["tools"] = tuple(tool for tool in changes["tools"] if tool.name not in clash)
        if not self._plan.composed:
            return
        for name in sorted(changes.get("extra", {})):
            if changes["extra"][name] not in (None, "auto"):
                context.warn("unsupported_setting", f"{name[:64]} has no effect with this model.", name[:64])
        transcription = changes.get("transcription")
        if transcription is not None and transcription.model and "sphinx" not in transcription.model:
            text = "Transcripts are made by the model's own transcriber."
            context.warn("unsupported_setting", text, "transcription.model")

    def for_model(self, changes: dict[str, Any]) -> dict[str, Any]:
        """What the model is told: its own formats, all tools, and no turn detection where that is ours."""
        plan, told = self._plan, dict(changes)
        if plan.relay_turns and "turn_detection" in told:
            told["turn_detection"] = None
        if plan.model_input is not None and "input_format" in told:
            told["input_format"] = plan.model_input
        if plan.model_output is not None and "output_format" in told:
            told["output_format"] = plan.model_output
        if "tools" in told:
            told["tools"] = (*told["tools"], *plan.server_tools)
        return told

    def permitted(self, event: e.ResponseRequested) -> e.ResponseRequested:
        """The request without what the agent pins, and with the agent's tools."""
        options, plan = event.options, self._plan
        changes: dict[str, Any] = {}
        for name in sorted(plan.pinned):
            if getattr(options, name, None) is not None:
                changes[name] = None
                self._context.warn("setting_pinned", f"{name} is set by the agent and stays as it is.", name)
        if plan.server_tools and options.tools is not None:
            ours = {tool.name for tool in plan.server_tools}
            changes["tools"] = (*(tool for tool in options.tools if tool.name not in ours), *plan.server_tools)
        return replace(event, options=replace(options, **changes), raw=None) if changes else event
