"""Before a model that is not ours: answers come late, ids differ, errors are about requests that crossed."""

from __future__ import annotations

from relay import commands as c
from relay import events as e
from relay import limits
from relay.core.turns import State
from relay.errors import CloseReason
from relay.nouns import PCM24, AudioFormat, Item, Part, ResponseOptions, Settings, Tool, TurnDetection
from tests.fakes.remote import MS_24K, Remote
from tests.fakes.stage import Stage


def state(play: Remote | Stage) -> State:
    return play.session.floor.turns.state


# --- before the session is open


def test_settings_before_the_session_is_open_reach_the_model_and_are_confirmed() -> None:
    play = Remote(opened=False, relay_turns=False, transparent=True)
    play.say(e.SettingsRequested({"instructions": "Be brief."}, raw=b"frame")).open()
    assert [event.raw for event in play.asked(e.SettingsRequested)] == [b"frame"]


def test_settings_before_the_session_is_open_are_confirmed_beside_our_own() -> None:
    play = Remote(opened=False).say(e.SettingsRequested({"instructions": "Be brief."})).open()
    assert len(play.asked(e.SettingsRequested)) == 2
    play.say(e.SettingsApplied(Settings()), e.SettingsApplied(Settings()))
    assert [event.settings.instructions for event in play.told(e.SettingsApplied)] == ["Be brief."]


def test_refused_first_settings_of_ours_do_not_swallow_the_callers_confirmation() -> None:
    play = Remote()
    play.refuses(play.asked(e.SettingsRequested)[0], "invalid_value")
    play.say(e.SettingsRequested({"instructions": "x"}), e.SettingsApplied(Settings()))
    assert len(play.told(e.SettingsApplied)) == 1


def test_what_is_held_is_bounded_in_bytes() -> None:
    play = Remote(opened=False)
    for _ in range(limits.DIAL_HOLD_EVENTS):
        play.types("x" * 100_000)
    play.open()
    assert sum(len(each.item.content[0].text or "") for each in play.asked(e.ItemCreateRequested)) <= (
        limits.DIAL_HOLD_BYTES
    )


# --- requests that are refused, answers that do not come


def test_refused_request_for_an_answer_leaves_nobody_waiting() -> None:
    play = Remote(idle_limit_s=300.0).say(e.ResponseRequested())
    play.refuses(play.asked(e.ResponseRequested)[0], "rate_limit_exceeded")
    assert state(play) is State.LISTENING
    assert play.told(e.Failed)[0].fault.request_id is None, "our id is nothing to the caller"
    play.advance(301.0)
    assert play.work[-1] == c.Close(CloseReason.IDLE)


def test_turn_that_waits_behind_a_refused_answer_is_asked_for() -> None:
    play = Remote().say(e.ResponseRequested()).turn()
    first = play.asked(e.ResponseRequested)[0]
    play.refuses(first, "rate_limit_exceeded")
    assert len(play.asked(e.ResponseRequested)) == 2


def test_turn_over_a_hung_answer_is_answered_after_the_stall() -> None:
    play = Remote().say(e.ResponseRequested()).started("r1").sounding("r1", 20).turn()
    assert len(play.asked(e.ResponseRequested)) == 1
    play.advance(2 * limits.REPLY_STALL_S)
    assert len(play.asked(e.ResponseRequested)) == 2


def test_answer_after_one_that_never_began_is_heard() -> None:
    play = Remote().say(e.ResponseRequested()).advance(limits.REPLY_STALL_S + 1)
    play.say(e.ResponseRequested()).started("r2").sounding("r2")
    assert play.told(e.AudioProduced)


def test_stalled_answer_ends_once() -> None:
    play = Remote().say(e.ResponseRequested()).started("r1").advance(limits.REPLY_STALL_S + 1)
    play.done("r1", "client_cancelled")
    assert [event.status for event in play.told(e.ResponseFinished)] == ["failed"]


def test_long_clause_that_is_still_heard_is_no_stall() -> None:
    play = Stage().open().turn().think("This is the first sentence of it. This is the second sentence of it.")
    play.sound(20_000).advance(19.0)
    assert play.told(e.Failed) == []


def test_late_errors_of_our_own_requests_are_nothing_to_the_caller() -> None:
    play = Remote().say(e.ResponseRequested()).started("r1").sounding("r1").advance(0.2).speak()
    play.done("r1").refuses(play.asked(e.CancelRequested)[0], "response_cancel_not_active")
    play.refuses(play.asked(e.ItemTruncateRequested)[0], "item_truncate_invalid_item_id")
    assert play.told(e.Failed) == []


