from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from agentrun import _ambient
from agentrun._outcomes import ToolRetried, ToolReturned, return_parts
from agentrun.exceptions import ModelRetry, UserError
from agentrun.messages import BinaryContent, ImageUrl, ToolCallPart, ToolReturn, ToolReturnPart

CALL = ToolCallPart('look', {}, 'id')
IMAGE = BinaryContent(b'png', media_type='image/png')
URL = ImageUrl('https://x.test/a.png', identifier='pic')


def parts(value: Any) -> tuple[Any, Any]:
    part, content = return_parts(CALL, ToolReturned(value))
    assert (part.tool_name, part.tool_call_id) == ('look', 'id')
    return part.content, content


@pytest.mark.parametrize('value', [None, 5, 'text', {'a': 1}, [], [1, 'a'], (1, 2), b'x', object()])
def test_a_plain_value_is_the_content(value: Any):
    assert parts(value) == (value, None)


def test_a_file_goes_to_the_user_prompt_and_is_referred_to():
    assert parts(URL) == ('See file pic', ['This is file pic:', URL])
    name = IMAGE.identifier
    assert parts(IMAGE) == (f'See file {name}', [f'This is file {name}:', IMAGE])


def test_files_in_a_list_stay_in_the_order_of_the_list():
    name = IMAGE.identifier
    assert parts([1, URL, 'x', IMAGE]) == (
        [1, 'See file pic', 'x', f'See file {name}'],
        ['This is file pic:', URL, f'This is file {name}:', IMAGE],
    )


def test_a_list_of_one_stays_a_list():
    assert parts([5]) == ([5], None)
    assert parts([URL]) == (['See file pic'], ['This is file pic:', URL])


def test_a_tool_return_says_everything_itself():
    returned = ToolReturn(return_value={'a': 1}, content=['look', URL], metadata={'cost': 1})
    part, content = return_parts(CALL, ToolReturned(returned))
    assert part == ToolReturnPart('look', {'a': 1}, 'id', metadata={'cost': 1}, timestamp=part.timestamp)
    assert content == ['look', URL]


def test_a_tool_return_without_content_needs_no_user_prompt():
    assert parts(ToolReturn(return_value=1)) == (1, None)
    assert parts(ToolReturn(return_value=1, content='')) == (1, None)


def test_a_tool_return_in_a_list_is_refused():
    with pytest.raises(UserError) as caught:
        parts([ToolReturn(return_value=1)])
    assert str(caught.value) == (
        "The return value of tool 'look' contains invalid nested `ToolReturn` objects. "
        '`ToolReturn` should be used directly.'
    )


@pytest.mark.parametrize('value', [URL, [1, URL]])
def test_a_file_as_the_value_of_a_tool_return_is_refused(value: Any):
    with pytest.raises(UserError) as caught:
        parts(ToolReturn(return_value=value))
    assert str(caught.value) == (
        "The `return_value` of tool 'look' contains invalid nested `MultiModalContent` objects. "
        'Please use `content` instead.'
    )


def test_the_part_is_stamped_by_the_clock_of_the_run(monkeypatch: pytest.MonkeyPatch):
    moment = datetime(2025, 1, 2, tzinfo=UTC)
    source = _ambient.LiveSource()

    def stopped(_: object) -> datetime:
        return moment

    monkeypatch.setattr(type(source), 'now', stopped)
    assert return_parts(CALL, ToolReturned(1))[0].timestamp == moment


def test_a_retry_tells_the_model_what_the_error_says():
    error = ModelRetry('again')
    assert ToolRetried.from_error(error) == ToolRetried('again', error)


def test_a_validation_error_is_told_without_url_and_context():
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(dict[str, int]).validate_python({'a': 'x'})
    retried = ToolRetried.from_error(caught.value)
    assert retried.error is caught.value
    assert retried.content == [
        {
            'type': 'int_parsing',
            'loc': ('a',),
            'msg': 'Input should be a valid integer, unable to parse string as an integer',
            'input': 'x',
        }
    ]
