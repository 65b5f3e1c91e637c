"""The conversation as a specification: what the caller reads and what the model is asked, event by event."""

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
    Item,
    Part,
    ResponseOptions,
    Settings,
    SpokenWord,
    Tool,
    Transcription,
    TurnDetection,
)
from tests.fakes.stage import MS_16K, Stage

VAD = TurnDetection()


def stage(detection: TurnDetection | None = VAD, **plan: object) -> Stage:
    settings = Settings(model="local/agent", turn_detection=detection, transcription=Transcription())
    return Stage(settings, **plan).open()


def names(events: list[e.Event]) -> list[str]:
    return [type(event).__name__ for event in events]


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


def test_greeting_is_spoken_when_the_session_opens() -> None:
    play = stage(greeting="Hello, how can I help?")
    assert play.last_work(c.Speak).text == "Hello, how can I help?"
    assert play.told(e.ResponseStarted)


# --- a spoken turn


def test_spoken_turn_event_order() -> None:
    play = stage().turn("what time is it")
    play.think("It is noon. ").sound(500)
    assert names(play.caller)[1:] == [
        "SpeechStarted", "SpeechStopped", "AudioCommitted", "ItemAdded", "ItemFinished", "ResponseStarted",
        "InputTranscribed", "OutputItemStarted", "TranscriptProduced", "AudioProduced", "OutputItemFinished",
        "ResponseFinished",
    ]  # fmt: skip
    ids = {play.told(kind)[0].item_id for kind in (e.SpeechStarted, e.SpeechStopped, e.AudioCommitted)}
    assert ids == {play.told(e.ItemAdded)[0].item.id}


def test_model_hears_only_turns_and_their_padding() -> None:
    play = stage()
    play.audio(1000)
    assert play.asked(e.AudioAppended) == []
    play.hearing.speak(start_ms=700)
    play.audio(100)
    sent = sum(len(event.audio) for event in play.asked(e.AudioAppended)) // 32
    assert sent == 400, "from the padding (700 ms) to what was heard by now (1,100 ms)"
    assert play.told(e.SpeechStarted)[0].audio_start_ms == 700


def test_create_response_false_turn_is_committed_and_nothing_is_answered() -> None:
    play = stage(replace(VAD, create_response=False)).turn()
    assert play.told(e.AudioCommitted)
    assert play.told(e.ResponseStarted) == []


def test_no_detection_commit_does_not_answer_and_request_does() -> None:
    play = stage(None)
    play.audio(200).say(e.CommitRequested())
    assert names(play.caller)[1:] == ["AudioCommitted", "ItemAdded", "ItemFinished"]
    play.say(e.ResponseRequested())
    assert play.told(e.ResponseStarted)
    assert play.told(e.SpeechStarted) == []


def test_commit_of_too_little_audio_is_refused_with_the_callers_id() -> None:
    play = stage(None).audio(20).say(e.CommitRequested(request_id="c1"))
    fault = play.told(e.Failed)[0].fault
    assert (fault.code, fault.request_id) == ("input_audio_buffer_commit_empty", "c1")


def test_clear_forgets_the_turn() -> None:
    play = stage(None).audio(500).say(e.ClearRequested()).say(e.CommitRequested())
    assert names(play.caller)[1:] == ["AudioCleared", "Failed"]


def test_commit_by_hand_while_speaking_takes_the_announced_item() -> None:
    play = stage().speak(300).say(e.CommitRequested())
    assert play.told(e.AudioCommitted)[0].item_id == play.told(e.SpeechStarted)[0].item_id
    assert play.hearing.resets == 1


def test_turn_without_end_is_committed_at_the_bound() -> None:
    play = stage().speak(1000)
    for _ in range(int(limits.MAX_TURN_S) + 1):
        play.audio(1000)
    assert len(play.told(e.AudioCommitted)) == 1


# --- interruption


