from typing import Any

import pytest

from relay.dialects.ai_gateway.config import read_config
from relay.dialects.ai_gateway.fields import Wrong
from relay.nouns import ALAW8K, MULAW8K, AudioFormat, Settings, Tool, Transcription, TurnDetection


def changes(config: dict[str, Any], current: Settings | None = None) -> dict[str, Any]:
    found, warnings = read_config(config, current or Settings())
    assert warnings == []
    return found


def test_an_empty_config_changes_nothing() -> None:
    assert changes({}) == {}


def test_each_plain_member_becomes_its_setting() -> None:
    assert changes({"instructions": "Be brief.", "voice": "alloy", "outputAudioTranscription": {}}) == {
        "instructions": "Be brief.", "voice": "alloy",
    }


@pytest.mark.parametrize(
    ("wanted", "modality"), [(["audio"], "audio"), (["text", "audio"], "audio"), (["text"], "text")]
)
def test_output_modalities_become_one(wanted: list[str], modality: str) -> None:
    assert changes({"outputModalities": wanted}) == {"modality": modality}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": "audio/pcm"}, AudioFormat("pcm16", 24_000)),
        ({"type": "audio/pcm", "rate": 8_000}, AudioFormat("pcm16", 8_000)),
        ({"type": "audio/pcm", "rate": 16_000}, AudioFormat("pcm16", 16_000)),
        ({"type": "audio/pcm", "rate": 48_000.0}, AudioFormat("pcm16", 48_000)),
        ({"type": "audio/pcmu"}, MULAW8K),
        ({"type": "audio/pcma", "rate": 8_000}, ALAW8K),
    ],
)
def test_audio_formats_are_read_on_both_sides(given: dict[str, Any], expected: AudioFormat) -> None:
    found = changes({"inputAudioFormat": given, "outputAudioFormat": given})
    assert found == {"input_format": expected, "output_format": expected}


def test_presence_alone_turns_user_transcripts_on() -> None:
    assert changes({"inputAudioTranscription": {}}) == {"transcription": Transcription()}
    found = changes({"inputAudioTranscription": {"model": "m", "language": "fr", "prompt": "p"}})
    assert found == {"transcription": Transcription("m", "fr", "p")}


@pytest.mark.parametrize("off", [None, {"type": "disabled"}])
def test_turn_detection_null_or_disabled_means_push_to_talk(off: object) -> None:
    assert changes({"turnDetection": off}) == {"turn_detection": None}


def test_turn_detection_is_laid_over_the_one_in_effect() -> None:
    current = Settings(turn_detection=TurnDetection(silence_duration_ms=900, interrupt_response=False))
    found = changes({"turnDetection": {"type": "server-vad", "threshold": 0.7, "prefixPaddingMs": 100}}, current)
    assert found["turn_detection"] == TurnDetection(
        threshold=0.7, prefix_padding_ms=100, silence_duration_ms=900, interrupt_response=False)


def test_turn_detection_given_while_off_starts_from_the_defaults() -> None:
    found = changes({"turnDetection": {"type": "semantic-vad"}}, Settings(turn_detection=None))
    assert found == {"turn_detection": TurnDetection(type="semantic_vad")}


def test_tools_keep_their_schema() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    found = changes({"tools": [{"type": "function", "name": "a", "description": "d", "parameters": schema},
                               {"type": "function", "name": "b"}]})
    assert found == {"tools": (Tool("a", "d", schema), Tool("b"))}


def test_gateway_options_never_get_any_further() -> None:
    assert changes({"providerOptions": {"gateway": {"byok": {"openai": [{"apiKey": "secret"}]}}}}) == {}


def test_provider_options_are_taken_flat_and_by_provider() -> None:
    current = Settings(extra={"truncation": "auto"})
    found = changes({"providerOptions": {"openai": {"reasoning": {"effort": "low"}}, "tracing": "auto",
                                         "tool_choice": "required", "max_output_tokens": 100}}, current)
    assert found == {
        "extra": {"truncation": "auto", "reasoning": {"effort": "low"}, "tracing": "auto"},
        "tool_choice": "required",
        "max_output_tokens": 100,
    }


@pytest.mark.parametrize("unbounded", ["inf", None])
def test_an_unbounded_answer_is_no_bound(unbounded: object) -> None:
    assert changes({"providerOptions": {"max_output_tokens": unbounded}}) == {"max_output_tokens": None}


def test_relay_options_refine_turn_detection_of_the_same_frame() -> None:
    found = changes({
        "providerOptions": {"relay": {"interruptResponse": False, "createResponse": False, "idleTimeoutMs": 6_000,
                                      "eagerness": "low", "speed": 1.2, "toolChoice": "none", "maxOutputTokens": 9}},
        "turnDetection": {"type": "server-vad", "silenceDurationMs": 300},
    })
    assert found == {
        "turn_detection": TurnDetection(silence_duration_ms=300, interrupt_response=False, create_response=False,
                                        idle_timeout_ms=6_000, eagerness="low"),
        "speed": 1.2, "tool_choice": "none", "max_output_tokens": 9,
    }


