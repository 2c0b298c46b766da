"""A run that goes on, and what is left of it when it has ended."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from dataclasses import KW_ONLY, field
from datetime import datetime
from types import TracebackType
from typing import Any, Generic, Literal

from pydantic_core import PydanticSerializationError

from agentrun import _ambient
from agentrun._core._nodes import AgentNode, UserPromptNode
from agentrun._core._state import GraphAgentDeps, GraphAgentState
from agentrun._effects import RunEnd
from agentrun._records import full_repr, lean_dataclass
from agentrun._run_context import AgentDepsT
from agentrun.graph import End, GraphRunContext
from agentrun.messages import ModelMessage, ModelRequest, ModelResponse, ToolReturnPart
from agentrun.messages._wire import dump_messages
from agentrun.output import OutputDataT
from agentrun.result import FinalResult
from agentrun.usage import RunUsage

__all__ = ('AgentRun', 'AgentRunResult', 'AgentRunResultEvent', 'RunScope')


class AgentRun(Generic[AgentDepsT, OutputDataT]):
    """A run of an agent, driven from outside: by `async for`, which runs node after node, or by `next`.

    Made by `Agent.iter`. The first item of the iteration is the node that the run begins with, which has not run yet;
    asking for the next item runs it and gives the node that follows.
    """

    def __init__(
        self,
        node: UserPromptNode[AgentDepsT, OutputDataT],
        ctx: GraphRunContext[GraphAgentState, GraphAgentDeps[AgentDepsT, OutputDataT]],
    ) -> None:
        """Make a run that begins with `node`."""
        self._next: AgentNode[AgentDepsT, OutputDataT] | End[FinalResult[OutputDataT]] = node
        self._ctx = ctx
        self._begun = False
        self._failed = False

    @property
    def ctx(self) -> GraphRunContext[GraphAgentState, GraphAgentDeps[AgentDepsT, OutputDataT]]:
        """State and setup of the run, as its nodes see them."""
        return self._ctx

    @property
    def next_node(self) -> AgentNode[AgentDepsT, OutputDataT] | End[FinalResult[OutputDataT]]:
        """The node that runs next, or the `End`; after an error, the node that failed."""
        return self._next

    @property
    def result(self) -> AgentRunResult[OutputDataT] | None:
        """The result once the run has ended, else None."""
        if not isinstance(self._next, End):
            return None
        final, state = self._next.data, self._ctx.state
        return AgentRunResult(final.output, final.tool_name, state, self._ctx.deps.new_message_index)

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return self._ctx.state.run_id

    def usage(self) -> RunUsage:
        """Return the usage so far: the run's own object, which goes on counting."""
        return self._ctx.state.usage

    def all_messages(self) -> list[ModelMessage]:
        """Return all messages so far, handed-in history included, oldest first: the run's own list."""
        return self._ctx.state.message_history

    def all_messages_json(self, *, output_tool_return_content: str | None = None) -> bytes:  # noqa: ARG002, see below
        """Return all messages so far as JSON.

        Args:
            output_tool_return_content: Accepted and without effect, as in pydantic-ai 1.38; `result` heeds it.
        """
        return _json(self.all_messages())

    def new_messages(self) -> list[ModelMessage]:
        """Return the messages that this run has added so far, oldest first."""
        return self.all_messages()[self._ctx.deps.new_message_index :]

    def new_messages_json(self) -> bytes:
        """Return the messages that this run has added so far as JSON."""
        return _json(self.new_messages())

    def __aiter__(self) -> AsyncIterator[AgentNode[AgentDepsT, OutputDataT] | End[FinalResult[OutputDataT]]]:
        return self

    async def __anext__(self) -> AgentNode[AgentDepsT, OutputDataT] | End[FinalResult[OutputDataT]]:
        """Run the next node and return the one that follows; the first time, return the first node."""
        if isinstance(self._next, End) or self._failed:
            raise StopAsyncIteration
        if not self._begun:
            self._begun = True
            return self._next
        return await self._run(self._next)

    async def next(
        self, node: AgentNode[AgentDepsT, OutputDataT]
    ) -> AgentNode[AgentDepsT, OutputDataT] | End[FinalResult[OutputDataT]]:
        """Run a node: the one that is due, changed or not, or another one in its place.

        Args:
            node: The node to run.

        Returns:
            The node that follows, or the `End`; `node` itself if the run has ended or failed.

        Raises:
            Exception: What the node raises.
        """
        self._begun = True
        if isinstance(self._next, End) or self._failed:
            return node
        return await self._run(node)

    async def _run(
        self, node: AgentNode[AgentDepsT, OutputDataT]
    ) -> AgentNode[AgentDepsT, OutputDataT] | End[FinalResult[OutputDataT]]:
        self._next = node
        self._failed = True  # until it is known that the node ran to its end
        deps = self._ctx.deps
        before = _ambient.enter(deps.source)  # a block with `use`, around every node, would cost three times as much
        try:
            if deps.handler is not None and deps.begun is not node:
                held = deps.handler.node(node)
                if held is not None:
                    await held
            deps.begun = None
            following = await node.run(self._ctx)
            if deps.handler is not None and isinstance(following, End):
                held = deps.handler.node(following)
                if held is not None:
                    await held
        finally:
            _ambient.leave(before)
        self._failed = False
        self._next = following  # pyright: ignore[reportAttributeAccessIssue], nodes of a run are agent nodes
        return self._next

    def __repr__(self) -> str:
        result = repr(self._next.data.output) if isinstance(self._next, End) else '<run not finished>'
        return f'<{type(self).__name__} result={result} usage={self.usage()}>'


