"""Counting usage and holding it to limits."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from agentrun import usage as usage_module
from agentrun.exceptions import UsageLimitExceeded
from agentrun.usage import RequestUsage, RunUsage, UsageLimits


def test_usage_shows_only_what_is_set():
    assert repr(RequestUsage()) == 'RequestUsage()'
    assert repr(RequestUsage(input_tokens=1, details={'a': 2})) == "RequestUsage(input_tokens=1, details={'a': 2})"


def test_usage_dumps_its_counters_in_order():
    assert TypeAdapter(RunUsage).dump_json(RunUsage(requests=1)).decode() == (
        '{"input_tokens":0,"cache_write_tokens":0,"cache_read_tokens":0,"output_tokens":0,"input_audio_tokens":0,'
        '"cache_audio_read_tokens":0,"output_audio_tokens":0,"details":{},"requests":1,"tool_calls":0}'
    )


def test_old_names_load_in_a_requests_usage():
    loaded = TypeAdapter(RequestUsage).validate_json('{"request_tokens":3,"response_tokens":4,"details":null}')
    assert loaded == RequestUsage(input_tokens=3, output_tokens=4)


def test_a_request_is_one_request():
    assert RequestUsage().requests == 1
    assert RequestUsage(input_tokens=2, output_tokens=3).total_tokens == 5


@pytest.mark.parametrize(
    ('usage', 'has'),
    [
        (RequestUsage(), False),
        (RequestUsage(details={'a': 0}), True),
        (RunUsage(), False),
        (RunUsage(tool_calls=1), True),
    ],
)
def test_usage_knows_whether_anything_is_set(usage: RequestUsage | RunUsage, has: bool):
    assert usage.has_values() is has


def test_requests_add_up_and_details_add_key_by_key():
    first, second = (
        RequestUsage(input_tokens=1, details={'a': 1}),
        RequestUsage(output_tokens=2, details={'a': 2, 'b': 3}),
    )
    assert first + second == RequestUsage(input_tokens=1, output_tokens=2, details={'a': 3, 'b': 3})


def test_adding_changes_neither_operand():
    first, second = RunUsage(details={'a': 1}), RunUsage(details={'a': 2})
    assert (first + second).details == {'a': 3}
    assert (first.details, second.details) == ({'a': 1}, {'a': 2})


def test_audio_output_is_not_summed():
    assert (RunUsage(output_audio_tokens=1) + RequestUsage(output_audio_tokens=2)).output_audio_tokens == 1


def test_a_runs_usage_takes_requests_and_tool_calls_from_another_runs_only():
    total = RunUsage(requests=1, tool_calls=1)
    total.incr(RequestUsage(input_tokens=5))
    total.incr(RunUsage(requests=2, tool_calls=3, cache_read_tokens=1))
    assert total == RunUsage(requests=3, tool_calls=4, input_tokens=5, cache_read_tokens=1)


def test_telemetry_leaves_out_zeros():
    usage = RequestUsage(input_tokens=1, output_tokens=2, cache_read_tokens=3, details={'a': 4, 'zero': 0})
    assert usage.opentelemetry_attributes() == {
        'gen_ai.usage.input_tokens': 1,
        'gen_ai.usage.output_tokens': 2,
        'gen_ai.usage.details.a': 4,
        'gen_ai.usage.details.cache_read_tokens': 3,
    }
    assert RequestUsage().opentelemetry_attributes() == {}


@pytest.mark.parametrize(
    ('owner', 'name', 'value'),
    [
        (RequestUsage(input_tokens=1), 'request_tokens', 1),
        (RunUsage(output_tokens=2), 'response_tokens', 2),
        (UsageLimits(input_tokens_limit=3), 'request_tokens_limit', 3),
        (UsageLimits(output_tokens_limit=4), 'response_tokens_limit', 4),
    ],
)
def test_an_older_name_works_and_warns(owner: object, name: str, value: int):
    with pytest.warns(DeprecationWarning, match=f'`{name}` is deprecated, use `'):
        assert getattr(owner, name) == value


def test_the_older_class_works_and_warns():
    with pytest.warns(DeprecationWarning, match='`Usage` is deprecated, use `RunUsage` instead'):
        usage = usage_module.Usage(requests=1)  # pyright: ignore[reportDeprecated]
    assert isinstance(usage, RunUsage)


LIMITS: list[tuple[dict[str, Any], str, RunUsage, str | None]] = [
    ({}, 'check_before_request', RunUsage(requests=49), None),
    ({}, 'check_before_request', RunUsage(requests=50), 'The next request would exceed the request_limit of 50'),
    ({'request_limit': None}, 'check_before_request', RunUsage(requests=99), None),
    ({'input_tokens_limit': 9}, 'check_before_request', RunUsage(input_tokens=9), None),
    (
        {'input_tokens_limit': 9},
        'check_before_request',
        RunUsage(input_tokens=10),
        'The next request would exceed the input_tokens_limit of 9 (input_tokens=10)',
    ),
    (
        {'total_tokens_limit': 9},
        'check_before_request',
        RunUsage(input_tokens=5, output_tokens=5),
        'The next request would exceed the total_tokens_limit of 9 (total_tokens=10)',
    ),
    ({'output_tokens_limit': 9}, 'check_before_request', RunUsage(output_tokens=10), None),
    ({'output_tokens_limit': 10}, 'check_tokens', RunUsage(output_tokens=10), None),
    (
        {'output_tokens_limit': 10},
        'check_tokens',
        RunUsage(output_tokens=11),
        'Exceeded the output_tokens_limit of 10 (output_tokens=11)',
    ),
    (
        {'input_tokens_limit': 1, 'total_tokens_limit': 1},
        'check_tokens',
        RunUsage(input_tokens=2),
        'Exceeded the input_tokens_limit of 1 (input_tokens=2)',
    ),
    ({'tool_calls_limit': 6}, 'check_before_tool_call', RunUsage(tool_calls=6), None),
    ({}, 'check_before_tool_call', RunUsage(tool_calls=99), None),
    (
        {'tool_calls_limit': 6},
        'check_before_tool_call',
        RunUsage(tool_calls=8),
        'The next tool call(s) would exceed the tool_calls_limit of 6 (tool_calls=8).',
    ),
]


@pytest.mark.parametrize(('limits', 'check', 'usage', 'message'), LIMITS)
def test_a_limit_holds_and_says_so(limits: dict[str, Any], check: str, usage: RunUsage, message: str | None):
    def run() -> None:
        getattr(UsageLimits(**limits), check)(usage)

    if message is None:
        run()
    else:
        with pytest.raises(UsageLimitExceeded) as error:
            run()
        assert str(error.value) == message


def test_limits_know_whether_they_bound_tokens():
    assert not UsageLimits(tool_calls_limit=1).has_token_limits()
    assert UsageLimits(total_tokens_limit=0).has_token_limits()


def test_limits_show_only_what_differs_from_the_default():
    assert repr(UsageLimits(request_limit=None, input_tokens_limit=1)) == (
        'UsageLimits(request_limit=None, input_tokens_limit=1)'
    )


def test_limits_take_the_older_argument_names():
    limits = UsageLimits(request_tokens_limit=1, response_tokens_limit=2)  # pyright: ignore[reportDeprecated]
    assert limits == UsageLimits(input_tokens_limit=1, output_tokens_limit=2)
