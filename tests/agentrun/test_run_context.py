import dataclasses
from contextlib import suppress

import pytest

from agentrun._records import changed
from agentrun._run_context import RunContext, get_current_run_context, set_current_run_context
from agentrun.usage import RunUsage
from tests.tool_helpers import StubModel


def context(**fields: object) -> RunContext[int]:
    return changed(RunContext(deps=7, model=StubModel(), usage=RunUsage()), **fields)


def test_the_attributes_are_those_that_are_documented():
    assert [field.name for field in dataclasses.fields(RunContext)] == [
        'deps',
        'model',
        'usage',
        'prompt',
        'messages',
        'validation_context',
        'retries',
        'tool_call_id',
        'tool_name',
        'retry',
        'max_retries',
        'run_step',
        'tool_call_approved',
        'partial_output',
        'run_id',
    ]


@pytest.mark.parametrize(('retry', 'last'), [(0, False), (1, False), (2, True)])
def test_the_last_attempt_is_the_one_with_no_retry_left(retry: int, last: bool):
    assert context(retry=retry, max_retries=2).last_attempt is last


def test_replace_of_dataclasses_works():
    first = context()
    second = dataclasses.replace(first, tool_name='a')
    assert (second.tool_name, second.deps, second.usage) == ('a', 7, first.usage)
    assert first.tool_name is None
    assert second == changed(first, tool_name='a')


def test_repr_leaves_out_defaults():
    assert repr(context(run_step=2)) == (
        'RunContext(deps=7, model=StubModel(), usage=RunUsage(), messages=[], retries={}, run_step=2)'
    )


def test_contexts_do_not_share_their_lists():
    assert context().messages is not context().messages
    assert context().retries is not context().retries


def test_the_current_context_is_known_inside_the_block_only():
    assert get_current_run_context() is None
    outer, inner = context(), context()
    with set_current_run_context(outer):
        with suppress(ZeroDivisionError), set_current_run_context(inner):
            assert get_current_run_context() is inner
            raise ZeroDivisionError
        assert get_current_run_context() is outer
    assert get_current_run_context() is None
