"""Runs whose events are seen while they happen: driven node by node, each node streamed.

Everything handed to user code is a class that holds no task or scope open, so that it can be left or dropped anywhere.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from types import TracebackType
from typing import Any, Generic, TypeAlias, TypeVar, cast

from typing_extensions import TypedDict

from agentrun import _ambient
from agentrun._blocking import run_blocking
from agentrun._core._nodes import CallToolsNode, ModelRequestNode, SetFinalResult
from agentrun._core._state import run_context_of
from agentrun._core._taking import close_history, close_stream
from agentrun._iterators import Steps
from agentrun._run_context import AgentDepsT, RunContext
from agentrun.agent._arguments import Instructions
from agentrun.builtin_tools import AbstractBuiltinTool
from agentrun.exceptions import AgentRunError
from agentrun.graph import End
from agentrun.messages import AgentStreamEvent, FinalResultEvent, ModelMessage, ModelResponseStreamEvent
from agentrun.models._base import Model
from agentrun.output import OutputDataT
from agentrun.result import AgentStream, FinalResult, StreamedRunResult, StreamedRunResultSync
from agentrun.run import AgentRun, AgentRunResult, AgentRunResultEvent
from agentrun.settings import ModelSettings
from agentrun.tools import BuiltinToolFunc, DeferredToolResults
from agentrun.toolsets import AbstractToolset
from agentrun.usage import RunUsage, UsageLimits

__all__ = (
    'EventStreamHandler',
    'RunEvents',
    'RunOptions',
    'StreamScope',
    'run_through',
    'wait_for_stream',
)

T = TypeVar('T')

EventStreamHandler: TypeAlias = Callable[[RunContext[AgentDepsT], AsyncIterable[AgentStreamEvent]], Awaitable[None]]
"""Gets the events of a request, or of a turn of tool calls, while they happen."""


class RunOptions(TypedDict, Generic[AgentDepsT], total=False):
    """Keywords of all ways to run; `AbstractAgent.iter` says what they mean."""

    message_history: Sequence[ModelMessage] | None
    deferred_tool_results: DeferredToolResults | None
    model: Model | str | None
    instructions: Instructions[AgentDepsT]
    deps: AgentDepsT
    model_settings: ModelSettings | None
    usage_limits: UsageLimits | None
    usage: RunUsage | None
    toolsets: Sequence[AbstractToolset[AgentDepsT]] | None
    builtin_tools: Sequence[AbstractBuiltinTool | BuiltinToolFunc[AgentDepsT]] | None


async def run_through(run: AgentRun[AgentDepsT, Any], handler: EventStreamHandler[AgentDepsT] | None) -> None:
    """Drive a run to its end.

    Args:
        run: The run.
        handler: Gets the events; None: nothing is streamed.
    """
    async for node in run:
        if handler is None:
            continue
        if isinstance(node, ModelRequestNode):
            async with node.stream(run.ctx) as stream:
                await handler(run_context_of(run.ctx.state, run.ctx.deps), stream)
        elif isinstance(node, CallToolsNode):
            await _handle_turn(run, node, handler)


async def _handle_turn(
    run: AgentRun[AgentDepsT, Any], node: CallToolsNode[AgentDepsT, Any], handler: EventStreamHandler[AgentDepsT]
) -> None:
    context = run_context_of(run.ctx.state, run.ctx.deps)
    await node.live_events(run.ctx).hand_to(partial(handler, context))


class StreamScope(AbstractAsyncContextManager[StreamedRunResult[AgentDepsT, OutputDataT]]):
    """The block in which a run streams its final response.

    Args:
        scope: The run.
        handler: Gets the events before the result begins; None: nobody does.
    """

    def __init__(
        self,
        scope: AbstractAsyncContextManager[AgentRun[AgentDepsT, OutputDataT]],
        handler: EventStreamHandler[AgentDepsT] | None,
    ) -> None:
        self._scope = scope
        self._handler = handler
        self._open = AsyncExitStack()

    async def __aenter__(self) -> StreamedRunResult[AgentDepsT, OutputDataT]:
        async with AsyncExitStack() as stack:
            run = await stack.enter_async_context(self._scope)
            result = await self._run_to_result(run, stack)
            self._open = stack.pop_all()
        return result

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._open.__aexit__(kind, error, trace)

    async def _run_to_result(
        self, run: AgentRun[AgentDepsT, OutputDataT], stack: AsyncExitStack
    ) -> StreamedRunResult[AgentDepsT, OutputDataT]:
        node = run.next_node
        while not isinstance(node, End):
            if isinstance(node, ModelRequestNode):
                found = await self._stream(run, node, stack)
                if found is not None:
                    return found
            elif isinstance(node, CallToolsNode) and self._handler is not None:
                await _handle_turn(run, node, self._handler)
            node = await run.next(node)
        if run.result is None:
            raise AgentRunError('Agent run finished without producing a final result')
        return StreamedRunResult(run.all_messages(), run.ctx.deps.new_message_index, run_result=run.result)

    async def _stream(
        self,
        run: AgentRun[AgentDepsT, OutputDataT],
        node: ModelRequestNode[AgentDepsT, OutputDataT],
        stack: AsyncExitStack,
    ) -> StreamedRunResult[AgentDepsT, OutputDataT] | None:
        """Stream a response until the result begins; if it does, the stream stays open until the block is left."""
        async with AsyncExitStack() as opened:
            stream = await opened.enter_async_context(node.stream(run.ctx))
            events = _ToResult(aiter(stream))
            if self._handler is None:
                async for _ in events:
                    pass
            else:
                await self._handler(run_context_of(run.ctx.state, run.ctx.deps), events)
            if events.found is None:
                return None
            stack.push_async_exit(opened.pop_all())
        messages = run.ctx.deps.result_messages = run.all_messages().copy()
        complete = partial(_complete, run, stream, events.found, messages)
        return StreamedRunResult(messages, run.ctx.deps.new_message_index, stream, complete)


class _ToResult(Steps[ModelResponseStreamEvent]):
    """Events up to the one that says that the result has begun."""

    def __init__(self, events: AsyncIterator[ModelResponseStreamEvent]) -> None:
        self.found: FinalResultEvent | None = None
        self._events = events

    async def _step(self) -> ModelResponseStreamEvent:
        if self.found is not None:
            raise StopAsyncIteration
        event = await anext(self._events)
        if isinstance(event, FinalResultEvent):
            self.found = event
        return event


async def _complete(
    run: AgentRun[Any, Any], stream: AgentStream[Any, Any], found: FinalResultEvent, messages: list[ModelMessage]
) -> None:
    """End a run whose final response has been received and appended to the messages.

    The output is made once more, whatever the caller has made of it, and no other one is looked for: the result is what
    the stream has shown. As in pydantic-ai 1.38.
    """
    final = FinalResult(await stream.get_output(), found.tool_name, found.tool_call_id)
    with _ambient.use(run.ctx.deps.source):
        parts = await close_stream(run.ctx, stream.response, final)
        close_history(messages, parts, run.run_id)
    await run.next(SetFinalResult(final))


def wait_for_stream(
    scope: AbstractAsyncContextManager[StreamedRunResult[AgentDepsT, OutputDataT]],
) -> StreamedRunResultSync[AgentDepsT, OutputDataT]:
    """Enter a block from code that is not async; it is left when the stream has ended."""

    async def enter() -> StreamedRunResult[AgentDepsT, OutputDataT]:
        return await scope.__aenter__()

    async def leave(error: BaseException | None) -> None:
        trace = None if error is None else error.__traceback__
        await scope.__aexit__(None if error is None else type(error), error, trace)

    return StreamedRunResultSync(run_blocking(enter), leave)


class RunEvents(Steps['AgentStreamEvent | AgentRunResultEvent[T]']):
    """A run as an iterator over its events, the result last.

    Args:
        scope: The run.
    """

    def __init__(self, scope: AbstractAsyncContextManager[AgentRun[Any, T]]) -> None:
        self._scope = scope
        self._run: AgentRun[Any, T] | None = None
        self._node = AsyncExitStack()
        self._open = AsyncExitStack()
        self._events: AsyncIterator[AgentStreamEvent] | None = None
        self._ended = False

    async def _step(self) -> AgentStreamEvent | AgentRunResultEvent[T]:
        if self._ended:
            raise StopAsyncIteration
        try:
            return await self._next_event()
        except BaseException as error:
            await self._open.__aexit__(type(error), error, error.__traceback__)
            raise

    async def _next_event(self) -> AgentStreamEvent | AgentRunResultEvent[T]:
        if self._run is None:
            self._run = await self._enter()
        while True:
            if self._events is not None:
                async for event in self._events:
                    return event
                self._events = None
                await self._node.aclose()
            node = await anext(self._run, None)
            if isinstance(node, ModelRequestNode | CallToolsNode):
                self._events = await self._node.enter_async_context(cast('Any', node.stream(self._run.ctx)))
            elif node is None:
                self._ended = True
                await self._open.aclose()
                return AgentRunResultEvent(cast('AgentRunResult[T]', self._run.result))

    async def _enter(self) -> AgentRun[Any, T]:
        """Enter the run below its nodes, which are left before it."""
        run = await self._scope.__aenter__()
        self._open.push_async_exit(self._scope)
        self._open.push_async_exit(self._node)
        return run

    async def aclose(self) -> None:
        """End the run here, if it is under way: what has not come by now will not."""
        if not self._over:
            self._over = self._ended = True
            await self._open.__aexit__(GeneratorExit, GeneratorExit(), None)