def test_error_about_something_else_does_not_lose_the_answer_that_is_coming() -> None:
    play = Remote().say(e.ResponseRequested()).started("r1").sounding("r1").advance(0.2).turn().done("r1")
    play.refuses(play.asked(e.CancelRequested)[0], "response_cancel_not_active").types()
    play.say(e.ResponseRequested(takeover=True))
    assert len(play.asked(e.ResponseRequested)) == 2, "the second is on its way; the third waits"


def test_interruption_is_reported_as_one_though_the_model_says_that_the_client_cancelled() -> None:
    play = Remote().say(e.ResponseRequested()).started("r1").sounding("r1").advance(0.2).speak()
    play.done("r1", "client_cancelled")
    assert play.told(e.ResponseFinished)[0].reason == "turn_detected"


# --- ids


def test_caller_that_resumes_before_its_turn_is_committed_keeps_both_ids() -> None:
    play = Remote().turn().speak()
    first, second = (event.item_id for event in play.told(e.SpeechStarted))
    play.say(e.AudioCommitted("model_1"))
    assert play.told(e.AudioCommitted)[0].item_id == first
    assert play.hearing is not None
    play.hearing.fall_silent()
    play.say(e.AudioAppended(MS_24K * 20), e.AudioCommitted("model_2", "model_1"))
    assert play.told(e.AudioCommitted)[1] == e.AudioCommitted(second, first)


def test_commit_that_is_refused_gives_its_id_to_nobody() -> None:
    play = Remote().turn()
    play.refuses(play.asked(e.CommitRequested)[0], "input_audio_buffer_commit_empty").turn()
    play.say(e.AudioCommitted("model_2"))
    assert play.told(e.AudioCommitted)[0].item_id == play.told(e.SpeechStarted)[1].item_id


def test_items_that_an_answer_refers_to_have_the_models_ids() -> None:
    play = Remote().turn().say(e.AudioCommitted("model_1"))
    ours = play.told(e.AudioCommitted)[0].item_id
    play.started("r1").done("r1")
    play.say(e.ResponseRequested(ResponseOptions(out_of_band=True, input=(Item(ours, "item_reference"),))))
    assert play.asked(e.ResponseRequested)[-1].options.input == (Item("model_1", "item_reference"),)


def test_truncation_of_an_item_nobody_knows_is_not_forwarded_for_a_lenient_caller() -> None:
    play = Remote().say(e.ItemTruncateRequested("earlier", 100, strict=False))
    assert play.asked(e.ItemTruncateRequested) == []


# --- tools


def test_typed_question_after_a_tool_that_timed_out_is_answered() -> None:
    play = Remote().say(e.ResponseRequested()).started("r1").calls("r1").advance(limits.TOOL_DEADLINE_S + 1)
    play.started("r2").done("r2").types().say(e.ResponseRequested())
    assert len(play.asked(e.ResponseRequested)) == 3


def test_typed_question_after_a_turn_that_took_the_tools_output_is_answered() -> None:
    play = Remote().say(e.ResponseRequested()).started("r1").calls("r1")
    play.say(e.ItemCreateRequested(Item("", "function_call_output", call_id="call_1", output="ok")))
    play.turn().started("r2").done("r2").types().say(e.ResponseRequested())
    assert len(play.asked(e.ResponseRequested)) == 3


def test_output_that_crossed_a_request_for_an_answer_is_spoken_afterwards() -> None:
    play = Remote(server_tools=(Tool("tool"),)).say(e.ResponseRequested()).started("r1").calls("r1").turn()
    play.say(e.ToolAnswered("call_1", "42")).started("r2").done("r2")
    assert len(play.asked(e.ResponseRequested)) == 3


def test_output_owed_when_the_caller_takes_its_words_back_is_spoken() -> None:
    play = Remote(server_tools=(Tool("tool"),)).say(e.ResponseRequested()).started("r1").calls("r1").speak()
    play.say(e.ToolAnswered("call_1", "42"))
    assert len(play.asked(e.ResponseRequested)) == 1
    play.say(e.ClearRequested())
    assert len(play.asked(e.ResponseRequested)) == 2


def test_continuation_that_never_begins_is_not_asked_for_without_end() -> None:
    play = Remote(server_tools=(Tool("tool"),)).say(e.ResponseRequested()).started("r1").calls("r1")
    play.say(e.ToolAnswered("call_1", "42")).advance(20 * limits.REPLY_STALL_S)
    assert len(play.asked(e.ResponseRequested)) == 2


# --- turns detected by the model


def test_model_that_never_says_that_speech_stopped_does_not_block_the_call() -> None:
    play = Remote(relay_turns=False).say(e.SpeechStarted("i", 0)).advance(limits.MAX_TURN_S + 1)
    assert state(play) is State.LISTENING


