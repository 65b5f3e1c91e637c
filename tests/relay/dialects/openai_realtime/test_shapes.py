import pytest
from agents.realtime.openai_realtime import OpenAIRealtimeWebSocketModel
from openai.types.realtime import RealtimeSessionCreateRequest

from relay import nouns
from relay.dialects.openai_realtime.shapes import session_object, session_wish, settings_changes, settings_seen
from relay.nouns import ALAW8K, MULAW8K, PCM24, AudioFormat, Settings, Tool, Transcription, TurnDetection

FUNCTION = {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}}
MCP = {"type": "mcp", "server_label": "docs", "server_url": "https://x.example", "authorization": "secret"}
FULL = Settings(
    model="openai/gpt-realtime",
    instructions="Be brief.",
    voice="cedar",
    modality="text",
    input_format=MULAW8K,
    output_format=ALAW8K,
    transcription=Transcription("whisper-1", "en", "names", {"delay": "low"}),
    turn_detection=TurnDetection("server_vad", 0.7, 200, 400, False, False, 6_000),
    tools=(Tool("f", "d"),),
    tool_choice={"type": "function", "name": "f"},
    max_output_tokens=100,
    speed=1.25,
    extra={
        "noise_reduction": {"type": "near_field"},
        "tracing": "auto",
        "truncation": "disabled",
        "prompt": {"id": "p"},
        "include": ["item.input_audio_transcription.logprobs"],
        "reasoning": {"effort": "low"},
        "parallel_tool_calls": False,
    },
)


def changes(**session):
    got, fault = settings_changes({"type": "realtime", **session})
    assert fault is None, fault
    return got


def fault(session):
    got, problem = settings_changes(session)
    assert got == {}
    assert problem is not None
    assert problem.type == "invalid_request_error"
    return problem.code, problem.param


def audio_in(**members):
    return {"type": "realtime", "audio": {"input": members}}


def audio_out(**members):
    return {"type": "realtime", "audio": {"output": members}}


def test_only_present_members_are_changes():
    assert changes() == {}
    assert changes(instructions="x") == {"instructions": "x"}
    assert changes(audio={"input": {"format": {"type": "audio/pcmu"}}}) == {"input_format": MULAW8K}


def test_empty_values_and_nulls_clear():
    cleared = changes(
        instructions="",
        tools=[],
        tracing=None,
        audio={"input": {"turn_detection": None, "transcription": None, "noise_reduction": None}},
    )
    assert cleared == {
        "instructions": "",
        "tools": (),
        "turn_detection": None,
        "transcription": None,
        "extra": {"tracing": None, "noise_reduction": None},
    }


