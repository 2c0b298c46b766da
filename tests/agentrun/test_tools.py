import copy
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from agentrun._records import changed
from agentrun.exceptions import ModelRetry
from agentrun.messages import RetryPromptPart, ToolCallPart, ToolReturn
from agentrun.tools import (
    DeferredToolRequests,
    DeferredToolResults,
    RunContext,
    Tool,
    ToolApproved,
    ToolDefinition,
    ToolDenied,
    ToolKind,
)
from tests.helpers import type_of
from tests.tool_helpers import run_context

pytestmark = pytest.mark.anyio


def double(x: int) -> int:
    """Double it."""
    return 2 * x


@pytest.mark.parametrize(
    ('kind', 'defer'), [('function', False), ('output', False), ('external', True), ('unapproved', True)]
)
def test_only_calls_that_somebody_else_decides_are_deferred(kind: ToolKind, defer: bool):
    assert ToolDefinition(name='a', kind=kind).defer is defer


def test_definitions_are_equal_by_value_and_show_what_is_set():
    assert ToolDefinition(name='a') == ToolDefinition(name='a')
    assert ToolDefinition(name='a') != ToolDefinition(name='a', strict=True)
    assert repr(ToolDefinition(name='a', strict=True)) == (
        "ToolDefinition(name='a', parameters_json_schema={'type': 'object', 'properties': {}}, strict=True)"
    )


def test_a_tool_is_named_and_described_by_its_function():
    tool = Tool(double)
    assert (tool.name, tool.description, tool.takes_ctx) == ('double', 'Double it.', False)
    assert tool.tool_def.parameters_json_schema['required'] == ['x']


def test_a_tool_that_needs_approval_is_of_the_kind_that_waits():
    assert Tool(double, requires_approval=True).tool_def.kind == 'unapproved'


def test_each_definition_is_a_new_one():
    tool = Tool(double)
    tool.tool_def.strict = True
    assert tool.tool_def.strict is None


async def test_prepare_changes_the_definition():
    async def rename(ctx: RunContext[str], tool_def: ToolDefinition) -> ToolDefinition | None:
        return changed(tool_def, name=ctx.deps) if ctx.deps else None

    tool = Tool(double, prepare=rename)
    prepared = await tool.prepare_tool_def(run_context(deps='other'))
    assert prepared is not None
    assert prepared.name == 'other'
    assert await tool.prepare_tool_def(run_context(deps='')) is None


async def test_without_prepare_the_definition_is_the_tools_own():
    tool = Tool(double)
    assert await tool.prepare_tool_def(run_context()) == tool.tool_def


async def test_a_tool_from_a_schema_gets_what_the_model_sent_unchecked():
    async def f(ctx: RunContext[int], **arguments: Any) -> Any:
        return ctx.deps, arguments

    tool = Tool.from_schema(f, 'f', 'Do.', {'type': 'object'}, takes_ctx=True, sequential=True)
    validated = tool.function_schema.validator.validate_python({'x': 'no int', 'y': None})
    assert await tool.function_schema.call(validated, run_context(deps=3)) == (3, {'x': 'no int', 'y': None})
    assert tool.tool_def == ToolDefinition(
        name='f', description='Do.', parameters_json_schema={'type': 'object'}, sequential=True
    )


def test_denial_has_a_text_of_its_own():
    assert ToolDenied().message == 'The tool call was denied.'
    assert ToolDenied('no') == ToolDenied(message='no')


def test_requests_start_empty():
    requests = DeferredToolRequests()
    assert (requests.calls, requests.approvals, requests.metadata) == ([], [], {})
    assert requests.calls is not DeferredToolRequests().calls


def test_results_are_loaded_by_their_kind():
    adapter = TypeAdapter(DeferredToolResults)
    retry = RetryPromptPart('again', tool_call_id='i')
    results = DeferredToolResults(
        calls={'a': ToolReturn(return_value=1), 'b': ModelRetry('again'), 'c': retry, 'd': {'other': 1}},
        approvals={'e': True, 'f': ToolApproved(override_args={'x': 1}), 'g': ToolDenied('no')},
    )
    assert adapter.validate_json(adapter.dump_json(results)) == results


def test_an_approval_of_no_kind_is_refused():
    with pytest.raises(ValidationError):
        TypeAdapter(DeferredToolResults).validate_python({'approvals': {'a': {'kind': 'maybe'}}})


@pytest.mark.parametrize(
    'value',
    [
        ToolDefinition(name='a', strict=True, metadata={'b': 1}),
        DeferredToolRequests(calls=[ToolCallPart('a', {'x': 1}, 'id')], metadata={'id': {'b': 1}}),
        ToolApproved(override_args={'x': 1}),
        ToolDenied('no'),
    ],
)
def test_values_come_back_from_json(value: Any):
    adapter = TypeAdapter[Any](type_of(value))
    assert adapter.validate_json(adapter.dump_json(value)) == value


@pytest.mark.parametrize('value', [Tool(double), ToolDefinition(name='a'), run_context(), DeferredToolResults()])
def test_values_can_be_copied_whole(value: Any):
    shown = repr(value)
    assert repr(copy.copy(value)) == shown
    assert copy.copy(value) == value