def replying(play: Stage, *, speech_ms: int = 2000) -> Stage:
    """An answer is being spoken; `speech_ms` of it were sent, more is being thought of."""
    play.turn("tell me a story")
    ref = play.last_work(c.Think).ref
    play.engine(e.ReplyProduced(ref, "Once upon a time there was a fox. And "))
    words = tuple(SpokenWord(f"w{n} ", n * 100.0) for n in range(speech_ms // 100))
    play.engine(e.SpeechProduced(play.last_work(c.Speak).ref, MS_16K * speech_ms, words))
    return play


def test_interruption_does_the_six_steps_in_order() -> None:
    play = replying(stage()).advance(0.75)
    response = play.told(e.ResponseStarted)[-1].response_id
    item = play.told(e.AudioProduced)[-1].item_id
    before = len(play.commands)
    play.speak(20)
    steps = [x for x in play.commands[before:] if isinstance(x, c.FlushCaller | c.ToCaller | c.ToModel)]
    said = [type(x.event).__name__ if not isinstance(x, c.FlushCaller) else "FlushCaller" for x in steps]
    assert said[:5] == ["FlushCaller", "SpeechStarted", "TurnOpened", "CancelRequested", "ItemTruncateRequested"]
    cancel, cut = steps[3].event, steps[4].event
    assert (cancel.reason, cut.item_id, cut.audio_end_ms) == ("turn_detected", item, 750)
    finished = play.told(e.ResponseFinished)[-1]
    assert (finished.response_id, finished.status, finished.reason) == (response, "cancelled", "turn_detected")


def test_interruption_transcript_keeps_exactly_the_heard_words() -> None:
    play = replying(stage()).advance(0.75).speak(20)
    kept = [entry for entry in play.cascade.conversation.items() if entry.role == "assistant"]
    assert kept[0].content[0].text == "".join(f"w{n} " for n in range(8)), "w7: 700 to 800 ms"
    assert kept[0].status == "incomplete"


def test_interruption_late_deltas_of_the_answer_are_dropped() -> None:
    play = replying(stage()).speak(20)
    response = play.told(e.ResponseStarted)[-1].response_id
    count = len(play.caller)
    play.say(e.AudioProduced(response, "item_x", MS_16K * 20)).say(e.TranscriptProduced(response, "item_x", "late"))
    assert len(play.caller) == count


def test_interruption_after_generation_ended_still_flushes_and_truncates_without_cancel() -> None:
    play = stage().turn().think("Short. ").sound(3000).advance(1.0)
    assert play.told(e.ResponseFinished)
    play.speak(20)
    assert play.asked(e.CancelRequested) == []
    assert [cut.audio_end_ms for cut in play.asked(e.ItemTruncateRequested)] == [1000]
    assert any(isinstance(x, c.FlushCaller) for x in play.work)


def test_speech_after_everything_was_heard_truncates_nothing() -> None:
    play = stage().turn().think("Short. ").sound(500).advance(1.0).speak(20)
    assert play.asked(e.ItemTruncateRequested) == []
    assert len(play.told(e.SpeechStarted)) == 2


def test_interruption_before_the_first_audio_cancels_and_truncates_nothing() -> None:
    play = stage().turn().speak(20)
    assert len(play.asked(e.CancelRequested)) == 1
    assert play.asked(e.ItemTruncateRequested) == []


def test_interrupt_response_false_not_one_cancel_is_sent() -> None:
    play = replying(stage(replace(VAD, interrupt_response=False)))
    for _ in range(5):
        play.speak(100).fall_silent().advance(0.2)
    assert play.asked(e.CancelRequested) == []
    assert play.asked(e.ItemTruncateRequested) == []
    assert not any(isinstance(x, c.FlushCaller) for x in play.work)
    assert len(play.told(e.SpeechStarted)) == 6


def test_interrupt_response_false_next_turn_is_answered_when_the_answer_is_over() -> None:
    play = replying(stage(replace(VAD, interrupt_response=False)))
    first = play.last_work(c.Think).ref
    play.speak(100).fall_silent()
    ref = play.last_work(c.FinishListening).ref
    play.engine(e.TranscriptHeard(ref, "and then", True))
    assert len(play.told(e.ResponseStarted)) == 1
    play.engine(e.ReplyFinished(first)).engine(e.SpeechFinished(play.last_work(c.Speak).ref))
    play.advance(0.1).sound(100)
    assert len(play.told(e.ResponseStarted)) == 2


def test_callers_own_truncation_refines_what_was_heard() -> None:
    play = replying(stage()).advance(0.75).speak(20)
    item = play.told(e.AudioProduced)[-1].item_id
    play.say(e.ItemTruncateRequested(item, 430, strict=False))
    kept = [entry for entry in play.cascade.conversation.items() if entry.id == item]
    assert kept[0].content[0].text == "w0 w1 w2 w3 "


def test_two_interruptions_leave_one_answer_each() -> None:
    play = replying(stage()).speak(100).fall_silent()
    play.engine(e.TranscriptHeard(play.last_work(c.FinishListening).ref, "wait", True)).speak(100).fall_silent()
    play.engine(e.TranscriptHeard(play.last_work(c.FinishListening).ref, "no", True))
    play.think("Yes. ").sound(100).advance(1.0)
    started, finished = play.told(e.ResponseStarted), play.told(e.ResponseFinished)
    assert [x.response_id for x in started] == [x.response_id for x in finished]
    assert [x.status for x in finished] == ["cancelled", "cancelled", "completed"]


# --- asking for answers


def test_request_while_active_by_openai_caller_is_refused_with_its_id() -> None:
    play = replying(stage()).say(e.ResponseRequested(ResponseOptions(instructions="x"), request_id="r1"))
    fault = play.told(e.Failed)[-1].fault
    assert (fault.code, fault.request_id) == ("conversation_already_has_active_response", "r1")
    assert len(play.told(e.ResponseStarted)) == 1


def test_request_while_active_by_ai_sdk_caller_takes_over() -> None:
    play = replying(stage()).say(e.ResponseRequested(takeover=True))
    assert [x.status for x in play.told(e.ResponseFinished)] == ["cancelled"]
    assert len(play.told(e.ResponseStarted)) == 2


def test_out_of_band_answer_runs_beside_the_active_one() -> None:
    options = ResponseOptions(out_of_band=True, modality="text", metadata={"k": "v"})
    play = replying(stage()).say(e.ResponseRequested(options))
    oob = play.told(e.ResponseStarted)[-1]
    assert oob.conversation_id is None
    play.engine(e.ReplyProduced(oob.response_id, "aside")).engine(e.ReplyFinished(oob.response_id))
    assert play.told(e.ResponseFinished)[-1].response_id == oob.response_id
    assert play.session.answers.active == play.told(e.ResponseStarted)[0].response_id
    assert "aside" not in str(play.cascade.conversation.items())


def test_cancel_by_caller_ends_the_answer() -> None:
    play = replying(stage()).say(e.CancelRequested())
    assert [(x.status, x.reason) for x in play.told(e.ResponseFinished)] == [("cancelled", "client_cancelled")]


def test_cancel_of_nothing_is_an_error_only_where_the_dialect_says_so() -> None:
    play = stage().say(e.CancelRequested(strict=False))
    assert play.told(e.Failed) == []
    play.say(e.CancelRequested(request_id="x"))
    assert play.told(e.Failed)[0].fault.code == "response_cancel_not_active"


def test_answer_that_produces_nothing_is_ended_and_the_caller_told() -> None:
    play = stage().turn().advance(limits.REPLY_STALL_S + 1)
    assert play.told(e.Failed)[-1].fault.code == "response_stalled"
    assert len(play.told(e.ResponseFinished)) >= 1
    assert not play.session.answers.busy


def test_transcript_that_does_not_come_is_given_up_and_the_turn_goes_on() -> None:
    play = stage().speak().fall_silent().advance(limits.TRANSCRIPT_DEADLINE_S + 0.1)
    assert play.told(e.TranscriptionFailed)
    assert isinstance(play.last_work(c.Think), c.Think)


# --- tools

WEATHER = Tool("get_weather", "Weather of a city")


def called(play: Stage, name: str = "get_weather", call_id: str = "call_1", arguments: str = "{}") -> Stage:
    ref = play.last_work(c.Think).ref
    return play.engine(e.ReplyToolCalled(ref, call_id, name, arguments))


def output(call_id: str = "call_1") -> e.ItemCreateRequested:
    return e.ItemCreateRequested(Item("", "function_call_output", call_id=call_id, output='"ok"'))


def thought(play: Stage) -> Stage:
    return play.engine(e.ReplyFinished(play.last_work(c.Think).ref))


def test_caller_tool_is_sent_to_the_caller_and_nothing_continues_by_itself() -> None:
    play = thought(called(stage().turn()))
    assert play.told(e.ToolCalled)[0].name == "get_weather"
    play.say(output())
    assert len(play.told(e.ResponseStarted)) == 1
    play.say(e.ResponseRequested())
    assert len(play.told(e.ResponseStarted)) == 2


def test_caller_asks_before_the_calling_response_is_done_continuation_waits_for_it() -> None:
    play = called(stage().turn()).say(output()).say(e.ResponseRequested())
    assert len(play.told(e.ResponseStarted)) == 1
    assert play.told(e.Failed) == []
    thought(play)
    assert len(play.told(e.ResponseStarted)) == 2


def test_parallel_calls_answered_in_reverse_order_continue_once() -> None:
    play = thought(called(called(stage().turn(), call_id="a"), call_id="b"))
    play.say(output("b")).say(e.ResponseRequested())
    assert len(play.told(e.ResponseStarted)) == 1, "one output is missing"
    play.say(output("a"))
    assert len(play.told(e.ResponseStarted)) == 2


def test_server_tool_is_run_hidden_and_continued_once() -> None:
    play = stage(server_tools=(WEATHER,), show_tools=False).turn()
    thought(called(play, arguments='{"city":"Paris"}'))
    assert play.last_work(c.RunTool) == c.RunTool("call_1", "get_weather", '{"city":"Paris"}')
    play.say(e.ToolAnswered("call_1", '{"c":21}'))
    assert len(play.asked(e.ResponseRequested)) == 2
    shown = [x for x in play.caller if "get_weather" in str(x) or "call_1" in str(x)]
    assert shown == []
    history = play.last_work(c.Think).history
    assert [item.type for item in history][-2:] == ["function_call", "function_call_output"]


def test_server_tool_shown_appears_as_a_call_already_made() -> None:
    play = thought(called(stage(server_tools=(WEATHER,)).turn()))
    play.say(e.ToolAnswered("call_1", "21"))
    shown = [x.item for x in play.told(e.ItemFinished) if x.item.type == "mcp_call"]
    assert [item.extra["output"] for item in shown] == ["21"]
    assert play.told(e.ToolCalled) == []


def test_audio_flows_while_a_server_tool_runs() -> None:
    play = thought(called(stage(server_tools=(WEATHER,)).turn()))
    play.advance(5.0).speak(100)
    assert play.asked(e.AudioAppended)[-1].audio


def test_tool_that_does_not_answer_is_answered_for_and_the_talk_goes_on() -> None:
    play = thought(called(stage(server_tools=(WEATHER,), tool_deadlines_s={"get_weather": 2.0}).turn())).advance(2.1)
    assert c.StopTool("call_1") in play.work
    assert play.told(e.Warned)[-1].code == "tool_timeout"
    answer = [x.item.output for x in play.asked(e.ItemCreateRequested)]
    assert "timeout" in answer[0]
    assert len(play.asked(e.ResponseRequested)) == 2
    play.say(e.ToolAnswered("call_1", "late"))
    assert len(play.asked(e.ItemCreateRequested)) == 1


def test_caller_that_never_answers_its_tool_is_answered_for() -> None:
    play = thought(called(stage().turn())).advance(limits.TOOL_DEADLINE_S + 0.1)
    assert len(play.told(e.ResponseStarted)) == 2
    play.say(output())
    assert play.told(e.Warned)[-1].code == "tool_already_answered"
    play.say(e.ResponseRequested())
    assert len(play.told(e.ResponseStarted)) == 2, "the continuation it asks for was made already"


def test_same_call_without_end_is_stopped_and_the_model_made_to_speak() -> None:
    play = stage(server_tools=(WEATHER,)).turn()
    for n in range(20):
        if not play.session.answers.busy:
            break
        thought(called(play, call_id=f"call_{n}"))
        play.say(e.ToolAnswered(f"call_{n}", "again"))
    runs = [x for x in play.work if isinstance(x, c.RunTool)]
    assert len(runs) == limits.TOOL_REPEAT_LIMIT
    assert "tool_loop" in [x.code for x in play.told(e.Warned)]
    assert play.asked(e.ResponseRequested)[limits.TOOL_REPEAT_LIMIT + 1].options.tool_choice == "none"


def test_tool_answer_after_an_interruption_is_delivered_and_the_next_answer_pays_for_it() -> None:
    play = thought(called(stage(server_tools=(WEATHER,)).turn()))
    play.speak(100)
    play.say(e.ToolAnswered("call_1", "21"))
    assert len(play.asked(e.ItemCreateRequested)) == 1
    assert len(play.asked(e.ResponseRequested)) == 1, "not while the caller speaks"
    play.fall_silent()
    assert len(play.asked(e.ResponseRequested)) == 2, "one answer for both"


def test_call_of_an_interrupted_answer_is_answered_too() -> None:
    play = replying(stage(server_tools=(WEATHER,))).speak(20)
    response = play.told(e.ResponseStarted)[0].response_id
    play.say(e.ToolCalled(response, "item_late", "call_late", "get_weather", "{}"))
    assert [x.item.call_id for x in play.asked(e.ItemCreateRequested)] == ["call_late"]
    assert not any(isinstance(x, c.RunTool) for x in play.work)


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
