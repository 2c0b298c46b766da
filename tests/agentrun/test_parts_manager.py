"""Pieces of parts go in, events and parts come out."""

from collections.abc import Iterable
from typing import Any

import pytest

from agentrun._ambient import LogicalSource, use
from agentrun._parts_manager import ModelResponsePartsManager
from agentrun.exceptions import UnexpectedModelBehavior
from agentrun.messages import (
    BinaryContent,
    BuiltinToolCallPart,
    BuiltinToolReturnPart,
    FilePart,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
    ToolCallPartDelta,
)

TAGS = ('<think>', '</think>')
RETURN = BuiltinToolReturnPart('search', 'found', 'b')


@pytest.fixture
def manager() -> ModelResponsePartsManager:
    return ModelResponsePartsManager()


def holding(*parts: Any) -> ModelResponsePartsManager:
    """A manager whose parts have their places as vendor ids."""
    manager = ModelResponsePartsManager()
    for index, part in enumerate(parts):
        manager.handle_part(vendor_part_id=index, part=part)
    return manager


def texts(manager: ModelResponsePartsManager, contents: Iterable[str], **options: Any) -> list[Any]:
    return [event for content in contents for event in manager.handle_text_delta(content=content, **options)]


def test_text_begins_a_part_and_then_goes_on(manager: ModelResponsePartsManager):
    assert texts(manager, ['a', 'b'], vendor_part_id='x', id='i', provider_details={'k': 1}) == [
        PartStartEvent(index=0, part=TextPart('a', id='i', provider_details={'k': 1})),
        PartDeltaEvent(index=0, delta=TextPartDelta('b', provider_details={'k': 1})),
    ]
    assert manager.get_parts() == [TextPart('ab', id='i', provider_details={'k': 1})]


def test_text_without_an_id_goes_to_the_last_part_if_that_is_text():
    manager = holding(TextPart('a'), ThinkingPart('t'))
    texts(manager, ['b', 'c'], vendor_part_id=None)
    assert manager.get_parts() == [TextPart('a'), ThinkingPart('t'), TextPart('bc')]


def test_text_with_an_id_goes_to_its_part_wherever_that_stands():
    manager = holding(TextPart('a'), ThinkingPart('t'))
    texts(manager, ['b'], vendor_part_id=0)
    assert manager.get_parts() == [TextPart('ab'), ThinkingPart('t')]


def test_what_was_handed_out_stays_as_it_was(manager: ModelResponsePartsManager):
    events = texts(manager, ['a', 'b'], vendor_part_id=None)
    assert events[0].part == TextPart('a')


def test_text_counts_though_nobody_takes_its_event(manager: ModelResponsePartsManager):
    manager.handle_text_delta(vendor_part_id=None, content='a')
    assert manager.get_parts() == [TextPart('a')]


@pytest.mark.parametrize('blank', ['', ' \n'])
def test_leading_blanks_are_ignored_if_asked_for(blank: str, manager: ModelResponsePartsManager):
    assert texts(manager, [blank], vendor_part_id=None, ignore_leading_whitespace=True) == []
    texts(manager, ['a', ' ', 'b'], vendor_part_id=None, ignore_leading_whitespace=True)
    assert manager.get_parts() == [TextPart('a b')]


def test_text_between_tags_is_a_thought(manager: ModelResponsePartsManager):
    events = texts(manager, ['a', '<think>', 'b', 'c', '</think>', 'd'], vendor_part_id='x', thinking_tags=TAGS)
    assert events == [
        PartStartEvent(index=0, part=TextPart('a')),
        PartStartEvent(index=1, part=ThinkingPart('')),
        PartDeltaEvent(index=1, delta=ThinkingPartDelta(content_delta='b')),
        PartDeltaEvent(index=1, delta=ThinkingPartDelta(content_delta='c')),
        PartStartEvent(index=2, part=TextPart('d')),
    ]
    assert manager.get_parts() == [TextPart('a'), ThinkingPart('bc'), TextPart('d')]


