"""What the exceptions say, carry and survive."""

import copy
import pickle
from dataclasses import dataclass

import pytest
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from agentrun import exceptions
from agentrun.exceptions import (
    AgentRunError,
    ApprovalRequired,
    CallDeferred,
    FallbackExceptionGroup,
    IncompleteToolCall,
    ModelAPIError,
    ModelHTTPError,
    ModelRetry,
    ToolRetryError,
    UnexpectedModelBehavior,
    UsageLimitExceeded,
    UserError,
)


@dataclass
class Retry:
    """A stand-in for the part that the error carries."""

    content: list[ErrorDetails] | str
    tool_name: str | None = None


ERROR: ErrorDetails = {'type': 'int_parsing', 'loc': ('a', 0), 'msg': 'no int', 'input': 'x'}

EACH: list[BaseException] = [
    ModelRetry('again'),
    CallDeferred({'a': 1}),
    ApprovalRequired(),
    UserError('wrong'),
    AgentRunError('failed'),
    UsageLimitExceeded('too much'),
    UnexpectedModelBehavior('odd', '{"a":1}'),
    IncompleteToolCall('cut'),
    ModelAPIError('model', 'down'),
    ModelHTTPError(500, 'model', {'error': ['x']}),
    FallbackExceptionGroup('all failed', [ValueError('a')]),
    ToolRetryError(Retry([ERROR], 't')),
]


@pytest.mark.parametrize('error', EACH, ids=lambda error: type(error).__name__)
def test_every_exception_is_hashable_and_can_be_copied_and_pickled(error: BaseException):
    assert isinstance(hash(error), int)
    for restored in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(restored) is type(error)
        assert str(restored) == str(error)
        assert restored.__dict__.keys() == error.__dict__.keys()


def test_retries_with_the_same_message_are_equal():
    assert ModelRetry('a') == ModelRetry('a')
    assert hash(ModelRetry('a')) == hash(ModelRetry('a'))
    assert ModelRetry('a') != ModelRetry('b')
    assert ModelRetry('a') != ValueError('a')


def test_a_retry_has_a_form_in_json():
    adapter = TypeAdapter(ModelRetry)
    assert adapter.dump_json(ModelRetry('again')) == b'{"message":"again","kind":"model-retry"}'
    assert adapter.validate_json('{"message":"again","kind":"model-retry"}') == ModelRetry('again')
    with pytest.raises(ValidationError):
        adapter.validate_json('{"message":"again","kind":"other"}')


@pytest.mark.parametrize(
    ('body', 'shown'),
    [
        (None, 'odd'),
        ('', 'odd'),
        ('plain', 'odd, body:\nplain'),
        ('{"a":[1]}', 'odd, body:\n{\n  "a": [\n    1\n  ]\n}'),
        ('"é"', 'odd, body:\n"\\u00e9"'),
    ],
)
def test_a_body_is_laid_out_if_it_is_json(body: str | None, shown: str):
    assert str(UnexpectedModelBehavior('odd', body)) == shown


def test_an_http_error_tells_status_model_and_body():
    error = ModelHTTPError(429, 'gpt', {'m': 'slow down'})
    assert str(error) == "status_code: 429, model_name: gpt, body: {'m': 'slow down'}"
    assert (error.status_code, error.model_name, error.body) == (429, 'gpt', {'m': 'slow down'})


def test_a_retry_error_shows_its_text():
    assert str(ToolRetryError(Retry('be careful', 't'))) == 'be careful'


@pytest.mark.parametrize(
    ('errors', 'tool_name', 'shown'),
    [
        ([ERROR], 't', "1 validation error for 't'\na.0\n  no int [type=int_parsing, input_value='x']"),
        (
            [{**ERROR, 'loc': ()}, ERROR],
            None,
            (
                "2 validation errors\n__root__\n  no int [type=int_parsing, input_value='x']\n"
                "a.0\n  no int [type=int_parsing, input_value='x']"
            ),
        ),
        ([], None, '0 validation errors'),
    ],
)
def test_a_retry_error_renders_validation_errors(errors: list[ErrorDetails], tool_name: str | None, shown: str):
    error = ToolRetryError(Retry(errors, tool_name))
    assert str(error) == shown
    assert error.tool_retry.content == errors


def test_a_users_mistake_and_a_failed_run_are_runtime_errors():
    assert issubclass(UserError, RuntimeError)
    assert issubclass(AgentRunError, RuntimeError)
    assert issubclass(IncompleteToolCall, UnexpectedModelBehavior)


def test_every_exception_of_the_module_is_public():
    found = {
        name for name, value in vars(exceptions).items() if isinstance(value, type) and issubclass(value, Exception)
    }
    assert found == set(exceptions.__all__)
