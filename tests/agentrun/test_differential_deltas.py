"""Every delta applied to every part and every delta, in both libraries: same result or same error."""

from collections.abc import Callable
from typing import Any

import pytest

import agentrun.messages
from tests.helpers import state_of

pytest.importorskip('pydantic_ai', reason='the library that is followed is not installed')

THEIRS: Any = pytest.importorskip('pydantic_ai.messages')
OURS: Any = agentrun.messages

Recipe = Callable[[Any], Any]


def grown(details: dict[str, Any] | None) -> dict[str, Any]:
    return {**(details or {}), 'grown': len(details or {})}


DELTAS: list[Recipe] = [
    lambda m: m.TextPartDelta('more'),
    lambda m: m.TextPartDelta('', provider_details={'b': 2}),
    lambda m: m.ThinkingPartDelta(),
    lambda m: m.ThinkingPartDelta(content_delta='more'),
    lambda m: m.ThinkingPartDelta(content_delta='', signature_delta=''),
    lambda m: m.ThinkingPartDelta(signature_delta='sig', provider_name='p', provider_details={'b': 2}),
    lambda m: m.ThinkingPartDelta(content_delta='more', provider_details=grown),
    lambda m: m.ThinkingPartDelta(content_delta='more', provider_details={}),
    lambda m: m.ToolCallPartDelta(tool_call_id='id'),
    lambda m: m.ToolCallPartDelta(tool_call_id='', args_delta=''),
    lambda m: m.ToolCallPartDelta(tool_call_id='id', tool_name_delta='', args_delta={}),
    lambda m: m.ToolCallPartDelta(tool_call_id='id', tool_name_delta='name', args_delta='{"a":'),
    lambda m: m.ToolCallPartDelta(tool_call_id='id', args_delta='1}', provider_details={'b': 2}),
    lambda m: m.ToolCallPartDelta(tool_call_id='id', args_delta={'b': 2}, provider_details={}),
    lambda m: m.ToolCallPartDelta(tool_call_id='id', tool_name_delta='name', args_delta={'a': 1}),
]
TARGETS: list[Recipe] = [
    *DELTAS,
    lambda m: m.TextPart('text'),
    lambda m: m.TextPart('text', id='i', provider_details={'a': 1}),
    lambda m: m.ThinkingPart('thought'),
    lambda m: m.ThinkingPart('', signature='s', provider_name='q', provider_details={'a': 1}),
    lambda m: m.ToolCallPart('tool', None, 'old'),
    lambda m: m.ToolCallPart('tool', '{', 'old', provider_details={'a': 1}),
    lambda m: m.ToolCallPart('tool', {'a': 1}, 'old', id='item'),
    lambda m: m.BuiltinToolCallPart('tool', '{', 'old', provider_name='p'),
    lambda m: m.FilePart(m.BinaryContent(b'', media_type='a/b')),
]


def outcome(m: Any, delta: Recipe, target: Recipe) -> object:
    before = target(m)
    shown = shape(before)
    try:
        result = delta(m).apply(before)
    except (ValueError, RuntimeError) as error:
        return type(error).__name__, str(error)
    assert shape(before) == shown
    return shape(result)


def shape(value: Any) -> object:
    details = getattr(value, 'provider_details', None)
    fields = {k: v for k, v in state_of(value).items() if k != 'provider_details'}
    return type(value).__name__, str(fields), details({'old': 1}) if callable(details) else details


@pytest.mark.parametrize('target', TARGETS)
@pytest.mark.parametrize('delta', DELTAS)
def test_applying_a_delta_gives_the_same(delta: Recipe, target: Recipe):
    assert outcome(OURS, delta, target) == outcome(THEIRS, delta, target)


@pytest.mark.parametrize('delta', DELTAS[8:])
def test_a_delta_as_a_part_is_the_same(delta: Recipe):
    assert repr(delta(OURS).as_part()) == repr(delta(THEIRS).as_part())