def test_turn_detection_switched_off_in_mid_speech_ends_the_turn() -> None:
    play = Remote(relay_turns=False).say(e.SpeechStarted("i", 0))
    play.say(e.SettingsRequested({"turn_detection": None}))
    assert state(play) is State.LISTENING


def test_format_change_in_mid_speech_ends_the_turn() -> None:
    play = Remote(model_input=PCM24).speak()
    play.say(e.SettingsRequested({"input_format": AudioFormat("pcm16", 16_000)}))
    assert state(play) is State.LISTENING


def test_end_of_an_endless_turn_lies_within_the_audio() -> None:
    play = Stage().open().audio(50_000).say(e.SettingsRequested({"input_format": AudioFormat("pcm16", 24_000)}))
    play.say(e.SettingsRequested({"input_format": AudioFormat("pcm16", 16_000)})).open().speak(1000)
    for _ in range(int(limits.MAX_TURN_S) + 5):
        play.audio(1000)
    assert play.told(e.SpeechStopped)[0].audio_end_ms <= play.session.floor.ears.position_ms


# --- what the agent pins, and what it hides


def test_pins_hold_for_a_single_answer_too() -> None:
    play = Remote(
        Settings(instructions="Prompt.", voice="v"),
        pinned=frozenset({"instructions", "voice"}),
        server_tools=(Tool("tool"),),
    )
    options = ResponseOptions(instructions="You are a pirate.", voice="other", tools=(Tool("mine"), Tool("tool")))
    play.say(e.ResponseRequested(options))
    asked = play.asked(e.ResponseRequested)[0].options
    assert (asked.instructions, asked.voice) == (None, None)
    assert [tool.name for tool in asked.tools or ()] == ["mine", "tool"]
    assert [event.param for event in play.told(e.Warned)] == ["instructions", "voice"]


def test_hidden_tool_cannot_be_read_and_is_not_named() -> None:
    play = Stage(server_tools=(Tool("secret"),), show_tools=False, tool_deadlines_s={"secret": 1.0}).open().turn()
    ref = play.last_work(c.Think).ref
    play.engine(e.ReplyToolCalled(ref, "call_1", "secret", '{"key":"k"}')).engine(e.ReplyFinished(ref)).advance(2.0)
    for item in play.cascade.conversation.items():
        play.say(e.ItemRetrieveRequested(item.id))
    assert "secret" not in str(play.caller)
    assert play.told(e.Warned)[0].code == "tool_timeout"


# --- the end of silence


def test_nudges_into_silence_do_not_keep_a_forgotten_call() -> None:
    play = Stage(Settings(turn_detection=TurnDetection(idle_timeout_ms=5000)), idle_limit_s=60.0).open()
    play.turn().think("All right then.").sound(500)
    for _ in range(20):
        nudges = len(play.told(e.IdleTimedOut))
        play.advance(6.0)
        if len(play.told(e.IdleTimedOut)) == nudges:
            break
        play.engine(e.TranscriptHeard(play.last_work(c.FinishListening).ref, "", True))
        play.think("Are you there?").sound(500)
    assert c.Close(CloseReason.IDLE) in play.work


def test_callers_own_truncation_ends_the_playing() -> None:
    play = Stage(Settings(turn_detection=None)).open().say(e.ResponseRequested()).think("A long answer.").sound(3500)
    play.advance(0.5).say(e.ItemTruncateRequested(play.told(e.AudioProduced)[0].item_id, 500))
    assert state(play) is State.LISTENING


def test_deleted_answer_stays_deleted() -> None:
    play = Stage().open().turn()
    ref = play.last_work(c.Think).ref
    play.engine(e.ReplyProduced(ref, "The first sentence is here. "))
    item_id = play.told(e.OutputItemStarted)[0].item.id
    play.say(e.ItemDeleteRequested(item_id)).engine(e.ReplyProduced(ref, "The second one. "))
    assert item_id not in play.cascade.conversation


def test_pcm_at_a_rate_that_the_model_does_not_take_is_refused_where_frames_pass_untouched() -> None:
    play = Remote(relay_turns=False, transparent=True)
    play.say(e.SettingsRequested({"input_format": AudioFormat("pcm16", 16_000)}, "s1"))
    assert play.told(e.Failed)[0].fault.request_id == "s1"
    assert play.asked(e.SettingsRequested) == []


def test_item_with_text_and_no_audio_costs_nothing_to_hold() -> None:
    play = Remote(opened=False).say(e.ItemCreateRequested(Item("", "message", "user", content=(Part("input_text"),))))
    play.open()
    assert len(play.asked(e.ItemCreateRequested)) == 1
