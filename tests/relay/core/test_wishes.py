"""What a caller may have; the session's own tests show each wish at work, these the corners."""

from __future__ import annotations

from relay.core.context import Context
from relay.core.plan import Plan
from relay.core.wishes import Wishes
from relay.events import SettingsRequested, Warned
from relay.nouns import PCM16K, AudioFormat, Settings, Tool

ESPEAK = AudioFormat("pcm16", 22_050)


def wishes(**plan: object) -> tuple[Wishes, Context]:
    context = Context(Plan("sess_1", Settings(model="m", instructions="Prompt."), **plan))  # type: ignore[arg-type]
    return Wishes(context), context


def test_model_is_told_its_own_formats_all_tools_and_no_turn_detection_of_ours() -> None:
    asked, _ = wishes(model_input=PCM16K, model_output=ESPEAK, server_tools=(Tool("ours"),))
    told = asked.for_model({"input_format": 1, "output_format": 2, "tools": (Tool("mine"),), "turn_detection": 3})
    assert (told["input_format"], told["output_format"], told["turn_detection"]) == (PCM16K, ESPEAK, None)
    assert [tool.name for tool in told["tools"]] == ["mine", "ours"]


def test_what_was_not_asked_for_is_not_told() -> None:
    assert wishes(model_input=PCM16K)[0].for_model({"speed": 1.2}) == {"speed": 1.2}


def test_prompt_is_shown_only_when_it_is_the_callers_own() -> None:
    assert wishes()[0].visible().instructions == "Prompt."
    assert wishes(pinned=frozenset({"instructions"}))[0].visible().instructions == ""


def test_pin_that_is_repeated_as_it_is_draws_no_warning() -> None:
    asked, context = wishes(pinned=frozenset({"instructions"}))
    assert asked.allowed(SettingsRequested({"instructions": "Prompt."}), voice_is_set=False) == {}
    assert context.early == []


def test_tool_with_the_name_of_one_of_ours_is_left_out_and_named() -> None:
    asked, context = wishes(server_tools=(Tool("find"),))
    changes = asked.allowed(SettingsRequested({"tools": (Tool("find"), Tool("mine"))}), voice_is_set=False)
    assert changes is not None
    assert [tool.name for tool in changes["tools"]] == ["mine"]
    assert [event.code for event in context.early if isinstance(event, Warned)] == ["tool_name_taken"]
