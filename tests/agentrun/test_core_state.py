"""What a run knows: retries it counts, the context it hands out, and the list it is watched by."""

from typing import Any

import pytest

from agentrun._ambient import LiveSource
from agentrun._core._state import (
    GraphAgentDeps,
    GraphAgentState,
    begin_node,
    capture_run_messages,
    run_context_of,
    take_captured_messages,
)
from agentrun._output import OutputSchema
from agentrun._run_context import RunContext
from agentrun._tool_manager import ToolManager
from agentrun.exceptions import IncompleteToolCall, UnexpectedModelBehavior
from agentrun.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, ToolCallPart
from agentrun.models.test import TestModel
from agentrun.settings import ModelSettings
from agentrun.toolsets import FunctionToolset
from agentrun.usage import UsageLimits

EXCEEDED = 'Exceeded maximum retries (1) for output validation'


async def no_instructions(ctx: object) -> None:
    """Say nothing."""


def deps_of(state: GraphAgentState, **fields: Any) -> GraphAgentDeps[str, Any]:
    options: dict[str, Any] = {
        'user_deps': 'deps',
        'prompt': 'go',
        'new_message_index': 0,
        'model': TestModel(),
        'model_settings': None,
        'usage_limits': UsageLimits(),
        'max_result_retries': 1,
        'end_strategy': 'early',
        'get_instructions': no_instructions,
        'output_schema': OutputSchema.build(str),
        'output_validators': [],
        'validation_context': None,
        'history_processors': [],
        'builtin_tools': [],
        'tool_manager': ToolManager(FunctionToolset[str]()),
        'source': LiveSource(),
    }
    return GraphAgentDeps(**options | fields)


# Retries


def spent(*messages: ModelMessage) -> GraphAgentState:
    """A run that has used its only retry."""
    state = GraphAgentState(message_history=list(messages))
    state.increment_retries(1)
    return state


def cut_off(*parts: Any) -> ModelResponse:
    return ModelResponse(parts=list(parts), finish_reason='length')


def test_retries_are_counted_up_to_their_limit():
    state = spent()
    assert state.retries == 1
    with pytest.raises(UnexpectedModelBehavior) as caught:
        state.increment_retries(1)
    assert str(caught.value) == EXCEEDED
    assert caught.value.__cause__ is None


def test_the_reason_for_the_last_retry_is_the_cause():
    reason = ValueError('not this')
    with pytest.raises(UnexpectedModelBehavior) as caught:
        spent().increment_retries(1, reason)
    assert (str(caught.value), caught.value.__cause__) == (EXCEEDED, reason)


def test_the_cause_of_an_error_of_ours_stands_for_it():
    reason, ours = ValueError('not this'), UnexpectedModelBehavior('too often')
    ours.__cause__ = reason
    with pytest.raises(UnexpectedModelBehavior) as caught:
        spent().increment_retries(1, ours)
    assert caught.value.__cause__ is reason


@pytest.mark.parametrize('arguments', ['{"x": ', '[1]'])
@pytest.mark.parametrize(
    ('settings', 'limit'),
    [(None, 'provider default'), ({}, 'provider default'), ({'max_tokens': 5}, '5')],
)
def test_a_call_that_was_cut_off_is_told_with_the_limit_of_tokens(
    arguments: str, settings: ModelSettings | None, limit: str
):
    with pytest.raises(IncompleteToolCall) as caught:
        spent(cut_off(TextPart('so'), ToolCallPart('t', arguments))).increment_retries(1, model_settings=settings)
    assert str(caught.value) == (
        f'Model token limit ({limit}) exceeded while generating a tool call, resulting in incomplete arguments. '
        'Increase the `max_tokens` model setting, or simplify the prompt to result in a shorter response that will '
        'fit within the limit.'
    )


@pytest.mark.parametrize(
    'last',
    [
        ModelRequest(parts=[]),
        ModelResponse(parts=[ToolCallPart('t', '{"x": ')], finish_reason='stop'),
        cut_off(),
        cut_off(ToolCallPart('t', '{"x": '), TextPart('and')),
        cut_off(ToolCallPart('t', '{"x": 1}')),
        cut_off(ToolCallPart('t', '')),
    ],
    ids=['a request', 'not cut off', 'empty', 'text comes last', 'whole arguments', 'no arguments'],
)
def test_only_a_call_that_was_cut_off_is_taken_for_one(last: ModelMessage):
    with pytest.raises(UnexpectedModelBehavior) as caught:
        spent(last).increment_retries(1)
    assert (type(caught.value), str(caught.value)) == (UnexpectedModelBehavior, EXCEEDED)


# Nodes that are streamed


class Watcher:
    """A handler that notes which nodes it is told of."""

    def __init__(self) -> None:
        self.nodes: list[object] = []

    def node(self, node: object) -> None:
        self.nodes.append(node)


@pytest.mark.anyio
async def test_a_handler_is_told_once_of_each_node_that_is_streamed():
    watcher, first, second = Watcher(), object(), object()
    deps = deps_of(GraphAgentState(), handler=watcher)
    for node in (first, first, second):
        await begin_node(deps, node)
    assert watcher.nodes == [first, second]


@pytest.mark.anyio
async def test_a_streamed_node_is_noted_without_a_handler_too():
    deps, node = deps_of(GraphAgentState()), object()
    await begin_node(deps, node)
    assert deps.begun is node


# The context of a step


def test_a_context_tells_of_the_run():
    state = GraphAgentState(run_step=2, run_id='run')
    context = run_context_of(state, deps_of(state, validation_context='fixed'))
    assert (context.deps, context.prompt, context.run_step, context.run_id) == ('deps', 'go', 2, 'run')
    assert context.validation_context == 'fixed'
    assert context.usage is state.usage
    assert context.messages is state.message_history


def test_a_step_has_one_context():
    state = GraphAgentState(run_step=1)
    deps = deps_of(state)
    first = run_context_of(state, deps)
    assert run_context_of(state, deps) is first
    state.run_step = 2
    assert run_context_of(state, deps).run_step == 2
    assert first.run_step == 1


def test_a_validation_context_that_a_function_makes_is_made_each_time():
    def make(ctx: RunContext[str]) -> list[str]:
        return [ctx.deps]

    state = GraphAgentState()
    deps = deps_of(state, validation_context=make)
    first, second = run_context_of(state, deps), run_context_of(state, deps)
    assert first.validation_context == second.validation_context == ['deps']
    assert first.validation_context is not second.validation_context


# Messages that are watched


def test_nothing_is_captured_outside_a_block():
    assert take_captured_messages() is not take_captured_messages()


def test_the_first_to_ask_inside_a_block_gets_its_list():
    with capture_run_messages() as messages:
        assert take_captured_messages() is messages
        assert take_captured_messages() is not messages
    assert take_captured_messages() is not messages


def test_a_block_inside_a_block_shares_its_list_and_leaves_it_open():
    with capture_run_messages() as outer:
        with capture_run_messages() as inner:
            assert inner is outer
        assert take_captured_messages() is outer
