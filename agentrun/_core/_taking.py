"""A turn from beginning to end: the machine's moves carried out, with or without events.

Without events it is one loop. With them it is an iterator: each step goes on until there is something to tell. What
runs side by side runs within one step, in a group that is closed when the step is over; only for a handler that is
awaited here it runs beside the handler, which then gets each result when it is there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from agentrun import _ambient
from agentrun._core._execute import carry_out
from agentrun._core._moves import AskAgain, Asked, Finish, Move, Outcome, RunBatch
from agentrun._core._state import RunCtx, begin_node, run_context_of
from agentrun._core._turn import Turn
from agentrun._iterators import Steps
from agentrun._run_context import RunContext
from agentrun.messages import (
    FunctionToolResultEvent,
    HandleResponseEvent,
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ToolCallPart,
    UserContent,
)
from agentrun.result import FinalResult
from agentrun.tools import DeferredToolResult

if TYPE_CHECKING:
    import anyio
    from anyio.abc import TaskGroup

__all__ = ('LiveTurn', 'TurnEvents', 'TurnStreaming', 'close_history', 'close_stream', 'take_turn')


class TurnNode(Protocol):
    """What a turn needs of the node that it belongs to. `CallToolsNode` is one."""

    model_response: ModelResponse
    tool_call_results: dict[str, DeferredToolResult | Literal['skip']] | None
    user_prompt: str | Sequence[UserContent] | None


Follow: TypeAlias = Callable[[RunCtx[Any], 'AskAgain | Finish'], Awaitable[None]]
"""Takes the last move of a turn."""


async def take_turn(ctx: RunCtx[Any], node: TurnNode) -> AskAgain | Finish:
    """Take a whole turn.

    Args:
        ctx: State and setup of the run.
        node: Whose response it is about.

    Returns:
        How the run goes on.
    """
    state, deps = ctx.state, ctx.deps
    run_context = run_context_of(state, deps)
    if not deps.tool_manager.serves(run_context) and _has_calls(node.model_response):
        deps.tool_manager = await deps.tool_manager.for_run_step(run_context)
    turn = _turn_of(ctx, node, None)
    move = turn.begin()
    while not isinstance(move, (AskAgain, Finish)):
        move = turn.feed(await carry_out(move, deps, run_context))
    return move


async def close_stream(ctx: RunCtx[Any], response: ModelResponse, final: FinalResult[Any]) -> list[ModelRequestPart]:
    """See to the tool calls of a streamed response whose result is known already.

    Args:
        ctx: State and setup of the run.
        response: The whole response.
        final: The result.

    Returns:
        The parts of the request that closes the history; may be empty.
    """
    turn = Turn(response, state=ctx.state, rules=ctx.deps, tool_of=ctx.deps.tool_manager.get_tool_def, final=final)
    move, run_context = turn.begin(), run_context_of(ctx.state, ctx.deps)
    while not isinstance(move, (AskAgain, Finish)):
        move = turn.feed(await carry_out(move, ctx.deps, run_context))
    return move.parts


def close_history(messages: list[ModelMessage], parts: list[ModelRequestPart], run_id: str) -> None:
    """Append the request that closes a run, so that no call in its history lacks a return; none for no parts."""
    if parts:
        messages.append(ModelRequest(parts=parts, run_id=run_id, timestamp=_ambient.now()))


class TurnEvents(Steps[HandleResponseEvent]):
    """A turn as an iterator over its events.

    Args:
        ctx: State and setup of the run.
        node: Whose response it is about.
        follow: Takes the last move.
    """

    def __init__(self, ctx: RunCtx[Any], node: TurnNode, follow: Follow) -> None:
        self.batches: _Batches | None = None
        """What carries out batches; None: each runs to its end within one step."""
        self._ctx = ctx
        self._node = node
        self._follow = follow
        self._told: deque[HandleResponseEvent] = deque()
        self._turn: Turn
        self._run_context: RunContext[Any]
        self._move: Move | None = None
        self._followed = False
        self._error: Exception | None = None

    async def _step(self) -> HandleResponseEvent:
        """Go on until there is something to tell. An error waits until all that came before it has been told."""
        while not self._told:
            if self._error is not None:
                raise self._error
            if self._followed:
                raise StopAsyncIteration
            try:
                with _ambient.use(self._ctx.deps.source):
                    await self._go_on()
            except Exception as error:  # noqa: BLE001, raised above
                self._error = error
        return self._told.popleft()

    async def _go_on(self) -> None:
        move = self._move
        if move is None:
            await self._begin()
            self._move = self._turn.begin()
        elif isinstance(move, RunBatch) and self.batches is not None:
            outcome = await self.batches.more(lambda: self._carry_out(move))
            if outcome is not None:
                self._move = self._turn.feed(outcome)
        elif isinstance(move, (AskAgain, Finish)):  # all has been told
            await self._follow(self._ctx, move)
            self._followed = True
        else:
            self._move = self._turn.feed(await self._carry_out(move))

    async def _begin(self) -> None:
        deps = self._ctx.deps
        self._run_context = run_context_of(self._ctx.state, deps)
        if _has_calls(self._node.model_response):
            deps.tool_manager = await deps.tool_manager.for_run_step(self._run_context)
        self._turn = _turn_of(self._ctx, self._node, self._told)

    def _carry_out(self, move: Asked) -> Awaitable[Outcome]:
        return carry_out(move, self._ctx.deps, self._run_context, self._tell)

    def _tell(self, event: FunctionToolResultEvent) -> None:
        self._told.append(event)
        if self.batches is not None:
            self.batches.arrived()


class TurnStreaming(AbstractAsyncContextManager[AsyncIterator[HandleResponseEvent]]):
    """The block in which a turn is streamed.

    Args:
        ctx: State and setup of the run.
        node: The node whose turn it is.
        events: The turn.
    """

    def __init__(self, ctx: RunCtx[Any], node: TurnNode, events: TurnEvents) -> None:
        self._ctx = ctx
        self._node = node
        self._events = events

    async def __aenter__(self) -> AsyncIterator[HandleResponseEvent]:
        with _ambient.use(self._ctx.deps.source):
            await begin_node(self._ctx.deps, self._node)
        return self._events

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Take the rest of the turn, unless an error ends it all."""
        if error is None:
            async for _ in self._events:
                pass


