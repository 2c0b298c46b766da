"""Deltas and what they add up to."""

from typing import Any

import pytest

from agentrun._ambient import LogicalSource, use
from agentrun.exceptions import UnexpectedModelBehavior
from agentrun.messages import (
    BuiltinToolCallPart,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
    ToolCallPartDelta,
)

TEXT, THOUGHT, CALL = TextPart('a'), ThinkingPart('a'), ToolCallPart('t', '{', 'id')


def grown(details: dict[str, Any] | None) -> dict[str, Any]:
    return {**(details or {}), 'grown': len(details or {})}


def test_text_is_appended_and_details_are_merged():
    part = TextPart('a', id='i', provider_details={'x': 1})
    assert TextPartDelta('b', provider_details={'y': 2}).apply(part) == TextPart(
        'ab', id='i', provider_details={'x': 1, 'y': 2}
    )
    assert part == TextPart('a', id='i', provider_details={'x': 1})
    assert TextPartDelta('b').apply(TEXT) == TextPart('ab')


def test_a_text_delta_takes_text_only():
    with pytest.raises(ValueError, match='Cannot apply TextPartDeltas to non-TextParts'):
        TextPartDelta('b').apply(THOUGHT)


def test_thoughts_are_appended_and_the_rest_replaced():
    part = ThinkingPart('a', signature='old', provider_name='p', provider_details={'x': 1})
    delta = ThinkingPartDelta(content_delta='b', signature_delta='new', provider_name='q', provider_details={'y': 2})
    assert delta.apply(part) == ThinkingPart(
        'ab', signature='new', provider_name='q', provider_details={'x': 1, 'y': 2}
    )
    assert ThinkingPartDelta().apply(part) == part


def test_details_of_a_thought_can_be_a_function_of_the_old_ones():
    part = ThinkingPart('a', provider_details={'x': 1})
    assert ThinkingPartDelta(provider_details=grown).apply(part).provider_details == {'x': 1, 'grown': 1}


def test_thinking_deltas_add_up():
    first = ThinkingPartDelta(content_delta='a', provider_details={'x': 1})
    then = ThinkingPartDelta(content_delta='b', signature_delta='s', provider_name='p', provider_details={'y': 2})
    assert then.apply(first) == ThinkingPartDelta(
        content_delta='ab', signature_delta='s', provider_name='p', provider_details={'x': 1, 'y': 2}
    )
    assert ThinkingPartDelta(signature_delta='s').apply(first) == ThinkingPartDelta(
        content_delta='a', signature_delta='s', provider_details={'x': 1}
    )


@pytest.mark.parametrize(
    ('first', 'then', 'expected'),
    [
        (grown, grown, {'x': 1, 'grown': 2}),
        (grown, {'y': 2}, {'x': 1, 'grown': 1, 'y': 2}),
        ({'y': 2}, grown, {'x': 1, 'grown': 1}),
    ],
)
def test_details_that_are_functions_are_chained(first: Any, then: Any, expected: dict[str, Any]):
    delta = ThinkingPartDelta(content_delta='b', provider_details=then).apply(
        ThinkingPartDelta(content_delta='a', provider_details=first)
    )
    assert isinstance(delta, ThinkingPartDelta)
    assert callable(delta.provider_details)
    assert delta.provider_details({'x': 1}) == expected


def test_an_empty_thinking_delta_adds_nothing_to_another():
    with pytest.raises(ValueError, match='Cannot apply ThinkingPartDelta with no content or signature'):
        ThinkingPartDelta(provider_name='p').apply(ThinkingPartDelta(content_delta='a'))


def test_a_thinking_delta_takes_thoughts_only():
    with pytest.raises(ValueError, match='Cannot apply ThinkingPartDeltas to non-ThinkingParts'):
        ThinkingPartDelta(content_delta='b').apply(TEXT)


@pytest.mark.parametrize('kind', [ToolCallPart, BuiltinToolCallPart])
def test_a_call_grows_by_its_deltas(kind: type[ToolCallPart]):
    part = kind('get', '{"a":', 'id', provider_details={'x': 1})
    delta = ToolCallPartDelta(tool_name_delta='_it', args_delta='1}', tool_call_id='new', provider_details={'y': 2})
    assert delta.apply(part) == kind('get_it', '{"a":1}', 'new', provider_details={'x': 1, 'y': 2})
    assert part == kind('get', '{"a":', 'id', provider_details={'x': 1})


def test_arguments_that_are_objects_are_merged():
    assert ToolCallPartDelta(args_delta={'b': 2}).apply(ToolCallPart('t', {'a': 1}, 'id')) == ToolCallPart(
        't', {'a': 1, 'b': 2}, 'id'
    )
    assert ToolCallPartDelta(args_delta={'b': 2}).apply(ToolCallPart('t', None, 'id')).tool_call_id == 'id'


def test_a_delta_that_says_nothing_leaves_the_part_as_it_is():
    assert ToolCallPartDelta().apply(CALL) is CALL


def test_text_and_object_arguments_do_not_mix():
    with pytest.raises(UnexpectedModelBehavior) as error:
        ToolCallPartDelta(args_delta='{').apply(ToolCallPart('t', {}, 'id'))
    assert str(error.value) == (
        "Cannot apply JSON deltas to non-JSON tool arguments (part=ToolCallPart(tool_name='t', args={}, "
        "tool_call_id='id'), self=ToolCallPartDelta(args_delta='{'))"
    )
    with pytest.raises(UnexpectedModelBehavior) as error:
        ToolCallPartDelta(args_delta={}).apply(ToolCallPartDelta(args_delta='{'))
    assert str(error.value) == (
        "Cannot apply dict deltas to non-dict tool arguments (delta=ToolCallPartDelta(args_delta='{'), "
        'self=ToolCallPartDelta(args_delta={}))'
    )


def test_a_delta_becomes_a_part_when_it_has_a_name():
    first = ToolCallPartDelta(args_delta='{', tool_call_id='id')
    assert first.as_part() is None
    second = ToolCallPartDelta(args_delta='}').apply(first)
    assert second == ToolCallPartDelta(args_delta='{}', tool_call_id='id')
    named = ToolCallPartDelta(tool_name_delta='t', provider_details={'a': 1}).apply(second)
    assert named == ToolCallPart('t', '{}', 'id', provider_details={'a': 1})


def test_a_part_made_of_a_delta_without_an_id_gets_one_from_the_one_door():
    with use(LogicalSource('r')):
        part = ToolCallPartDelta(tool_name_delta='t').as_part()
    assert part == ToolCallPart('t', None, LogicalSource('r').tool_call_id())


def test_a_call_delta_takes_calls_only():
    with pytest.raises(ValueError, match='Can only apply ToolCallPartDeltas to ToolCallParts'):
        ToolCallPartDelta(args_delta='x').apply(TEXT)
