"""Responses and their parts."""

from typing import Any

import pytest

from agentrun._ambient import BASE_TIME, LogicalSource, use
from agentrun.messages import (
    BinaryContent,
    BinaryImage,
    BuiltinToolCallPart,
    BuiltinToolReturnPart,
    FilePart,
    ModelResponse,
    ModelResponsePart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
)

CALL = ToolCallPart('t', tool_call_id='c')


def test_a_response_reads_clock_and_ids_from_the_one_door():
    with use(LogicalSource('r')):
        response = ModelResponse(parts=[ToolCallPart('t')])
    assert response.timestamp == BASE_TIME
    assert response.tool_calls[0].tool_call_id == LogicalSource('r').tool_call_id()


@pytest.mark.parametrize(
    ('parts', 'text'),
    [
        ([], None),
        ([CALL], None),
        ([TextPart('')], ''),
        ([TextPart('a'), TextPart('b')], 'ab'),
        ([TextPart('a'), CALL, TextPart('b'), TextPart('c')], 'a\n\nbc'),
    ],
)
def test_text_joins_neighbours_and_parts_the_rest(parts: list[ModelResponsePart], text: str | None):
    assert ModelResponse(parts=parts).text == text


@pytest.mark.parametrize(
    ('parts', 'thinking'),
    [
        ([TextPart('a')], None),
        ([ThinkingPart('a')], 'a'),
        ([ThinkingPart('a'), ThinkingPart('b')], 'a\n\nb'),
    ],
)
def test_thoughts_are_joined_by_blank_lines(parts: list[ModelResponsePart], thinking: str | None):
    assert ModelResponse(parts=parts).thinking == thinking


def test_files_and_images_are_found():
    file, image = BinaryContent(b'', media_type='a/b'), BinaryImage(b'x', media_type='image/png')
    response = ModelResponse(parts=[FilePart(file), CALL, FilePart(image)])
    assert response.files == [file, image]
    assert response.images == [image]
    assert response.tool_calls == [CALL]
    assert [part.has_content() for part in response.parts] == [False, False, True]


def test_built_in_calls_are_paired_with_their_returns():
    calls = [BuiltinToolCallPart('search', tool_call_id=number) for number in ('1', '2', '3')]
    returns = [BuiltinToolReturnPart('search', 'found', tool_call_id=number) for number in ('3', '1', '4')]
    response = ModelResponse(parts=[*calls, *returns])
    assert response.builtin_tool_calls == [(calls[0], returns[1]), (calls[2], returns[0])]
    assert ModelResponse(parts=returns).builtin_tool_calls == []


@pytest.mark.parametrize(
    ('args', 'as_dict', 'as_text', 'has_content'),
    [
        (None, {}, '{}', False),
        ('', {}, '{}', False),
        ({}, {}, '{}', False),
        (' {"a": 1 }', {'a': 1}, ' {"a": 1 }', True),
        ({'a': [1.5]}, {'a': [1.5]}, '{"a":[1.5]}', True),
        ({'a': 0, 'b': ''}, {'a': 0, 'b': ''}, '{"a":0,"b":""}', False),
    ],
)
def test_arguments_can_be_read_as_object_and_as_text(
    args: str | dict[str, Any] | None, as_dict: dict[str, Any], as_text: str, has_content: bool
):
    call = ToolCallPart('t', args)
    assert call.args_as_dict() == as_dict
    assert call.args_as_json_str() == as_text
    assert call.has_content() is has_content


def test_arguments_that_are_no_object_are_an_error():
    with pytest.raises(AssertionError, match='args should be a dict'):
        ToolCallPart('t', '[1]').args_as_dict()
    with pytest.raises(ValueError, match='EOF while parsing'):
        ToolCallPart('t', '{').args_as_dict()


def test_parts_know_whether_there_is_anything_in_them():
    assert [TextPart('').has_content(), TextPart(' ').has_content()] == [False, True]
    assert [ThinkingPart('').has_content(), ThinkingPart('x').has_content()] == [False, True]


@pytest.mark.parametrize(
    ('old', 'new'),
    [
        ('vendor_details', 'provider_details'),
        ('vendor_id', 'provider_response_id'),
        ('provider_request_id', 'provider_response_id'),
    ],
)
def test_an_older_name_works_and_warns(old: str, new: str):
    response = ModelResponse(parts=[], provider_details={'a': 1}, provider_response_id='r')
    with pytest.warns(DeprecationWarning, match=f'`{old}` is deprecated, use `{new}` instead'):
        assert getattr(response, old) == getattr(response, new)