def test_text_after_an_opening_tag_without_an_id_is_text(manager: ModelResponsePartsManager):
    texts(manager, ['<think>', 'a', '</think>'], vendor_part_id=None, thinking_tags=TAGS)
    assert manager.get_parts() == [ThinkingPart(''), TextPart('a</think>')]


def test_a_thought_begins_and_then_goes_on(manager: ModelResponsePartsManager):
    (start,) = manager.handle_thinking_delta(vendor_part_id='x', content='a', id='i', provider_details={'k': 1})
    (delta,) = manager.handle_thinking_delta(vendor_part_id='x', content='b', signature='s', provider_name='p')
    assert start == PartStartEvent(index=0, part=ThinkingPart('a', id='i', provider_details={'k': 1}))
    assert delta == PartDeltaEvent(
        index=0, delta=ThinkingPartDelta(content_delta='b', signature_delta='s', provider_name='p')
    )
    assert manager.get_parts() == [
        ThinkingPart('ab', id='i', signature='s', provider_name='p', provider_details={'k': 1})
    ]


def test_a_thought_without_an_id_goes_to_the_last_part_if_that_is_one():
    manager = holding(ThinkingPart('a'))
    manager.handle_thinking_delta(vendor_part_id=None, content='b')
    assert manager.get_parts() == [ThinkingPart('ab')]


def test_nothing_new_gives_no_event():
    assert list(holding(ThinkingPart('a')).handle_thinking_delta(vendor_part_id=None)) == []


def test_a_function_of_details_gets_those_that_are_there(manager: ModelResponsePartsManager):
    def grown(details: dict[str, Any] | None) -> dict[str, Any]:
        return {'steps': (details or {}).get('steps', 0) + 1}

    for _ in range(2):
        manager.handle_thinking_delta(vendor_part_id=None, provider_details=grown)
    assert manager.get_parts() == [ThinkingPart('', provider_details={'steps': 2})]


def test_a_thought_with_nothing_in_it_is_refused(manager: ModelResponsePartsManager):
    with pytest.raises(UnexpectedModelBehavior) as raised:
        manager.handle_thinking_delta(vendor_part_id=None, provider_name='p')
    assert str(raised.value) == 'Cannot create a ThinkingPart with no content, signature, or provider_details'


def test_a_tool_call_begins_with_its_tool_and_goes_on_with_its_id(manager: ModelResponsePartsManager):
    events = [
        manager.handle_tool_call_delta(vendor_part_id='x', args='{"a"'),
        manager.handle_tool_call_delta(vendor_part_id='x', tool_name='get', tool_call_id='c'),
        manager.handle_tool_call_delta(vendor_part_id='x', tool_name='_it', args=':1}'),
        manager.handle_tool_call_delta(vendor_part_id='x', tool_call_id='d'),
    ]
    assert events == [
        None,
        PartStartEvent(index=0, part=ToolCallPart('get', '{"a"', 'c')),
        PartDeltaEvent(index=0, delta=ToolCallPartDelta(tool_name_delta='_it', args_delta=':1}', tool_call_id='c')),
        PartDeltaEvent(index=0, delta=ToolCallPartDelta(tool_call_id='d')),
    ]
    assert manager.get_parts() == [ToolCallPart('get_it', '{"a":1}', 'd')]


def test_a_tool_call_without_a_tool_is_no_part_yet(manager: ModelResponsePartsManager):
    assert manager.handle_tool_call_delta(vendor_part_id='x', args='{') is None
    assert manager.handle_tool_call_delta(vendor_part_id='x', args='}') is None
    assert manager.get_parts() == []


def test_a_tool_name_without_an_id_begins_a_call_and_arguments_go_to_the_last_one(manager: ModelResponsePartsManager):
    for name, args in [('a', None), (None, '{}'), ('b', None), (None, '[]')]:
        manager.handle_tool_call_delta(vendor_part_id=None, tool_name=name, args=args, tool_call_id=name)
    assert manager.get_parts() == [ToolCallPart('a', '{}', 'a'), ToolCallPart('b', '[]', 'b')]


