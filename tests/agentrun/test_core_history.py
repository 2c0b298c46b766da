"""Merging neighbours: what is sent is the merged history, however it grew."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrun._ambient import BASE_TIME
from agentrun._core._history import SentHistory, merged
from agentrun.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    RetryPromptPart,
    TextPart,
    ToolReturnPart,
    UserPromptPart,
)


def request(*words: str, **rest: Any) -> ModelRequest:
    return ModelRequest(parts=[UserPromptPart(word, timestamp=BASE_TIME) for word in words], **rest)


def response(word: str, **rest: Any) -> ModelResponse:
    return ModelResponse(parts=[TextPart(word)], timestamp=BASE_TIME, **rest)


def test_messages_that_alternate_stay_the_same_objects():
    messages: list[ModelMessage] = [request('a'), response('b'), request('c')]
    assert [id(message) for message in merged(messages)] == [id(message) for message in messages]


@pytest.mark.parametrize(
    ('first', 'second', 'both'),
    [(None, None, None), ('i', None, 'i'), (None, 'i', 'i'), ('i', 'i', 'i'), ('', 'i', 'i')],
)
def test_requests_whose_instructions_agree_become_one(first: str | None, second: str | None, both: str | None):
    assert merged([request('a', instructions=first), request('b', instructions=second)]) == [
        request('a', 'b', instructions=both)
    ]


def test_requests_with_other_instructions_stay_apart():
    messages: list[ModelMessage] = [request('a', instructions='i'), request('b', instructions='j')]
    assert merged(messages) == messages


def test_tool_parts_of_merged_requests_come_first_in_their_order():
    retry, returned = RetryPromptPart('no', tool_name='t'), ToolReturnPart('t', 'yes')
    (one,) = merged([request('a'), ModelRequest(parts=[retry]), request('b'), ModelRequest(parts=[returned])])
    assert [part.part_kind for part in one.parts] == ['retry-prompt', 'tool-return', 'user-prompt', 'user-prompt']


def test_a_merged_request_has_the_later_timestamp_that_is_set():
    (one,) = merged([request('a', timestamp=BASE_TIME), request('b')])
    assert one.timestamp == BASE_TIME


def test_responses_of_nobody_become_one():
    (one,) = merged([response('a'), response('b'), response('c')])
    assert [part.content for part in one.parts if isinstance(part, TextPart)] == ['a', 'b', 'c']


@pytest.mark.parametrize('origin', ['model_name', 'provider_name', 'provider_response_id'])
@pytest.mark.parametrize('place', [0, 1])
def test_responses_of_a_model_stay_apart(origin: str, place: int):
    messages: list[ModelMessage] = [response('a'), response('b')]
    setattr(messages[place], origin, 'x')
    assert merged(messages) == messages


def test_nothing_that_is_merged_is_changed():
    messages: list[ModelMessage] = [request('a'), request('b')]
    merged(messages)
    assert messages == [request('a'), request('b')]


MESSAGES = st.lists(
    st.one_of(
        st.builds(request, st.sampled_from('ab'), instructions=st.sampled_from([None, 'i', 'j'])),
        st.builds(response, st.sampled_from('ab'), model_name=st.sampled_from([None, None, 'm'])),
    ),
    max_size=12,
)


@given(MESSAGES, st.lists(st.integers(0, 12), max_size=4))
def test_a_history_that_grows_is_sent_as_if_it_were_merged_whole(messages: list[ModelMessage], stops: list[int]):
    sent = SentHistory()
    for stop in [*sorted(stops), len(messages)]:
        history = messages[:stop]
        assert sent.of(history) == merged(history)


@given(MESSAGES, MESSAGES)
def test_a_history_that_was_replaced_is_looked_at_anew(first: list[ModelMessage], second: list[ModelMessage]):
    sent = SentHistory()
    sent.of(first)
    assert sent.of(second) == merged(second)


def test_what_is_sent_is_a_list_of_its_own():
    history: list[ModelMessage] = [request('a')]
    assert SentHistory().of(history) is not history
