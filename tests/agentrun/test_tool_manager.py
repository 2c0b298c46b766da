from contextlib import suppress
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, BaseModel, TypeAdapter, ValidationError

from agentrun._outcomes import ToolDeferred, ToolRetried, ToolReturned
from agentrun._output import OutputSchema
from agentrun._tool_manager import ToolManager
from agentrun.exceptions import ApprovalRequired, CallDeferred, ModelRetry, UnexpectedModelBehavior
from agentrun.messages import RetryPromptPart
from agentrun.tools import RunContext, Tool, ToolDefinition
from agentrun.toolsets import CombinedToolset, ExternalToolset, FunctionToolset
from tests.tool_helpers import call, managed, run_context

pytestmark = pytest.mark.anyio


class Answer(BaseModel):
    value: int


def double(x: int) -> int:
    if x < 0:
        raise ModelRetry('not below zero')
    return 2 * x


async def report(ctx: RunContext[Any]) -> Any:
    return (
        ctx.tool_name,
        ctx.tool_call_id,
        ctx.retry,
        ctx.max_retries,
        ctx.last_attempt,
        ctx.tool_call_approved,
        ctx.partial_output,
    )


def defer(approval: bool) -> None:
    raise (ApprovalRequired if approval else CallDeferred)({'why': approval})


def load(text: str) -> int:
    return TypeAdapter(int).validate_json(text)


def explode() -> None:
    raise ZeroDivisionError('boom')


TOOLS = FunctionToolset[Any]([double, Tool(report, max_retries=2), defer, load, explode])


def outputs() -> Any:
    schema = OutputSchema[Any].build(Answer)
    assert schema.toolset is not None
    return schema.toolset


def retried(outcome: object) -> ToolRetried:
    assert isinstance(outcome, ToolRetried)
    return outcome


async def test_tools_are_known_in_a_step_only():
    manager = ToolManager(TOOLS)
    with pytest.raises(ValueError, match=r'^ToolManager has not been prepared for a run step yet$'):
        _ = manager.tool_defs
    prepared = await manager.for_run_step(run_context())
    assert [tool_def.name for tool_def in prepared.tool_defs] == ['double', 'report', 'defer', 'load', 'explode']


async def test_a_definition_is_found_by_name():
    manager = await managed(TOOLS)
    assert manager.get_tool_def('double') == Tool(double).tool_def
    assert manager.get_tool_def('other') is None


async def test_the_same_step_keeps_its_manager():
    manager = await managed(TOOLS)
    assert await manager.for_run_step(run_context(run_step=1)) is manager
    assert await manager.for_run_step(run_context(run_step=2)) is not manager


async def test_arguments_are_validated_without_running_anything():
    manager = await managed(TOOLS)
    assert manager.validate(call('double', '{"x": "-3"}')) == {'x': -3}
    assert manager.validate(call('double', {'x': -3})) == {'x': -3}
    assert manager.failed_tools == set()


@pytest.mark.parametrize('args', ['', None, {}, '{}'])
async def test_nothing_counts_as_no_arguments(args: Any):
    assert (await managed(TOOLS)).validate(call('report', args)) == {}


@pytest.mark.parametrize('args', ['{"x": "a"}', {'x': 'a'}])
async def test_wrong_arguments_are_told_without_url_and_context(args: Any):
    outcome = retried((await managed(TOOLS)).validate(call('double', args)))
    assert outcome.content == [
        {
            'type': 'int_parsing',
            'loc': ('x',),
            'msg': 'Input should be a valid integer, unable to parse string as an integer',
            'input': 'a',
        }
    ]
    assert isinstance(outcome.error, ValidationError)


async def test_arguments_of_a_stream_may_end_early():
    manager = await managed(FunctionToolset[Any]([load]))
    assert manager.validate(call('load', '{"text": "ab'), allow_partial=True) == {'text': 'ab'}
    assert isinstance(manager.validate(call('load', '{"text": "ab')), ToolRetried)


async def test_the_validation_context_reaches_validators():
    def f(x: Annotated[int, AfterValidator(lambda x, info: (x, info.context))]) -> Any:
        return x

    manager = await managed(FunctionToolset[Any]([f]), validation_context='context')
    assert await manager.execute(call('f', {'x': 1})) == ToolReturned((1, 'context'))
    assert await manager.execute(call('f', '{"x": 1}')) == ToolReturned((1, 'context'))


@pytest.mark.parametrize(
    ('toolset', 'text'),
    [
        (FunctionToolset[Any](), "Unknown tool name: 'other'. No tools available."),
        (FunctionToolset[Any]([double, load]), "Unknown tool name: 'other'. Available tools: 'double', 'load'"),
    ],
)
async def test_an_unknown_tool_is_told_with_those_that_are_known(toolset: FunctionToolset[Any], text: str):
    manager = await managed(toolset)
    assert retried(manager.validate(call('other'))).content == text
    assert retried(await manager.execute(call('other'))).error == ModelRetry(text)


async def test_a_tool_runs_in_the_context_of_its_call():
    manager = await managed(TOOLS, retries={'report': 2})
    expected = ('report', 'call_report', 2, 2, True, False, False)
    assert await manager.execute(call('report')) == ToolReturned(expected)
    outcome = await manager.execute(call('report'), approved=True, allow_partial=True)
    assert outcome == ToolReturned((*expected[:5], True, True))


