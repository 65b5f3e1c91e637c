"""Opening, settings, audio formats and the end of a conversation."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from relay import commands as c
from relay import events as e
from relay import limits
from relay.core.session import Plan, Session
from relay.errors import CloseReason
from relay.nouns import (
    MULAW8K,
    PCM24,
    Fault,
    Item,
    Part,
    Settings,
    Transcription,
    TurnDetection,
)
from tests.fakes.scenes import VAD, names, replying, stage
from tests.fakes.stage import MS_16K, Stage

# --- opening


def test_model_open_first_event_is_session_opened_and_model_is_configured() -> None:
    play = stage()
    assert names(play.caller) == ["SessionOpened"]
    assert names(play.model) == ["SettingsRequested"]
    assert play.model[0].changes["turn_detection"] is None, "turns are detected by the relay"


def test_audio_before_model_is_open_is_kept_from_the_first_byte() -> None:
    play = Stage(Settings(turn_detection=None))
    for n in range(1, 6):
        play.say(e.AudioAppended(bytes([n, 0]) * 16 * 20))
    assert play.model == []
    play.say(e.LegOpened("model"))
    sent = b"".join(event.audio for event in play.asked(e.AudioAppended))
    assert sent == b"".join(bytes([n, 0]) * 16 * 20 for n in range(1, 6))


def test_audio_before_model_is_open_is_bounded() -> None:
    play = Stage(Settings(turn_detection=None))
    for _ in range(limits.DIAL_HOLD_AUDIO_MS // 1000 + 5):
        play.audio(1000)
    play.say(e.LegOpened("model"))
    held_ms = sum(len(event.audio) for event in play.asked(e.AudioAppended)) / 32
    assert held_ms == limits.DIAL_HOLD_AUDIO_MS


def test_ai_sdk_caller_session_opens_with_its_first_settings_and_both_are_confirmed() -> None:
    play = Stage(Settings(), waits_for_settings=True).open()
    assert play.caller == []
    play.say(e.SettingsRequested({"instructions": "Be brief."}))
    assert names(play.caller) == ["SessionOpened", "SettingsApplied"]
    assert play.cascade.settings.instructions == "Be brief."


def test_ai_sdk_caller_without_settings_is_closed_at_the_deadline() -> None:
    play = Stage(Settings(), waits_for_settings=True).open().advance(limits.SETUP_DEADLINE_S + 0.1)
    assert play.work == [c.Close(CloseReason.SETUP_TIMEOUT)]


def test_ai_sdk_caller_with_wrong_settings_is_told_at_once_and_may_try_again() -> None:
    play = Stage(Settings(), waits_for_settings=True).open()
    play.say(e.Rejected(Fault("invalid_request_error", "invalid_value", "no such format", "inputAudioFormat")))
    assert names(play.caller) == ["Failed"]
    play.say(e.SettingsRequested({}))
    assert names(play.caller) == ["Failed", "SessionOpened", "SettingsApplied"]


def test_what_went_wrong_before_a_session_that_never_opens_is_said_at_its_end() -> None:
    play = Stage(Settings()).say(e.Rejected(Fault("invalid_request_error", "invalid_event", "rubbish")))
    assert play.caller == []
    play.say(e.LegClosed("model", 1006))
    assert names(play.caller) == ["Failed"]


def test_greeting_is_spoken_when_the_session_opens() -> None:
    play = stage(greeting="Hello, how can I help?")
    assert play.last_work(c.Speak).text == "Hello, how can I help?"
    assert play.told(e.ResponseStarted)


# --- settings


def test_pinned_setting_stays_and_the_caller_is_warned() -> None:
    play = Stage(Settings(instructions="Secret."), pinned=frozenset({"instructions"})).open()
    play.say(e.SettingsRequested({"instructions": "Be rude.", "speed": 1.2}))
    assert play.cascade.settings.instructions == "Secret."
    assert play.cascade.settings.speed == 1.2
    assert [x.param for x in play.told(e.Warned)] == ["instructions"]
    assert "Secret" not in str(play.caller)


def test_what_the_model_cannot_honour_is_named_in_a_warning() -> None:
    play = Stage(Settings(), model_voices=("en",)).open()
    play.say(e.SettingsRequested({
        "voice": "marin", "extra": {"noise_reduction": {"type": "near_field"}},
        "turn_detection": TurnDetection(type="semantic_vad"), "transcription": Transcription("whisper-1"),
    }))  # fmt: skip
    named = {"voice", "noise_reduction", "turn_detection", "transcription.model"}
    assert {x.param for x in play.told(e.Warned)} == named
    assert play.told(e.SettingsApplied)[-1].settings.turn_detection == TurnDetection()


def test_voice_change_after_first_audio_is_refused_whole() -> None:
    play = replying(stage()).say(e.SettingsRequested({"voice": "other", "speed": 1.4}, "s1"))
    assert play.told(e.Failed)[-1].fault.code == "cannot_update_voice"
    assert play.cascade.settings.speed == 1.0


def test_same_model_is_accepted_and_another_refused() -> None:
    play = stage().say(e.SettingsRequested({"model": "local/agent"}))
    assert play.told(e.Failed) == []
    play.say(e.SettingsRequested({"model": "other"}, "m"))
    assert play.told(e.Failed)[0].fault.request_id == "m"


def test_turn_detection_switched_off_and_on_while_running() -> None:
    play = stage().say(e.SettingsRequested({"turn_detection": None})).audio(200).say(e.CommitRequested())
    assert play.told(e.AudioCommitted)
    play.say(e.SettingsRequested({"turn_detection": VAD}))
    before = len(play.asked(e.AudioAppended))
    play.audio(200)
    assert len(play.asked(e.AudioAppended)) == before


# --- audio on the way


def test_caller_formats_are_converted_on_both_ways() -> None:
    settings = Settings(input_format=MULAW8K, output_format=PCM24, turn_detection=None)
    plan = Plan("sess_f", settings, composed=True, model_input=replace(PCM24, rate_hz=16000), model_output=PCM24)
    session = Session(plan)
    session.start(0.0)
    session.handle(e.LegOpened("model"), 0.0)
    out = session.handle(e.AudioAppended(base64.b64encode(b"\xff" * 800).decode()), 0.0)
    sizes = [len(x.event.audio) for x in out if isinstance(x, c.ToModel)]
    assert sizes
    assert abs(sum(sizes) - 3200) < 200, "100 ms are 3,200 bytes at 16 kHz, less the filter's delay"


def test_equal_formats_without_detection_forward_the_very_event() -> None:
    session = Session(Plan("sess_p", Settings(), relay_turns=False, transparent=True))
    session.start(0.0)
    session.handle(e.SessionOpened("sess_up", Settings(), raw=b"{}"), 0.0)
    event = e.AudioAppended("AAAA", raw=b"frame")
    assert session.handle(event, 0.0) == [c.ToModel(event)]
    assert session.handle(event, 0.0)[0].event is event


def test_bad_base64_is_named_and_the_session_lives() -> None:
    play = stage(None).say(e.AudioAppended("!!!", request_id="a1"))
    assert play.told(e.Failed)[0].fault.request_id == "a1"
    play.audio(200).say(e.CommitRequested())
    assert play.told(e.AudioCommitted)


def test_item_audio_is_converted_and_transcribed() -> None:
    part = Part("input_audio", audio=MS_16K * 300)
    play = stage(None).say(e.ItemCreateRequested(Item("", "message", "user", content=(part,))))
    ref = play.last_work(c.FinishListening).ref
    play.engine(e.TranscriptHeard(ref, "hello", True)).say(e.ResponseRequested())
    assert play.last_work(c.Think).history[0].content[0].text == "hello"


# --- silence and the end


def test_idle_timeout_reports_commits_and_answers_after_playout() -> None:
    play = stage(replace(VAD, idle_timeout_ms=5000)).turn().think("Yes. ").sound(2000)
    play.advance(6.5)
    assert play.told(e.IdleTimedOut) == [], "2 s of playout come first"
    play.advance(0.6)
    assert len(play.told(e.IdleTimedOut)) == 1
    assert play.told(e.AudioCommitted)[-1].item_id == play.told(e.IdleTimedOut)[0].item_id
    assert len(play.told(e.ResponseStarted)) == 2


def test_noise_of_an_open_microphone_is_no_activity() -> None:
    play = stage(idle_limit_s=60.0)
    for _ in range(61):
        play.audio(1000).advance(1.0)
    assert c.Close(CloseReason.IDLE) in play.work


def test_session_ends_at_its_maximum_duration() -> None:
    play = stage(max_session_s=30.0).advance(29.9)
    assert play.work == []
    play.advance(0.2)
    assert play.work == [c.Close(CloseReason.MAX_DURATION)]


@pytest.mark.parametrize(
    ("opened", "code", "reason"),
    [
        (False, 1006, CloseReason.MODEL_UNAVAILABLE),
        (True, 1011, CloseReason.MODEL_LOST),
        (True, 1000, CloseReason.MODEL_ENDED),
    ],
)
def test_model_that_goes_ends_the_session_with_its_reason(opened: bool, code: int, reason: CloseReason) -> None:
    play = stage() if opened else Stage(Settings())
    play.say(e.LegClosed("model", code))
    assert [x.reason for x in play.work if isinstance(x, c.Close)] == [reason]


def test_model_lost_in_an_answer_the_answer_is_finished_as_failed() -> None:
    play = replying(stage()).say(e.LegClosed("model", 1006))
    assert play.told(e.ResponseFinished)[-1].status == "failed"


def test_closed_session_does_nothing_more() -> None:
    play = stage().say(e.LegClosed("caller", 1005))
    count = len(play.commands)
    play.audio(200).say(e.ResponseRequested())
    assert len(play.commands) == count
    assert play.session.deadline() is None


def test_members_carried_untouched_are_merged_by_name_and_null_clears_one() -> None:
    play = stage()
    play.say(e.SettingsRequested({"extra": {"truncation": "auto", "tracing": "auto"}}))
    play.say(e.SettingsRequested({"extra": {"tracing": None, "include": None}}))
    assert play.cascade.settings.extra == {"truncation": "auto"}


def test_model_named_without_its_provider_is_the_same_model() -> None:
    play = Stage(Settings(model="openai/gpt-realtime")).open()
    play.say(e.SettingsRequested({"model": "gpt-realtime"}))
    assert play.told(e.Failed) == []


def test_beta_shape_ends_the_session() -> None:
    fault = Fault("invalid_request_error", "beta_api_shape_disabled", "no")
    play = stage().say(e.Rejected(fault))
    assert play.work == [c.Close(CloseReason.BETA_SHAPE)]
    assert play.told(e.Failed) == [], "the farewell says it"
