"""Carries out what the machine asks for: outputs made, batches of tool calls run.

Each function is one await of the caller's, and no task outlives it. A call that is alone in its batch, or whose batch
is sequential, runs in the caller's own task; only calls that run side by side get tasks, in one group that is opened
and closed here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from types import CoroutineType
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from agentrun._core._moves import (
    Accepted,
    Asked,
    BatchDone,
    Failed,
    Outcome,
    Rejected,
    RunBatch,
    Settled,
    UseOutputTool,
    UseText,
)
from agentrun._core._state import GraphAgentDeps
from agentrun._effects import ToolBatch
from agentrun._outcomes import ToolDeferred, ToolOutcome, ToolRetried, ToolReturned, return_parts
from agentrun._output import BaseOutputProcessor
from agentrun._run_context import RunContext
from agentrun._tool_manager import ToolManager
from agentrun.exceptions import ModelRetry, ToolRetryError, UnexpectedModelBehavior
from agentrun.messages import FunctionToolResultEvent, RetryPromptPart, ToolCallPart, ToolReturnPart
from agentrun.tools import DeferredToolResult, ToolApproved, ToolDenied

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

__all__ = ('Tell', 'carry_out')


Tell: TypeAlias = Callable[[FunctionToolResultEvent], None]
"""Takes note of what came of a call of a batch."""


async def carry_out(
    move: Asked, deps: GraphAgentDeps[Any, Any], ctx: RunContext[Any], tell: Tell | None = None
) -> Outcome:
    """Do what a move asks for.

    Args:
        move: The move.
        deps: Setup of the run; its tool manager is that of the current step.
        ctx: Context of the current step.
        tell: Told of the calls of a batch as they end, in that order, but for those that are put off.

    Returns:
        The answer to the move.

    Raises:
        Exception: What the user's functions raise, if it is no request for a retry.
    """
    if isinstance(move, RunBatch):
        return await _run_batch(move, deps, ctx.run_step, tell)
    if isinstance(move, UseOutputTool):
        return await _use_output_tool(move.call, deps.tool_manager)
    return await _use_text(move, deps, ctx)


async def _use_text(move: UseText, deps: GraphAgentDeps[Any, Any], ctx: RunContext[Any]) -> Accepted | Rejected:
    # the machine uses text only where the schema makes an output of it
    processor = cast('BaseOutputProcessor[Any]', deps.output_schema.text_processor)
    try:
        output = await processor.process(move.text, run_context=ctx)
        for validator in deps.output_validators:
            output = await validator.validate(output, ctx)
    except ToolRetryError as error:
        return Rejected(cast('RetryPromptPart', error.tool_retry), error)
    return Accepted(output)


async def _use_output_tool(call: ToolCallPart, manager: ToolManager[Any]) -> Accepted | Rejected | Failed:
    """Run an output tool: always live, never an effect, for its value cannot be fed."""
    try:
        settled = manager.settle(call, await manager.execute(call))
    except UnexpectedModelBehavior as error:
        return Failed(error)
    if isinstance(settled, RetryPromptPart):
        return Rejected(settled, ToolRetryError(settled))
    return Accepted(cast('ToolReturned', settled).value)  # an output tool cannot put its call off


async def _run_batch(move: RunBatch, deps: GraphAgentDeps[Any, Any], step: int, tell: Tell | None) -> BatchDone:
    """Settle the calls whose answers were handed in, and run the others."""
    manager = deps.tool_manager
    if len(move.calls) == 1 and not move.answers and deps.handler is None and tell is None:
        call = move.calls[0]
        return BatchDone([_settled(manager, call, await manager.execute(call))])
    work = _Work(manager, tell)
    for index, call in enumerate(move.calls):
        answer = move.answers.get(call.tool_call_id)
        if answer is None:
            work.add(index, call)
        elif isinstance(answer, ToolApproved):
            args = answer.override_args
            work.add(index, call if args is None else replace(call, args=args), approved=True)
        else:
            work.settle(index, _answered(call, answer))
    if work.calls:
        batch = ToolBatch(step=step, calls=work.calls, sequential=manager.should_call_sequentially(list(work.calls)))
        work.sequential = batch.sequential
        if deps.handler is None:
            await work.perform(work.execute)
        else:
            await deps.handler.call_tools(batch, work)
    return BatchDone(list(map(work.settled.__getitem__, range(len(move.calls)))))


class _Work:
    """The means to carry out a batch; `_effects.ToolWork` says what each method does."""

    def __init__(self, manager: ToolManager[Any], tell: Tell | None) -> None:
        self.calls: list[ToolCallPart] = []
        self.sequential = False
        self.settled: dict[int, Settled] = {}
        self._approved: list[bool] = []
        self._places: list[int] = []
        self._manager = manager
        self._tell = tell

    def add(self, place: int, call: ToolCallPart, *, approved: bool = False) -> None:
        """Take on a call; `place` is where what comes of it belongs in the move."""
        self.calls.append(call)
        self._approved.append(approved)
        self._places.append(place)

    def settle(self, place: int, settled: Settled) -> None:
        """Take note of what came of the call at a place of the move."""
        self.settled[place] = settled
        if self._tell is not None and not isinstance(settled, ToolDeferred):
            self._tell(FunctionToolResultEvent(settled[0], content=settled[1]))

    def check(self, index: int) -> ToolRetried | None:
        found = self._manager.validate(self.calls[index])
        return found if isinstance(found, ToolRetried) else None

    def returns(self, index: int) -> Any:
        return self._manager.returns(self.calls[index].tool_name)

    def execute(self, index: int, args: str | dict[str, Any] | None = None) -> CoroutineType[Any, Any, ToolOutcome]:
        call = self.calls[index] if args is None else replace(self.calls[index], args=args)
        return self._manager.execute(call, approved=self._approved[index])

    def arrived(self, index: int, outcome: ToolOutcome) -> None:
        self.settle(self._places[index], _settled(self._manager, self.calls[index], outcome))

    async def perform(self, execute: Callable[[int], Awaitable[ToolOutcome]]) -> None:
        if self.sequential or len(self.calls) == 1:
            for index in range(len(self.calls)):
                self.arrived(index, await execute(index))
        else:
            await _side_by_side(execute, self.arrived, len(self.calls))


async def _side_by_side(
    execute: Callable[[int], Awaitable[ToolOutcome]], arrived: Callable[[int, ToolOutcome], None], count: int
) -> None:
    """Execute calls 0 to `count - 1` at the same time, started in this order, and let each arrive.

    The first error cancels the others and is raised as itself: the group never sees it, so that no exception group
    wraps it or stands in its context.
    """
    import anyio  # not needed by runs without parallel calls, and not light

    failures: list[BaseException] = []
    cancelled = anyio.get_cancelled_exc_class()

    async def one(index: int, end_all: Callable[[], object]) -> None:
        try:
            arrived(index, await execute(index))
        except GeneratorExit:
            raise
        except BaseException as error:
            failures.append(error)
            end_all()
            if isinstance(error, cancelled):
                raise

    if cancelled.__module__.startswith('asyncio'):
        await _in_tasks(one, count)
    else:
        await _in_nursery(one, count)
    if failures:
        raise failures[0]


_One: TypeAlias = 'Callable[[int, Callable[[], object]], Coroutine[Any, Any, None]]'


async def _in_tasks(one: _One, count: int) -> None:
    """Use bare tasks, which begin in order: groups pay for each task's end, and most calls end in their first step.

    Each task is cancelled by a scope of its own, so that what a tool shields is not cut short. Does not return before
    the last task has ended, cancelled or not.
    """
    import asyncio

    from anyio import CancelScope

    scopes = [CancelScope() for _ in range(count)]

    def end_all() -> None:
        for scope in scopes:
            scope.cancel()

    async def in_scope(index: int) -> None:
        with scopes[index]:
            await one(index, end_all)

    tasks = [asyncio.create_task(in_scope(index)) for index in range(count)]
    cancellation: asyncio.CancelledError | None = None
    pause: Awaitable[object] | None = asyncio.sleep(0)  # in which each task takes its first step
    with CancelScope() as waiting:
        while pause is not None:
            try:
                await pause
            except asyncio.CancelledError as error:  # of the caller, maybe not the first
                end_all()
                cancellation = error
                waiting.shield = True  # a scope of the caller would say it again at every turn of the loop
            pending = [task for task in tasks if not task.done()]
            pause = asyncio.wait(pending) if pending else None
    if cancellation is not None:
        raise cancellation


async def _in_nursery(one: _One, count: int) -> None:
    """Let each task begin before the next is made: trio begins tasks in random order."""
    import anyio

    async def begin(index: int, *, task_status: TaskStatus[None]) -> None:
        task_status.started()
        await one(index, group.cancel_scope.cancel)

    async with anyio.create_task_group() as group:
        for index in range(count):
            await group.start(begin, index)


def _settled(manager: ToolManager[Any], call: ToolCallPart, outcome: ToolOutcome) -> Settled:
    settled = manager.settle(call, outcome)
    if isinstance(settled, ToolReturned):
        return return_parts(call, settled)
    return settled if isinstance(settled, ToolDeferred) else (settled, None)


def _answered(call: ToolCallPart, answer: DeferredToolResult) -> Settled:
    """Make the part for a call whose answer was handed to the run."""
    if isinstance(answer, ToolDenied):
        part = ToolReturnPart(tool_name=call.tool_name, content=answer.message, tool_call_id=call.tool_call_id)
        return part, None
    if isinstance(answer, ModelRetry):
        retry = RetryPromptPart(content=answer.message, tool_name=call.tool_name, tool_call_id=call.tool_call_id)
        return retry, None
    if isinstance(answer, RetryPromptPart):
        answer.tool_name, answer.tool_call_id = call.tool_name, call.tool_call_id
        return answer, None
    return return_parts(call, ToolReturned(answer))
