"""The same calls, step by step, through both tool managers: same results, retries, counts and errors."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

import agentrun._outcomes
import agentrun._output
import agentrun._records
import agentrun._tool_manager
import agentrun.exceptions
import agentrun.messages
import agentrun.tools
import agentrun.toolsets
from tests.tool_helpers import run_context

pydantic_ai = pytest.importorskip('pydantic_ai', reason='the library that is followed is not installed')

import anyio  # noqa: E402 - after the check that it is there
from pydantic_ai import _agent_graph as their_graph  # noqa: E402 - same
from pydantic_ai import _output as their_output  # noqa: E402 - same
from pydantic_ai import _tool_manager as their_manager  # noqa: E402 - same
from pydantic_ai import toolsets as their_toolsets  # noqa: E402 - same
from pydantic_ai.models.test import TestModel as TheirModel  # noqa: E402 - same


class Answer(BaseModel):
    value: int


def tools_of(library: Any) -> list[Any]:
    """The same tools in a library: some succeed, some ask for a retry, some put the call off, some break."""

    def add(x: int, y: int = 1) -> int:
        if x < 0:
            raise library.ModelRetry('not below zero')
        return x + y

    async def report(ctx: Any, *rest: int) -> Any:
        return ctx.tool_name, ctx.tool_call_id, ctx.retry, ctx.max_retries, ctx.last_attempt, ctx.retries, rest

    report.__annotations__['ctx'] = library.RunContext

    def load(value: str) -> Any:
        return Answer.model_validate_json(value)

    def put_off(approval: bool) -> None:
        raise (library.ApprovalRequired if approval else library.CallDeferred)({'why': 'so'})

    def break_down() -> None:
        raise ZeroDivisionError('boom')

    def picture(count: int) -> Any:
        image = library.ImageUrl('https://x.test/a.png', identifier='pic')
        returned = library.ToolReturn(return_value=1, content=['look', image], metadata={'a': 1})
        return [image, [image, 2], returned, [returned], library.ToolReturn(return_value=image)][count]

    tool = library.Tool
    return [
        add,
        tool(report, max_retries=2),
        tool(load, max_retries=0),
        put_off,
        break_down,
        tool(picture, sequential=True),
        tool(add, name='guarded', requires_approval=True),
    ]


CALLS: list[tuple[str, Any]] = [
    ('add', {'x': 1}),
    ('add', '{"x": "2", "y": 3}'),
    ('add', {'x': -1}),
    ('add', '{"x": "a"}'),
    ('add', '{"x": 1'),
    ('add', ''),
    ('add', {'x': 1, 'z': 1}),
    ('report', {'rest': []}),
    ('report', None),
    ('load', {'value': '{"value": 1}'}),
    ('load', {'value': '{"value": "a"}'}),
    ('put_off', {'approval': True}),
    ('put_off', {'approval': False}),
    ('break_down', {}),
    ('guarded', {'x': 1}),
    ('nobody', {'x': 1}),
    ('final_result', {'value': 4}),
    ('final_result', '{"value": "a"}'),
    ('external', '{"a": 1}'),
    *[('picture', {'count': count}) for count in range(5)],
]


@dataclass
class Library:
    """What a manager needs of a library, and how a call is carried out by it."""

    names: Any
    toolsets: Any
    manager: Any
    output: Any
    context: Any
    steps: list[Any] = field(default_factory=list[Any])

    async def start(self) -> Any:
        toolset = self.toolsets.CombinedToolset(
            [
                self.output.OutputSchema.build(Answer).toolset,
                self.toolsets.FunctionToolset(tools_of(self.names)),
                self.toolsets.ExternalToolset([self.names.ToolDefinition(name='external')]),
            ]
        )
        return await self.manager.ToolManager(toolset).for_run_step(self.context)


def told(error: BaseException | None) -> Any:
    return error and (type(error).__name__, str(error))


def part_of(part: Any) -> Any:
    return type(part).__name__, part.tool_name, part.tool_call_id, repr(part.content), getattr(part, 'metadata', None)


async def by_ours(manager: Any, call: Any) -> Any:
    outcomes = agentrun._outcomes
    try:
        settled = manager.settle(call, await manager.execute(call))
        if isinstance(settled, outcomes.ToolDeferred):
            return settled.kind, settled.metadata
        if isinstance(settled, agentrun.messages.RetryPromptPart):
            return part_of(settled), None
        if call.tool_name == 'final_result':
            return settled.value
        part, content = outcomes.return_parts(call, settled)
    except (RuntimeError, ZeroDivisionError) as error:
        return told(error), told(error.__cause__) if not isinstance(error.__cause__, ValidationError) else 'validation'
    return part_of(part), content and repr(content)


async def by_theirs(manager: Any, call: Any) -> Any:
    try:
        if call.tool_name == 'final_result':
            return await manager.handle_call(call)
        part, content = await their_graph._call_tool(manager, call, None)
    except pydantic_ai.CallDeferred as error:
        return 'external', error.metadata
    except pydantic_ai.ApprovalRequired as error:
        return 'unapproved', error.metadata
    except pydantic_ai.exceptions.ToolRetryError as error:
        return part_of(error.tool_retry), None
    except (RuntimeError, ZeroDivisionError) as error:
        return told(error), told(error.__cause__) if not isinstance(error.__cause__, ValidationError) else 'validation'
    return part_of(part), content and repr(content)


async def compare(steps: list[list[int]]) -> None:
    own_context = run_context(deps='deps')
    other_usage = pydantic_ai.RunUsage()
    other_context = pydantic_ai.RunContext(deps='deps', model=TheirModel(), usage=other_usage, run_step=1)
    names: Any = Names()
    ours = await Library(names, agentrun.toolsets, agentrun._tool_manager, agentrun._output, own_context).start()
    theirs = await Library(pydantic_ai, their_toolsets, their_manager, their_output, other_context).start()
    for number, step in enumerate(steps, start=1):
        ours = await ours.for_run_step(agentrun._records.changed(own_context, run_step=number))
        theirs = await theirs.for_run_step(replace(other_context, run_step=number))
        assert [repr(tool_def) for tool_def in ours.tool_defs] == [repr(tool_def) for tool_def in theirs.tool_defs]
        calls = [(name, args, f'{number}.{place}') for place, (name, args) in enumerate(CALLS[i] for i in step)]
        own_calls = [agentrun.messages.ToolCallPart(*call) for call in calls]
        other_calls = [pydantic_ai.ToolCallPart(*call) for call in calls]
        assert ours.should_call_sequentially(own_calls) == theirs.should_call_sequentially(other_calls)
        for own_call, other_call in zip(own_calls, other_calls, strict=True):
            assert await by_ours(ours, own_call) == await by_theirs(theirs, other_call), own_call
        assert ours.failed_tools == theirs.failed_tools
        assert own_context.usage.tool_calls == other_usage.tool_calls


class Names:
    """What the tools of the test use, from the modules of agentrun that have it."""

    def __getattr__(self, name: str) -> Any:
        modules = (agentrun.tools, agentrun.exceptions, agentrun.messages)
        return next(getattr(module, name) for module in modules if hasattr(module, name))


@pytest.mark.anyio
@pytest.mark.parametrize('anyio_backend', ['asyncio'])
@pytest.mark.parametrize('index', range(len(CALLS)), ids=lambda index: f'{CALLS[index]}')
async def test_a_call_ends_alike_in_three_steps(index: int):
    await compare([[index], [index], [index]])


@given(st.lists(st.lists(st.integers(0, len(CALLS) - 1), max_size=4), max_size=4))
def test_any_calls_end_alike(steps: list[list[int]]):
    anyio.run(compare, steps)  # asyncio, which theirs needs