def test_a_piece_goes_to_a_call_of_a_built_in_tool_too():
    manager = holding(BuiltinToolCallPart('search', None, 'b'))
    event = manager.handle_tool_call_delta(vendor_part_id=0, args='{}')
    assert event == PartDeltaEvent(index=0, delta=ToolCallPartDelta(args_delta='{}', tool_call_id='b'))
    assert manager.get_parts() == [BuiltinToolCallPart('search', '{}', 'b')]


def test_a_delta_of_a_call_without_an_id_has_none_either():
    event = holding(ToolCallPart('a', None, '')).handle_tool_call_delta(vendor_part_id=0, args='{}')
    assert event == PartDeltaEvent(index=0, delta=ToolCallPartDelta(args_delta='{}'))


def test_a_call_that_comes_without_an_id_gets_one_from_the_source(manager: ModelResponsePartsManager):
    expected = LogicalSource('run').tool_call_id()
    with use(LogicalSource('run')):
        manager.handle_tool_call_delta(vendor_part_id='x', tool_name='a')
    with use(LogicalSource('run')):
        manager.handle_tool_call_part(vendor_part_id='y', tool_name='b', args=None)
    assert manager.get_parts() == [ToolCallPart('a', None, expected), ToolCallPart('b', None, expected)]


def test_a_whole_call_takes_the_place_of_the_one_before_it(manager: ModelResponsePartsManager):
    def call(args: str, vendor_part_id: str | None) -> object:
        return manager.handle_tool_call_part(
            vendor_part_id=vendor_part_id, tool_name='a', args=args, tool_call_id='c', id='i', provider_details={'k': 1}
        )

    def part(args: str) -> ToolCallPart:
        return ToolCallPart('a', args, 'c', id='i', provider_details={'k': 1})

    assert [call('1', 'x'), call('2', 'x'), call('3', None)] == [
        PartStartEvent(index=0, part=part('1')),
        PartStartEvent(index=0, part=part('2')),
        PartStartEvent(index=1, part=part('3')),
    ]
    assert manager.get_parts() == [part('2'), part('3')]


def test_a_whole_part_of_another_class_is_a_new_one_and_takes_the_id():
    manager = holding(TextPart('a'))
    assert manager.handle_part(vendor_part_id=0, part=RETURN) == PartStartEvent(index=1, part=RETURN)
    assert manager.handle_part(vendor_part_id=0, part=RETURN) == PartStartEvent(index=1, part=RETURN)
    assert manager.get_parts() == [TextPart('a'), RETURN]


@pytest.mark.parametrize(
    ('part', 'refused', 'method', 'piece'),
    [
        (ThinkingPart('t'), 'text', 'handle_text_delta', {'content': 'a'}),
        (RETURN, 'text', 'handle_text_delta', {'content': '<think>', 'thinking_tags': TAGS}),
        (TextPart('a'), 'thinking', 'handle_thinking_delta', {'content': 'b'}),
        (TextPart('a'), 'tool call', 'handle_tool_call_delta', {'tool_name': 'b'}),
        (FilePart(BinaryContent(b'', media_type='a/b')), 'tool call', 'handle_tool_call_delta', {}),
    ],
)
def test_a_piece_for_a_part_of_another_kind_is_refused(part: Any, refused: str, method: str, piece: dict[str, Any]):
    manager = holding(part)
    with pytest.raises(UnexpectedModelBehavior) as raised:
        getattr(manager, method)(vendor_part_id=0, **piece)
    assert str(raised.value) == f'Cannot apply a {refused} delta to existing_part={part!r}'
    assert manager.get_parts() == [part]


def test_arguments_of_another_form_are_refused_and_change_nothing():
    manager = holding(ToolCallPart('a', {'x': 1}, 'c'))
    with pytest.raises(UnexpectedModelBehavior, match='Cannot apply JSON deltas to non-JSON tool arguments'):
        manager.handle_tool_call_delta(vendor_part_id=0, args='{}')
    assert manager.get_parts() == [ToolCallPart('a', {'x': 1}, 'c')]


def test_a_manager_shows_its_parts_and_ids():
    assert repr(holding(TextPart('a'))) == (
        "ModelResponsePartsManager(_parts=[TextPart(content='a')], _vendor_id_to_part_index={0: 0})"
    )