def test_relay_options_alone_refine_turn_detection_in_effect() -> None:
    current = Settings(turn_detection=TurnDetection(threshold=0.9, idle_timeout_ms=7_000))
    found = changes({"providerOptions": {"relay": {"interruptResponse": False, "idleTimeoutMs": None}}}, current)
    assert found == {"turn_detection": TurnDetection(threshold=0.9, interrupt_response=False)}


def test_relay_options_do_not_turn_detection_on() -> None:
    found = changes({"turnDetection": None, "providerOptions": {"relay": {"interruptResponse": False}}})
    assert found == {"turn_detection": None}


def test_what_has_no_effect_is_named_in_one_warning() -> None:
    found, [warning] = read_config(
        {"temperature": 1, "providerOptions": {"openai": {"audio": {}}, "relay": {"warp": 9}}}, Settings())
    assert found == {}
    assert warning.code == "setting_ignored"
    assert warning.param == "config.temperature"
    for name in ("temperature", "providerOptions.audio", "providerOptions.relay.warp"):
        assert name in warning.message


def test_a_warning_stays_short_whatever_was_sent() -> None:
    _, [warning] = read_config({f"{n}{'x' * 1_000}": n for n in range(1_000)}, Settings())
    assert len(warning.message) < 1_000


@pytest.mark.parametrize(
    ("config", "param"),
    [
        ({"instructions": 1}, "config.instructions"),
        ({"instructions": None}, "config.instructions"),
        ({"voice": {}}, "config.voice"),
        ({"outputModalities": []}, "config.outputModalities"),
        ({"outputModalities": ["video"]}, "config.outputModalities"),
        ({"outputModalities": [[]]}, "config.outputModalities"),
        ({"inputAudioFormat": "audio/pcm"}, "config.inputAudioFormat"),
        ({"inputAudioFormat": {"type": "audio/mp3"}}, "config.inputAudioFormat.type"),
        ({"outputAudioFormat": {"type": "audio/pcm", "rate": 44_100}}, "config.outputAudioFormat.rate"),
        ({"outputAudioFormat": {"type": "audio/pcm", "rate": True}}, "config.outputAudioFormat.rate"),
        ({"outputAudioFormat": {"type": "audio/pcm", "rate": []}}, "config.outputAudioFormat.rate"),
        ({"outputAudioFormat": {"type": "audio/pcmu", "rate": 16_000}}, "config.outputAudioFormat.rate"),
        ({"inputAudioTranscription": None}, "config.inputAudioTranscription"),
        ({"inputAudioTranscription": {"language": 5}}, "config.inputAudioTranscription.language"),
        ({"turnDetection": "server-vad"}, "config.turnDetection"),
        ({"turnDetection": {}}, "config.turnDetection.type"),
        ({"turnDetection": {"type": "server_vad"}}, "config.turnDetection.type"),
        ({"turnDetection": {"type": "server-vad", "threshold": 2}}, "config.turnDetection.threshold"),
        ({"turnDetection": {"type": "server-vad", "silenceDurationMs": -1}}, "config.turnDetection.silenceDurationMs"),
        ({"turnDetection": {"type": "server-vad", "prefixPaddingMs": 1e9}}, "config.turnDetection.prefixPaddingMs"),
        ({"tools": {}}, "config.tools"),
        ({"tools": [1]}, "config.tools.0"),
        ({"tools": [{"type": "function", "name": ""}]}, "config.tools.0.name"),
        ({"tools": [{"type": "provider", "name": "a"}]}, "config.tools.0.type"),
        ({"tools": [{"type": "function", "name": "a", "parameters": []}]}, "config.tools.0.parameters"),
        ({"tools": [{"type": "function", "name": "a", "description": 1}]}, "config.tools.0.description"),
        ({"providerOptions": []}, "config.providerOptions"),
        ({"providerOptions": {"openai": 1}}, "config.providerOptions.openai"),
        ({"providerOptions": {"tool_choice": 1}}, "config.providerOptions.tool_choice"),
        ({"providerOptions": {"relay": {"interruptResponse": "no"}}}, "config.providerOptions.relay.interruptResponse"),
        ({"providerOptions": {"relay": {"idleTimeoutMs": 1}}}, "config.providerOptions.relay.idleTimeoutMs"),
        ({"providerOptions": {"relay": {"speed": 9}}}, "config.providerOptions.relay.speed"),
    ],
)
def test_a_member_of_the_wrong_type_or_value_is_named(config: dict[str, Any], param: str) -> None:
    with pytest.raises(Wrong) as caught:
        read_config(config, Settings())
    assert caught.value.param == param
    assert param.split(".")[-1] in str(caught.value)
