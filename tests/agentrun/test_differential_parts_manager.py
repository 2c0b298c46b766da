"""Arbitrary pieces of parts through both libraries: same events, same errors, same parts after each."""

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import agentrun._parts_manager
import agentrun.messages
from tests.both import stable

pytest.importorskip('pydantic_ai', reason='the library that is followed is not installed')

THEIRS: Any = pytest.importorskip('pydantic_ai._parts_manager')
THEIR_MESSAGES: Any = pytest.importorskip('pydantic_ai.messages')

Step: TypeAlias = tuple[str, dict[str, Any]]
"""A method of the manager, and what it is given; a part is given as a function of the library's messages."""


def grown(details: dict[str, Any] | None) -> dict[str, Any]:
    return {**(details or {}), 'grown': len(details or {})}


PARTS: list[Callable[[Any], Any]] = [
    lambda m: m.TextPart('whole'),
    lambda m: m.ThinkingPart('whole', signature='s'),
    lambda m: m.ToolCallPart('tool', {'a': 1}, 'id'),
    lambda m: m.ToolCallPart('tool', '{', ''),
    lambda m: m.BuiltinToolCallPart('tool', None, 'id', provider_name='p'),
    lambda m: m.FilePart(m.BinaryContent(b'x', media_type='image/png')),
]

_ids = st.sampled_from([None, None, 0, 1, 'x'])
_texts = st.sampled_from(['', ' ', 'a', 'b c', '<think>', '</think>'])
_details = st.sampled_from([None, {}, {'a': 1}, {'b': 2}])
_args = st.sampled_from([None, '', '{"a":', '1}', {}, {'a': 1}])
_names = st.sampled_from([None, None, '', 'tool', '_x'])
_maybe = st.sampled_from([None, '', 'i', 'j'])


def _step(method: str, **values: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    return st.tuples(st.just(method), st.fixed_dictionaries({'vendor_part_id': _ids, **values}))


STEPS = st.lists(
    _step(
        'handle_text_delta',
        content=_texts,
        id=_maybe,
        provider_details=_details,
        thinking_tags=st.sampled_from([None, ('<think>', '</think>')]),
        ignore_leading_whitespace=st.booleans(),
    )
    | _step(
        'handle_thinking_delta',
        content=st.none() | _texts,
        id=_maybe,
        signature=_maybe,
        provider_name=_maybe,
        provider_details=_details | st.just(grown),
    )
    | _step('handle_tool_call_delta', tool_name=_names, args=_args, tool_call_id=_maybe, provider_details=_details)
    | _step(
        'handle_tool_call_part',
        tool_name=st.sampled_from(['', 'tool']),
        args=_args,
        tool_call_id=_maybe,
        id=_maybe,
        provider_details=_details,
    )
    | _step('handle_part', part=st.sampled_from(PARTS)),
    max_size=12,
)


def seen(library: Any, messages: Any, steps: list[Step]) -> list[object]:
    """What each step gives and leaves behind."""
    manager = library.ModelResponsePartsManager()
    shown: list[object] = []
    for method, values in steps:
        given = {**values, 'part': values['part'](messages)} if 'part' in values else values
        try:
            made: Any = getattr(manager, method)(**given)
            shown.append(list(map(repr, made if hasattr(made, '__next__') else [made])))
        except (ValueError, RuntimeError) as error:
            shown.append([type(error).__name__, str(error)])
        shown.append(repr(manager.get_parts()))
    return [*shown, sorted(map(str, manager._vendor_id_to_part_index.items()))]


@given(STEPS)
@example(
    [
        ('handle_tool_call_delta', {'vendor_part_id': 0, 'args': '{'}),
        ('handle_text_delta', {'vendor_part_id': None, 'content': 'a'}),
    ]
)
def test_arbitrary_pieces_give_the_same(steps: list[Step]):
    assert stable(seen(agentrun._parts_manager, agentrun.messages, steps)) == stable(
        seen(THEIRS, THEIR_MESSAGES, steps)
    )