def test_absent_members_of_turn_detection_take_their_defaults():
    got = changes(audio={"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 400}}})
    assert got == {"turn_detection": TurnDetection(silence_duration_ms=400)}
    got = changes(audio={"input": {"turn_detection": {"type": "semantic_vad", "create_response": None}}})
    assert got == {"turn_detection": TurnDetection("semantic_vad")}


def test_every_member_reaches_its_field():
    shown = session_object(FULL, "sess_1", 0)
    for name in ("object", "id", "expires_at"):
        del shown[name]
    got, problem = settings_changes(shown)
    assert problem is None
    assert Settings(**got) == FULL


def test_a_voice_of_ones_own_is_its_id():
    assert changes(audio={"output": {"voice": {"id": "voice_1"}}}) == {"voice": "voice_1"}
    assert session_wish({"voice": "voice_1"})["audio"]["output"] == {"voice": {"id": "voice_1"}}


def test_tools_of_others_are_carried():
    got = changes(tools=[FUNCTION, MCP])
    assert got == {"tools": (Tool("f", "d"),), "extra": {"tools": [MCP]}}
    assert session_wish(got)["tools"] == [FUNCTION, MCP]


def test_the_shown_session_hides_credentials_of_tools():
    shown = session_object(Settings(extra={"tools": [MCP]}), "sess_1", 0)
    assert shown["tools"] == [{k: v for k, v in MCP.items() if k != "authorization"}]


@pytest.mark.parametrize("rate_hz", nouns.SUPPORTED_RATES_HZ)
def test_our_rates_are_accepted(rate_hz):
    got = changes(audio={"input": {"format": {"type": "audio/pcm", "rate": rate_hz}}})
    assert got == {"input_format": AudioFormat("pcm16", rate_hz)}


def test_pcm_without_a_rate_is_24_khz():
    assert changes(audio={"output": {"format": {"type": "audio/pcm"}}}) == {"output_format": PCM24}


@pytest.mark.parametrize(
    ("session", "code", "param"),
    [
        (None, "invalid_value", "session"),
        ({}, "missing_required_parameter", "session.type"),
        ({"instructions": "x"}, "missing_required_parameter", "session.type"),
        ({"modalities": ["audio"]}, "beta_api_shape_disabled", "session"),
        ({"input_audio_format": "pcm16"}, "beta_api_shape_disabled", "session"),
        ({"type": "transcription"}, "invalid_value", "session.type"),
        ({"type": 5}, "invalid_value", "session.type"),
        ({"type": "realtime", "temperature": 1}, "unknown_parameter", "session.temperature"),
        ({"type": "realtime", "id": "sess_1"}, "unknown_parameter", "session.id"),
        ({"type": "realtime", "output_modalities": ["text", "audio"]}, "invalid_value", "session.output_modalities"),
        ({"type": "realtime", "output_modalities": []}, "invalid_value", "session.output_modalities"),
        ({"type": "realtime", "max_output_tokens": 0}, "invalid_value", "session.max_output_tokens"),
        ({"type": "realtime", "max_output_tokens": 4097}, "invalid_value", "session.max_output_tokens"),
        ({"type": "realtime", "max_output_tokens": None}, "invalid_value", "session.max_output_tokens"),
        ({"type": "realtime", "instructions": None}, "invalid_value", "session.instructions"),
        ({"type": "realtime", "include": ["x"]}, "invalid_value", "session.include[0]"),
        ({"type": "realtime", "reasoning": {"effort": "huge"}}, "invalid_value", "session.reasoning.effort"),
        ({"type": "realtime", "tools": {}}, "invalid_value", "session.tools"),
        ({"type": "realtime", "tools": [{}]}, "missing_required_parameter", "session.tools[0].type"),
        ({"type": "realtime", "tools": [{"type": "x"}]}, "invalid_value", "session.tools[0].type"),
        ({"type": "realtime", "tools": [{"type": "function"}]}, "missing_required_parameter", "session.tools[0].name"),
        ({"type": "realtime", "tools": [{**FUNCTION, "meta": 1}]}, "unknown_parameter", "session.tools[0].meta"),
        (
            {"type": "realtime", "tools": [{"type": "mcp"}]},
            "missing_required_parameter",
            "session.tools[0].server_label",
        ),
        ({"type": "realtime", "tool_choice": "some"}, "invalid_value", "session.tool_choice"),
        (
            {"type": "realtime", "tool_choice": {"type": "function"}},
            "missing_required_parameter",
            "session.tool_choice.name",
        ),
        ({"type": "realtime", "audio": {"x": 1}}, "unknown_parameter", "session.audio.x"),
        (audio_in(format={"rate": 24000}), "missing_required_parameter", "session.audio.input.format.type"),
        (audio_in(format={"type": "audio/pcm", "rate": 44100}), "invalid_value", "session.audio.input.format.rate"),
        (audio_in(format={"type": "audio/opus"}), "invalid_value", "session.audio.input.format.type"),
        (audio_in(format={"type": "audio/pcmu", "rate": 8000}), "unknown_parameter", "session.audio.input.format.rate"),
        (
            audio_in(turn_detection={"type": "server_vad", "idle_timeout_ms": 4_999}),
            "invalid_value",
            "session.audio.input.turn_detection.idle_timeout_ms",
        ),
        (
            audio_in(turn_detection={"type": "server_vad", "idle_timeout_ms": 30_001}),
            "invalid_value",
            "session.audio.input.turn_detection.idle_timeout_ms",
        ),
        (
            audio_in(turn_detection={"type": "semantic_vad", "threshold": 0.5}),
            "unknown_parameter",
            "session.audio.input.turn_detection.threshold",
        ),
        (
            audio_in(turn_detection={"threshold": 0.5}),
            "missing_required_parameter",
            "session.audio.input.turn_detection.type",
        ),
        (audio_in(transcription={"words": 1}), "unknown_parameter", "session.audio.input.transcription.words"),
        (audio_in(noise_reduction={}), "missing_required_parameter", "session.audio.input.noise_reduction.type"),
        (audio_out(speed=0.24), "invalid_value", "session.audio.output.speed"),
        (audio_out(speed=1.51), "invalid_value", "session.audio.output.speed"),
        (audio_out(voice=""), "invalid_value", "session.audio.output.voice"),
    ],
)
def test_what_the_protocol_does_not_allow_is_named(session, code, param):
    assert fault(session) == (code, param)


@pytest.mark.parametrize(
    "session",
    [
        audio_out(speed=0.25),
        audio_out(speed=1.5),
        audio_in(turn_detection={"type": "server_vad", "idle_timeout_ms": 5_000}),
    ],
)
def test_values_at_the_edge_of_a_range_are_accepted(session):
    assert settings_changes(session)[1] is None


def test_the_effective_session_has_every_member_with_explicit_nulls():
    shown = session_object(Settings(model="m"), "sess_1", 1756324625)
    assert shown == {
        "type": "realtime",
        "object": "realtime.session",
        "id": "sess_1",
        "model": "m",
        "output_modalities": ["audio"],
        "instructions": "",
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "expires_at": 1756324625,
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": {
                    "type": "server_vad",
                    "threshold": 0.5,
                    "prefix_padding_ms": 300,
                    "silence_duration_ms": 500,
                    "idle_timeout_ms": None,
                    "create_response": True,
                    "interrupt_response": True,
                },
            },
            "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": None, "speed": 1.0},
        },
        "include": None,
    }