@lean_dataclass()
class AgentRunResultEvent(Generic[OutputDataT]):
    """The last event of a run: its result."""

    result: AgentRunResult[OutputDataT]
    """The result."""

    _: KW_ONLY

    event_kind: Literal['agent_run_result'] = 'agent_run_result'
    """Tells this kind of event from others."""


class RunScope(Generic[AgentDepsT, OutputDataT]):
    """The block of code that a run lives in: `async with` begins the run and enters its toolsets.

    A class, not a generator: nothing is held open across the body but the toolsets themselves, an error of a node
    reaches the body as itself, and an error that the block is left with goes on unchanged.

    Args:
        begin: Makes the run; called when the block is entered.
    """

    def __init__(self, begin: Callable[[], AgentRun[AgentDepsT, OutputDataT]]) -> None:
        self._begin = begin
        self._run: AgentRun[AgentDepsT, OutputDataT]

    async def __aenter__(self) -> AgentRun[AgentDepsT, OutputDataT]:
        self._run = self._begin()
        try:
            await self._run.ctx.deps.tool_manager.toolset.__aenter__()
        except BaseException as error:
            _tell_end(self._run, error)
            raise
        return self._run

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        try:
            return await self._run.ctx.deps.tool_manager.toolset.__aexit__(kind, error, trace)
        finally:
            _tell_end(self._run, error)


def _tell_end(run: AgentRun[Any, Any], error: BaseException | None) -> None:
    """Tell the handler, if there is one, that the run is over."""
    deps = run.ctx.deps
    if deps.handler is not None:
        # A streamed result that is complete has more of them, as in pydantic-ai 1.38; one that was left has fewer.
        messages = max(run.all_messages(), deps.result_messages or [], key=len)
        deps.handler.finished(
            RunEnd(
                messages=messages,
                new_from=deps.new_message_index,
                ended=run.result is not None,
                error=error,
            )
        )


@lean_dataclass(show=full_repr)
class AgentRunResult(Generic[OutputDataT]):
    """What a run came to. Equal to another result if the output is equal; loads from JSON what it dumps to."""

    output: OutputDataT
    """The output."""

    _output_tool_name: str | None = field(repr=False, compare=False, default=None)
    _state: GraphAgentState = field(repr=False, compare=False, default_factory=GraphAgentState)
    _new_message_index: int = field(repr=False, compare=False, default=0)

    @property
    def data(self) -> OutputDataT:
        """The output, by its name of earlier editions. Deprecated: use `output`."""
        warnings.warn('`AgentRunResult.data` is deprecated, use `output` instead', DeprecationWarning, stacklevel=2)
        return self.output

    @property
    def response(self) -> ModelResponse:
        """The last response."""
        for message in reversed(self._state.message_history):
            if isinstance(message, ModelResponse):
                return message
        raise ValueError('No response found in the message history')

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return self._state.run_id

    def usage(self) -> RunUsage:
        """Return the usage of the whole run."""
        return self._state.usage

    def timestamp(self) -> datetime:
        """Return the time of the last response."""
        return self.response.timestamp

    def all_messages(self, *, output_tool_return_content: str | None = None) -> list[ModelMessage]:
        """Return all messages, handed-in history included, oldest first.

        Args:
            output_tool_return_content: What the return of the output tool is to say, to go on with the conversation.

        Returns:
            The run's own list; a changed copy if there is a content for the output tool.

        Raises:
            ValueError: If there is a content, and the output did not come from an output tool.
            LookupError: If there is a content, and the last message holds no return of the output tool.
        """
        if output_tool_return_content is None:
            return self._state.message_history
        return self._with_tool_return(output_tool_return_content)

    def all_messages_json(self, *, output_tool_return_content: str | None = None) -> bytes:
        """Return all messages as JSON; argument and errors as for `all_messages`."""
        return _json(self.all_messages(output_tool_return_content=output_tool_return_content))

    def new_messages(self, *, output_tool_return_content: str | None = None) -> list[ModelMessage]:
        """Return the messages that this run added, oldest first; argument and errors as for `all_messages`."""
        return self.all_messages(output_tool_return_content=output_tool_return_content)[self._new_message_index :]

    def new_messages_json(self, *, output_tool_return_content: str | None = None) -> bytes:
        """Return the messages that this run added as JSON; argument and errors as for `all_messages`."""
        return _json(self.new_messages(output_tool_return_content=output_tool_return_content))

    def _with_tool_return(self, content: str) -> list[ModelMessage]:
        if not self._output_tool_name:
            raise ValueError('Cannot set output tool return content when the return type is `str`.')
        messages = list(self._state.message_history)
        messages[-1] = deepcopy(messages[-1])
        for part in messages[-1].parts:
            if isinstance(part, ToolReturnPart) and part.tool_name == self._output_tool_name:
                part.content = content
                return messages
        raise LookupError(f'No tool call found with tool name {self._output_tool_name!r}.')


def _json(messages: list[ModelMessage]) -> bytes:
    """Dump messages, with a note on the error that says which tool returned what JSON cannot hold."""
    try:
        return dump_messages(messages)
    except PydanticSerializationError as error:
        for place, message in enumerate(messages):
            for part in message.parts:
                if isinstance(part, ToolReturnPart) and not _is_jsonable(part):
                    error.add_note(
                        f'Message {place}: the tool {part.tool_name!r} returned {part.content!r}. '
                        f'Let it return what JSON can hold: text, numbers, lists, dicts, dataclasses or models.'
                    )
        raise


def _is_jsonable(part: ToolReturnPart) -> bool:
    try:
        dump_messages([ModelRequest(parts=[part])])
    except PydanticSerializationError:
        return False
    return True
