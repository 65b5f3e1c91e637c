"""Asking for answers, and the tool calls in between."""

from __future__ import annotations

from relay import commands as c
from relay import events as e
from relay import limits
from relay.nouns import (
    Item,
    ResponseOptions,
    Tool,
)
from tests.fakes.scenes import replying, stage
from tests.fakes.stage import Stage

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