@pytest.mark.parametrize("settings", [Settings(), FULL, Settings(turn_detection=None), Settings(voice="voice_1")])
def test_the_effective_session_is_one_of_the_sdk(settings):
    RealtimeSessionCreateRequest.model_validate(session_object(settings, "sess_1", 0), strict=True)


def test_a_reported_session_is_read_back():
    assert settings_seen(session_object(FULL, "sess_1", 0)) == FULL


def test_a_reported_session_is_read_as_far_as_it_can_be():
    odd = {"model": 5, "instructions": "x", "new": {}, "audio": {"input": [], "output": {"speed": 9, "voice": "a"}}}
    assert settings_seen(odd) == Settings(instructions="x", voice="a")


def test_our_session_update_names_what_changed_and_never_the_model():
    assert session_wish({"model": "m", "instructions": ""}) == {"type": "realtime", "instructions": ""}
    assert session_wish({"turn_detection": None}) == {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
    assert session_wish({"voice": None}) == {"type": "realtime"}


def test_our_session_update_of_whole_settings_is_complete_and_allowed():
    asked = {name: getattr(FULL, name) for name in FULL.__slots__}
    session = session_wish(asked)
    assert "model" not in session
    assert settings_changes(session) == ({k: v for k, v in asked.items() if k != "model"}, None)


def test_our_session_update_declares_no_rate_but_24_khz():
    session = session_wish({"input_format": AudioFormat("pcm16", 16_000), "output_format": ALAW8K})
    assert session["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24000}
    assert session["audio"]["output"]["format"] == {"type": "audio/pcma"}


def test_the_session_of_the_agents_sdk_is_understood():
    model = OpenAIRealtimeWebSocketModel()
    session = model._get_session_config({"instructions": "x", "turn_detection": {"type": "semantic_vad"}})
    got, problem = settings_changes(session.model_dump(mode="json", exclude_unset=True))
    assert problem is None
    assert got["voice"] == "ash"
    assert got["turn_detection"] == TurnDetection("semantic_vad")
    assert got["transcription"] == Transcription("gpt-4o-mini-transcribe")
