"""Estimated usage: the sums of the followed library, at a cost in proportion to what is new."""

import gc
from typing import Any

import pytest

from agentrun.messages import (
    BinaryContent,
    BuiltinToolCallPart,
    BuiltinToolReturnPart,
    FilePart,
    ImageUrl,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    RetryPromptPart,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from agentrun.models._estimate import UsageEstimate, count_words, estimate_usage
from agentrun.usage import RequestUsage


def asked(*words: str) -> ModelRequest:
    return ModelRequest(parts=[UserPromptPart(word) for word in words])


def said(*words: str) -> ModelResponse:
    return ModelResponse(parts=[TextPart(word) for word in words])


def answer(message: ModelMessage) -> ModelResponse:
    assert isinstance(message, ModelResponse)
    return message


def conversation(length: int) -> list[ModelMessage]:
    return [said(f'word {place}') if place % 2 else asked(f'some more {place}') for place in range(length)]


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        ('', 0),
        ('one', 1),
        ('one two, three.four:five', 5),
        ('"quoted"', 3),
        (' blank ends ', 2),
        ([], 0),
        (['one two', 'three'], 3),
        (['one', ImageUrl('https://x/y.png')], 1),
        ([BinaryContent(b'12345', media_type='image/png')], 5),
    ],
)
def test_words_and_bytes_count(content: Any, words: int):
    assert count_words(content) == words


@pytest.mark.parametrize(
    ('part', 'tokens'),
    [
        (SystemPromptPart('a b'), 2),
        (UserPromptPart('a b c'), 3),
        (ToolReturnPart('t', {'a': 1}), 3),
        (RetryPromptPart('x', tool_name='t'), 8),
    ],
)
def test_parts_of_requests_count_as_input(part: Any, tokens: int):
    assert estimate_usage([ModelRequest(parts=[part])]) == RequestUsage(input_tokens=50 + tokens)


@pytest.mark.parametrize(
    ('part', 'tokens'),
    [
        (TextPart('a b'), 2),
        (ThinkingPart('a b'), 2),
        (ToolCallPart('t', ''), 2),
        (ToolCallPart('t', {'a': 1}), 4),
        (BuiltinToolCallPart('t', '{}'), 2),
        (BuiltinToolReturnPart('t', 'a b'), 2),
        (FilePart(BinaryContent(b'123', media_type='image/png')), 3),
    ],
)
def test_parts_of_responses_count_as_output(part: Any, tokens: int):
    assert estimate_usage([ModelResponse(parts=[part])]) == RequestUsage(input_tokens=50, output_tokens=tokens)


def test_a_conversation_that_grows_counts_as_if_it_were_counted_whole():
    messages, estimate = conversation(20), UsageEstimate()
    for end in range(1, 20, 2):
        assert estimate.of(messages[:end], answer(messages[end])) == estimate_usage(messages[: end + 1])


@pytest.mark.parametrize('place', [4, 5, 6])
def test_an_edit_of_the_last_exchange_or_after_it_counts(place: int):
    messages, estimate = conversation(8), UsageEstimate()
    estimate.of(messages[:5], answer(messages[5]))
    edited: Any = messages[place]
    edited.parts = [UserPromptPart('x y z')] if place % 2 == 0 else [TextPart('x y z')]
    assert estimate.of(messages[:7], answer(messages[7])) == estimate_usage(messages)


@pytest.mark.parametrize('kept', [slice(2, None), slice(4, None), slice(5, 7)])
def test_a_history_cut_short_is_counted_anew(kept: slice):
    messages, estimate = conversation(8), UsageEstimate()
    estimate.of(messages[:5], answer(messages[5]))
    rest = messages[:7][kept]
    assert estimate.of(rest, answer(messages[7])) == estimate_usage([*rest, messages[7]])


def test_conversations_do_not_mix():
    first, second, estimate = conversation(8), [asked('quite another'), *conversation(8)[1:]], UsageEstimate()
    for end in (1, 3, 5, 7):
        for messages in (first, second):
            got = estimate.of(messages[:end], answer(messages[end]))
            assert got == estimate_usage(messages[: end + 1])


def test_an_answer_to_nothing_counts_too():
    assert UsageEstimate().of([], said('a b')) == RequestUsage(input_tokens=50, output_tokens=2)


def test_nothing_is_kept_of_a_conversation_that_is_gone():
    estimate, messages = UsageEstimate(), conversation(6)
    for end in (1, 3, 5):
        estimate.of(messages[:end], answer(messages[end]))
    del messages
    gc.collect()
    assert estimate._marks == {}