async def test_a_retry_asked_for_by_the_tool_is_an_outcome():
    outcome = retried(await (await managed(TOOLS)).execute(call('double', {'x': -1})))
    assert outcome == ToolRetried('not below zero', ModelRetry('not below zero'))


async def test_a_validation_error_in_the_tool_counts_as_one_of_its_arguments():
    outcome = retried(await (await managed(TOOLS)).execute(call('load', {'text': 'no'})))
    assert isinstance(outcome.error, ValidationError)


async def test_wrong_arguments_run_nothing():
    assert retried(await (await managed(TOOLS)).execute(call('double', '{'))).content != []


@pytest.mark.parametrize(('approval', 'kind'), [(False, 'external'), (True, 'unapproved')])
async def test_a_call_that_the_tool_puts_off_is_an_outcome(approval: bool, kind: Any):
    outcome = await (await managed(TOOLS)).execute(call('defer', {'approval': approval}))
    assert outcome == ToolDeferred(kind, {'why': approval})


async def test_an_output_cannot_be_put_off():
    def answer(x: int) -> int:
        raise CallDeferred

    toolset = OutputSchema[Any].build(answer).toolset
    assert toolset is not None
    with pytest.raises(CallDeferred):
        await (await managed(toolset)).execute(call('final_result', {'x': 1}))


async def test_any_other_error_is_raised_as_itself():
    with pytest.raises(ZeroDivisionError, match=r'^boom$') as caught:
        await (await managed(TOOLS)).execute(call('explode'))
    assert caught.value.__context__ is None


async def test_an_external_tool_is_not_called():
    manager = await managed(ExternalToolset[Any]([ToolDefinition(name='a')]))
    with pytest.raises(RuntimeError, match=r'^External tools cannot be called$'):
        await manager.execute(call('a'))


async def test_an_output_tool_returns_the_output():
    assert await (await managed(outputs())).execute(call('final_result', {'value': '5'})) == ToolReturned(
        Answer(value=5)
    )


async def test_only_function_tools_that_return_are_counted():
    manager = await managed(CombinedToolset[Any]([TOOLS, outputs()]))
    usage = run_context().usage if manager.ctx is None else manager.ctx.usage
    returned = ToolReturned(1)
    assert manager.settle(call('double'), returned) is returned
    assert usage.tool_calls == 1
    assert manager.settle(call('final_result'), returned) is returned
    manager.settle(call('double'), ToolRetried('again'))
    deferred = ToolDeferred('external', None)
    assert manager.settle(call('double'), deferred) is deferred
    assert usage.tool_calls == 1


async def test_a_retry_becomes_the_part_that_tells_the_model():
    manager = await managed(TOOLS)
    part = manager.settle(call('double'), ToolRetried('again'))
    assert isinstance(part, RetryPromptPart)
    assert part == RetryPromptPart('again', tool_name='double', tool_call_id='call_double', timestamp=part.timestamp)
    assert manager.failed_tools == {'double'}


async def test_a_failed_call_of_a_stream_is_not_held_against_the_tool():
    manager = await managed(TOOLS)
    manager.settle(call('double'), ToolRetried('again'), allow_partial=True)
    assert manager.failed_tools == set()


async def test_retries_are_counted_from_step_to_step():
    manager = await managed(TOOLS)
    manager.settle(call('report'), ToolRetried('again'))
    manager.settle(call('report'), ToolRetried('again'))
    second = await manager.for_run_step(run_context(run_step=2))
    assert second.ctx is not None
    assert (second.ctx.retries, second.failed_tools) == ({'report': 1}, set())
    second.settle(call('report'), ToolRetried('again'))
    third = await second.for_run_step(run_context(run_step=3))
    assert third.ctx is not None
    assert third.ctx.retries == {'report': 2}
    fourth = await third.for_run_step(run_context(run_step=4))
    assert fourth.ctx is not None
    assert fourth.ctx.retries == {}


ERROR = ModelRetry('again')


@pytest.mark.parametrize(
    ('outcome', 'cause'),
    [
        (ToolRetried('again', ERROR), ERROR),
        (ToolRetried('recorded'), ModelRetry('recorded')),
        (ToolRetried([{'type': 'missing', 'loc': ('x',), 'msg': 'Field required', 'input': {}}]), None),
    ],
)
async def test_a_tool_without_retries_left_ends_the_run(outcome: ToolRetried, cause: Exception | None):
    manager = await managed(TOOLS, retries={'report': 2})
    with pytest.raises(UnexpectedModelBehavior) as caught:
        manager.settle(call('report'), outcome)
    assert str(caught.value) == "Tool 'report' exceeded max retries count of 2"
    assert caught.value.__cause__ == cause


async def test_an_unknown_tool_has_one_retry():
    manager = await managed(TOOLS, retries={'other': 1})
    with pytest.raises(UnexpectedModelBehavior, match=r"^Tool 'other' exceeded max retries count of 1$"):
        manager.settle(call('other'), ToolRetried('unknown'))


async def test_one_sequential_tool_makes_its_batch_sequential():
    manager = await managed(FunctionToolset[Any]([double, Tool(load, sequential=True)]))
    assert not manager.should_call_sequentially([call('double'), call('other')])
    assert manager.should_call_sequentially([call('double'), call('load')])


async def test_all_batches_are_sequential_inside_the_block():
    manager = await managed(TOOLS)
    with suppress(ZeroDivisionError), ToolManager.sequential_tool_calls():
        assert manager.should_call_sequentially([call('double')])
        raise ZeroDivisionError
    assert not manager.should_call_sequentially([call('double')])
