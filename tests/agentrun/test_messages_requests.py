"""Requests and their parts."""

from datetime import UTC, datetime

import pytest
from pydantic_core import ErrorDetails

from agentrun._ambient import BASE_TIME, LogicalSource, use
from agentrun.messages import ModelRequest, RetryPromptPart, SystemPromptPart, ToolReturnPart, UserPromptPart

TIME = datetime(2025, 1, 2, tzinfo=UTC)


def test_parts_read_clock_and_ids_from_the_one_door():
    expected = LogicalSource('r')
    with use(LogicalSource('r')):
        stamps = SystemPromptPart('a').timestamp, UserPromptPart('a').timestamp
        called, retried = ToolReturnPart('t', 1), RetryPromptPart('again')
    assert {*stamps, called.timestamp, retried.timestamp} == {BASE_TIME}
    assert [called.tool_call_id, retried.tool_call_id] == [expected.tool_call_id(), expected.tool_call_id()]


def test_a_request_has_no_time_and_no_run_of_its_own():
    request = ModelRequest.user_text_prompt('hi', instructions='be kind')
    assert (request.timestamp, request.run_id, request.instructions) == (None, None, 'be kind')
    assert [part.content for part in request.parts if isinstance(part, UserPromptPart)] == ['hi']


def test_the_repr_of_a_request_shows_what_is_set():
    request = ModelRequest(parts=[UserPromptPart('hi', timestamp=TIME)], run_id='r')
    assert repr(request) == (
        "ModelRequest(parts=[UserPromptPart(content='hi', timestamp=datetime.datetime(2025, 1, 2, 0, 0, "
        "tzinfo=datetime.timezone.utc))], run_id='r')"
    )


@pytest.mark.parametrize(
    ('content', 'text', 'wrapped'),
    [
        ('text', 'text', {'return_value': 'text'}),
        (None, 'null', {'return_value': None}),
        ({'a': b'\xff'}, '{"a":"_w=="}', {'a': '_w=='}),
        ([1, 2.5], '[1,2.5]', {'return_value': [1, 2.5]}),
        (TIME, '"2025-01-02T00:00:00Z"', {'return_value': '2025-01-02T00:00:00Z'}),
    ],
)
def test_a_return_has_a_form_for_models(content: object, text: str, wrapped: dict[str, object]):
    part = ToolReturnPart('t', content, 'id')
    assert part.model_response_str() == text
    assert part.model_response_object() == wrapped
    assert part.has_content() is (content is not None)


def test_a_textual_retry_without_a_tool_is_feedback():
    assert RetryPromptPart('be brief').model_response() == (
        'Validation feedback:\nbe brief\n\nFix the errors and try again.'
    )


def test_a_textual_retry_of_a_tool_stands_alone():
    assert RetryPromptPart('be brief', tool_name='t').model_response() == 'be brief\n\nFix the errors and try again.'


def test_a_retry_with_errors_lists_them_without_ctx():
    error: ErrorDetails = {
        'type': 'value_error',
        'loc': ('a', 0),
        'msg': 'no',
        'input': 1,
        'ctx': {'error': ValueError()},
    }
    listed = """\
  {
    "type": "value_error",
    "loc": [
      "a",
      0
    ],
    "msg": "no",
    "input": 1
  }"""
    assert RetryPromptPart([error], tool_name='t').model_response() == (
        f'1 validation error:\n```json\n[\n{listed}\n]\n```\n\nFix the errors and try again.'
    )
    assert RetryPromptPart([error, error]).model_response() == (
        f'2 validation errors:\n```json\n[\n{listed},\n{listed}\n]\n```\n\nFix the errors and try again.'
    )