class LiveTurn:
    """A turn whose events go to a handler.

    Args:
        ctx: State and setup of the run.
        node: The node whose turn it is.
        events: The turn.
    """

    def __init__(self, ctx: RunCtx[Any], node: TurnNode, events: TurnEvents) -> None:
        self._block = TurnStreaming(ctx, node, events)
        self._events = events
        self._calls = [part for part in node.model_response.parts if isinstance(part, ToolCallPart)]

    async def hand_to(self, handler: Callable[[AsyncIterator[HandleResponseEvent]], Awaitable[None]]) -> None:
        """Take the turn while the handler iterates over its events; what the handler leaves is taken after it.

        Raises:
            Exception: What the turn or the handler raises, as itself.
        """
        if len(self._calls) > 1:
            await self._beside(handler)
        else:
            await self._through(handler)

    async def _through(self, handler: Callable[[AsyncIterator[HandleResponseEvent]], Awaitable[None]]) -> None:
        async with self._block as events:
            await handler(events)

    async def _beside(self, handler: Callable[[AsyncIterator[HandleResponseEvent]], Awaitable[None]]) -> None:
        """Open a group for the batch. It never sees an error, so that it wraps none."""
        import anyio  # as in _execute

        failure: BaseException | None = None
        async with anyio.create_task_group() as group:
            self._events.batches = _Batches(group)
            try:
                await self._through(handler)
            except BaseException as error:
                failure = error
                if isinstance(error, anyio.get_cancelled_exc_class()):
                    raise
            finally:
                self._events.batches = None
                group.cancel_scope.cancel()  # the batch of a turn that was cancelled within a step
        if failure is not None:
            raise failure


class _Batches:
    """Carries batches out in a task of their own.

    Args:
        group: Where the task runs.
    """

    def __init__(self, group: TaskGroup) -> None:
        self._group = group
        self._arrival: anyio.Event | None = None
        self._outcome: Outcome | None = None
        self._failure: BaseException | None = None

    async def more(self, carry_out: Callable[[], Awaitable[Outcome]]) -> Outcome | None:
        """Wait for the next arrival in the batch, which is begun first if it is not under way.

        Returns:
            What came of the batch if it is over, else None.
        """
        import anyio

        if self._arrival is None:
            self._arrival = anyio.Event()
            self._group.start_soon(self._run, carry_out)
        await self._arrival.wait()
        if self._failure is not None:
            raise self._failure
        if self._outcome is None:
            self._arrival = anyio.Event()
        return self._outcome

    def arrived(self) -> None:
        """Say that there is something to tell."""
        if self._arrival is not None:
            self._arrival.set()

    async def _run(self, carry_out: Callable[[], Awaitable[Outcome]]) -> None:
        try:
            self._outcome = await carry_out()
        except Exception as error:  # noqa: BLE001, raised by the step that waits
            self._failure = error
        self.arrived()


def _turn_of(ctx: RunCtx[Any], node: TurnNode, events: deque[HandleResponseEvent] | None) -> Turn:
    """Make the machine for a response."""
    return Turn(
        node.model_response,
        state=ctx.state,
        rules=ctx.deps,
        tool_of=ctx.deps.tool_manager.get_tool_def,
        answers=node.tool_call_results,
        user_prompt=node.user_prompt,
        events=events,
    )


def _has_calls(response: ModelResponse) -> bool:
    for part in response.parts:  # noqa: SIM110, a generator would cost more than all the rest
        if isinstance(part, ToolCallPart):
            return True
    return False
