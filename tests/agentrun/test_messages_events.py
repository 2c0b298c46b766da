"""Events."""

import pytest

from agentrun import messages
from agentrun.messages import (
    BuiltinToolCallPart,
    BuiltinToolReturnPart,
    FunctionToolCallEvent,
    FunctionToolResultEvent,
    PartStartEvent,
    RetryPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
)


def test_events_of_a_call_and_of_its_result_have_the_calls_id():
    call = FunctionToolCallEvent(ToolCallPart('t', tool_call_id='id'))
    assert call.tool_call_id == 'id'
    assert FunctionToolResultEvent(ToolReturnPart('t', 1, 'id')).tool_call_id == 'id'
    assert FunctionToolResultEvent(RetryPromptPart('again', tool_call_id='id')).tool_call_id == 'id'


def test_the_older_name_of_the_id_works_and_warns():
    call = FunctionToolCallEvent(ToolCallPart('t', tool_call_id='id'))
    with pytest.warns(DeprecationWarning, match='`call_id` is deprecated, use `tool_call_id` instead'):
        assert call.call_id == 'id'  # pyright: ignore[reportDeprecated]


def test_events_of_built_in_tools_work_and_warn():
    with pytest.warns(DeprecationWarning, match='`BuiltinToolCallEvent` is deprecated, look for `PartStartEvent`'):
        call = messages.BuiltinToolCallEvent(  # pyright: ignore[reportDeprecated]
            BuiltinToolCallPart('t', tool_call_id='id')
        )
    with pytest.warns(DeprecationWarning, match='`BuiltinToolResultEvent` is deprecated, look for `PartStartEvent`'):
        result = messages.BuiltinToolResultEvent(  # pyright: ignore[reportDeprecated]
            BuiltinToolReturnPart('t', 1, 'id')
        )
    assert (call.event_kind, result.event_kind) == ('builtin_tool_call', 'builtin_tool_result')
    assert call.part.tool_call_id == result.result.tool_call_id


def test_an_event_shows_what_is_set():
    assert repr(PartStartEvent(index=0, part=TextPart('a'))) == "PartStartEvent(index=0, part=TextPart(content='a'))"
