"""Who has the floor: turns and interruptions, event by event."""

from __future__ import annotations

from dataclasses import replace

from relay import commands as c
from relay import events as e
from relay import limits
from tests.fakes.scenes import VAD, names, replying, stage
from tests.fakes.stage import MS_16K

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
