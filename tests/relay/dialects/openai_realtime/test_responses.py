import pytest
from openai.types.realtime import RealtimeResponse

from relay.dialects.openai_realtime.responses import options_from, options_seen, options_wish, response_object
from relay.dialects.openai_realtime.wire import Invalid
from relay.events import ResponseFinished, ResponseStarted
from relay.nouns import MULAW8K, PCM24, Fault, Item, Part, ResponseOptions, Settings, Tool, Usage

OPTIONS = ResponseOptions(
    modality="text",
    instructions="Say hello.",
    tools=(Tool("f", "d"),),
    tool_choice="none",
    voice="cedar",
    max_output_tokens=50,
    metadata={"k": "v"},
    out_of_band=True,
    input=(Item("i", "item_reference"), Item("", "message", "user", content=(Part("input_text", "x"),))),
    extra={"reasoning": {"effort": "low"}, "tools": [{"type": "mcp", "server_label": "s"}]},
)


def test_options_are_written_and_read_back():
    assert options_from(options_wish(OPTIONS), "response", [PCM24]) == OPTIONS


def test_options_that_differ_in_nothing_are_empty():
    assert options_wish(ResponseOptions()) == {}
    assert options_from(None, "response", [PCM24]) == options_from({}, "response", [PCM24]) == ResponseOptions()


def test_empty_input_and_tools_are_not_absent():
    got = options_from({"input": [], "tools": []}, "response", [PCM24])
    assert (got.input, got.tools) == ((), ())
    assert options_wish(got) == {"input": [], "tools": []}


def test_the_format_of_the_session_may_be_repeated_and_no_other_named():
    asked = {"audio": {"output": {"format": {"type": "audio/pcmu"}}}}
    assert options_from(asked, "response", [PCM24, MULAW8K]) == ResponseOptions()
    with pytest.raises(Invalid) as problem:
        options_from(asked, "response", [PCM24])
    assert problem.value.param == "response.audio.output.format"


@pytest.mark.parametrize(
    ("response", "code", "param"),
    [
        ([], "invalid_value", "response"),
        ({"modalities": ["text"]}, "unknown_parameter", "response.modalities"),
        ({"audio": {"output": {"speed": 1}}}, "unknown_parameter", "response.audio.output.speed"),
        ({"conversation": "other"}, "invalid_value", "response.conversation"),
        ({"metadata": {str(n): "v" for n in range(17)}}, "invalid_value", "response.metadata"),
        ({"metadata": {"k" * 65: "v"}}, "invalid_value", "response.metadata"),
        ({"metadata": {"k": "v" * 513}}, "invalid_value", "response.metadata"),
        ({"metadata": {"k": 1}}, "invalid_value", "response.metadata"),
        ({"input": [{"type": "x"}]}, "invalid_value", "response.input[0].type"),
        ({"output_modalities": ["text", "audio"]}, "invalid_value", "response.output_modalities"),
    ],
)
def test_what_a_response_cannot_differ_in_is_named(response, code, param):
    with pytest.raises(Invalid) as problem:
        options_from(response, "response", [PCM24])
    assert (problem.value.code, problem.value.param) == (code, param)


def test_metadata_at_its_bounds_is_accepted():
    metadata = {f"{n:064}": "v" * 512 for n in range(16)}
    assert options_from({"metadata": metadata}, "response", [PCM24]).metadata == metadata


def test_a_beginning_response_shows_what_is_in_force():
    started = ResponseStarted("resp_1", ResponseOptions(metadata={"k": "v"}), "conv_1")
    shown = response_object(started, Settings(voice="voice_1", output_format=MULAW8K, max_output_tokens=9))
    assert shown == {
        "id": "resp_1",
        "object": "realtime.response",
        "status": "in_progress",
        "status_details": None,
        "output": [],
        "conversation_id": "conv_1",
        "output_modalities": ["audio"],
        "max_output_tokens": 9,
        "audio": {"output": {"format": {"type": "audio/pcmu"}, "voice": "voice_1"}},
        "usage": None,
        "metadata": {"k": "v"},
    }
    RealtimeResponse.model_validate(shown, strict=True)
    seen = options_seen(shown)
    assert (seen.modality, seen.voice, seen.max_output_tokens, seen.metadata) == ("audio", "voice_1", 9, {"k": "v"})


@pytest.mark.parametrize(
    ("status", "reason", "fault", "details"),
    [
        ("completed", None, None, None),
        ("cancelled", "turn_detected", None, {"type": "cancelled", "reason": "turn_detected"}),
        ("incomplete", "max_output_tokens", None, {"type": "incomplete", "reason": "max_output_tokens"}),
        (
            "failed",
            None,
            Fault("server_error", "broken", "It broke."),
            {"type": "failed", "error": {"type": "server_error", "code": "broken", "message": "It broke."}},
        ),
    ],
)
def test_a_finished_response_says_how_it_ended(status, reason, fault, details):
    finished = ResponseFinished("resp_1", status, reason, fault, usage=Usage(1, 2, 0, 0, 3, 4))
    shown = response_object(finished, Settings())
    assert (shown["status"], shown["status_details"]) == (status, details)
    assert shown["usage"]["total_tokens"] == 10
    RealtimeResponse.model_validate(shown, strict=True)
