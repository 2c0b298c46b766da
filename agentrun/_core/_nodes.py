"""The nodes of a run: what a driver sees and may change between the steps, and the async shell around the machine.

Fields and reprs as in pydantic-ai 1.38. No scope or task of a node stays open when it has run.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import KW_ONLY, field
from typing import Any, Literal, cast

from agentrun._agent_stream import AgentStream
from agentrun._core._asking import RequestStreaming, ask, begin_step, parameters_of
from agentrun._core._history import merged
from agentrun._core._moves import AskAgain, Finish
from agentrun._core._prompts import SystemPromptRunner
from agentrun._core._state import (
    GraphAgentDeps,
    GraphAgentState,
    RunCtx,
    run_context_of,
    take_captured_messages,
)
from agentrun._core._taking import LiveTurn, TurnEvents, TurnStreaming, close_history, take_turn
from agentrun._records import full_repr, lean_dataclass
from agentrun._run_context import RunContext
from agentrun.exceptions import AgentRunError, ModelRetry, UserError
from agentrun.graph import BaseNode, DepsT, End, NodeRunEndT
from agentrun.messages import (
    HandleResponseEvent,
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    RetryPromptPart,
    SystemPromptPart,
    ToolReturn,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)
from agentrun.result import FinalResult
from agentrun.tools import DeferredToolResult, DeferredToolResults, ToolApproved, ToolDenied

__all__ = ('AgentNode', 'CallToolsNode', 'ModelRequestNode', 'SetFinalResult', 'UserPromptNode')


class AgentNode(BaseNode[GraphAgentState, GraphAgentDeps[DepsT, Any], FinalResult[NodeRunEndT]]):
    """A node of an agent's run."""


@lean_dataclass()
class UserPromptNode(AgentNode[DepsT, NodeRunEndT]):
    """The start of a run: joins history, prompts and instructions to the first request."""

    user_prompt: str | Sequence[UserContent] | None

    _: KW_ONLY

    deferred_tool_results: DeferredToolResults | None = None

    instructions: str | None = None
    instructions_functions: list[SystemPromptRunner[DepsT]] = field(default_factory=list[SystemPromptRunner[DepsT]])

    system_prompts: tuple[str, ...] = field(default_factory=tuple[str, ...])
    system_prompt_functions: list[SystemPromptRunner[DepsT]] = field(default_factory=list[SystemPromptRunner[DepsT]])
    system_prompt_dynamic_functions: dict[str, SystemPromptRunner[DepsT]] = field(
        default_factory=dict[str, SystemPromptRunner[DepsT]]
    )

    async def run(self, ctx: RunCtx[DepsT]) -> ModelRequestNode[DepsT, NodeRunEndT] | CallToolsNode[DepsT, NodeRunEndT]:
        """Take over the history and say where the run begins: with a request, or with calls that are still open.

        Raises:
            UserError: If history, prompt and deferred results do not go together, or there is nothing to ask.
        """
        messages = take_captured_messages()
        messages[:] = merged(ctx.state.message_history)
        ctx.state.message_history = messages
        ctx.deps.new_message_index = len(messages)
        if self.deferred_tool_results is not None:
            return self._answer_calls(self.deferred_tool_results, messages)

        last = messages[-1] if messages else None
        reused: ModelRequest | None = None
        if isinstance(last, ModelRequest) and self.user_prompt is None:
            messages.pop()
            reused = ModelRequest(parts=last.parts)
            _take_prompt(ctx.deps, last)
        if isinstance(last, ModelResponse) and self.user_prompt is not None and last.tool_calls:
            raise UserError(
                'Cannot provide a new user prompt when the message history contains unprocessed tool calls.'
            )
        run_context = run_context_of(ctx.state, ctx.deps)
        instructions = await ctx.deps.get_instructions(run_context)
        if isinstance(last, ModelResponse) and self.user_prompt is None and not instructions:
            return CallToolsNode(last)

        await self._renew_dynamic_prompts(messages if reused is None else [*messages, reused], run_context)
        request = reused or ModelRequest(parts=await self._parts(messages, run_context))
        request.instructions = instructions
        if not messages and not request.parts and not instructions:
            raise UserError('No message history, user prompt, or instructions provided')
        return ModelRequestNode(request=request)

    def _answer_calls(
        self, results: DeferredToolResults, messages: list[ModelMessage]
    ) -> CallToolsNode[DepsT, NodeRunEndT]:
        """Begin with the calls of the last response, which the results are for."""
        if not messages:
            raise UserError('Tool call results were provided, but the message history is empty.')
        response = next((message for message in reversed(messages) if isinstance(message, ModelResponse)), None)
        if response is None:
            raise UserError(
                'Tool call results were provided, but the message history does not contain a `ModelResponse`.'
            )
        if not response.tool_calls:
            raise UserError(
                'Tool call results were provided, but the message history does not contain any unprocessed tool calls.'
            )
        answers = _answers_of(results)
        for call_id in _answered_after(response, messages):
            if call_id in answers:
                raise UserError(f'Tool call {call_id!r} was already executed and its result cannot be overridden.')
            answers[call_id] = 'skip'
        return CallToolsNode(response, tool_call_results=answers, user_prompt=self.user_prompt)

    async def _parts(self, messages: list[ModelMessage], run_context: RunContext[DepsT]) -> list[ModelRequestPart]:
        """Make the parts of the first request; system prompts stand only at the beginning of a conversation."""
        parts: list[ModelRequestPart] = []
        if not messages:
            parts += [SystemPromptPart(prompt) for prompt in self.system_prompts]
            for runner in self.system_prompt_functions:
                prompt = await runner.run(run_context)
                ref = runner.function.__qualname__ if runner.dynamic else None
                parts.append(SystemPromptPart(prompt, dynamic_ref=ref))
        if self.user_prompt is not None:
            parts.append(UserPromptPart(self.user_prompt))
        return parts

    async def _renew_dynamic_prompts(self, messages: Sequence[ModelMessage], run_context: RunContext[DepsT]) -> None:
        """Make the dynamic system prompts of the history anew, each in its place."""
        if not self.system_prompt_dynamic_functions:
            return
        for message in messages:
            if isinstance(message, ModelRequest):
                parts = [await self._renewed(part, run_context) for part in message.parts]
                if parts != message.parts:
                    message.parts = parts

    async def _renewed(self, part: ModelRequestPart, run_context: RunContext[DepsT]) -> ModelRequestPart:
        if not isinstance(part, SystemPromptPart) or not part.dynamic_ref:
            return part
        runner = self.system_prompt_dynamic_functions.get(part.dynamic_ref)
        if runner is None:
            return part
        return SystemPromptPart(await runner.run(run_context), dynamic_ref=part.dynamic_ref)


@lean_dataclass()
class ModelRequestNode(AgentNode[DepsT, NodeRunEndT]):
    """A request to the model: the last message of the history once the node has run."""

    request: ModelRequest

    _result: CallToolsNode[DepsT, NodeRunEndT] | None = field(repr=False, init=False, default=None)
    _did_stream: bool = field(repr=False, init=False, default=False)

    async def run(self, ctx: RunCtx[DepsT]) -> CallToolsNode[DepsT, NodeRunEndT]:
        """Ask the model. A second run returns what the first one, or the stream, did.

        Raises:
            UsageLimitExceeded: If the request or what it used is more than the limits allow.
            UserError: If tool names conflict, or a history processor leaves no history that ends in a request.
            AgentRunError: If the node was streamed and the stream was not left in good order.
            Exception: What the model raises.
        """
        if self._result is None:
            if self._did_stream:
                raise AgentRunError('You must finish streaming before calling run()')
            run_context = await begin_step(ctx, self.request)
            messages = ctx.deps.sent.of(ctx.state.message_history)
            parameters = await parameters_of(ctx.deps, run_context)
            response = await ask(ctx, messages, parameters, run_context)
            ctx.state.usage.requests += 1
            self._finish(ctx, response)
        return cast('CallToolsNode[DepsT, NodeRunEndT]', self._result)  # set by now

    def stream(self, ctx: RunCtx[DepsT]) -> AbstractAsyncContextManager[AgentStream[DepsT, Any]]:
        """Ask the model and take its response as it comes. Only once for each node, and in place of running it.

        Leaving the block early waits for the rest of the response; leaving it by an error ends the run.

        Args:
            ctx: The run's `ctx`.

        Returns:
            A context manager that makes the request when entered and gives the stream.

        Raises:
            AssertionError: If the node was streamed before.
        """
        if self._did_stream:
            raise AssertionError('stream() should only be called once per node')
        return RequestStreaming(ctx, self, self.request, self._begun, self._finish)

    def _begun(self) -> None:
        self._did_stream = True

    def _finish(self, ctx: RunCtx[DepsT], response: ModelResponse) -> None:
        response.run_id = response.run_id or ctx.state.run_id
        ctx.state.usage.incr(response.usage)
        ctx.deps.usage_limits.check_tokens(ctx.state.usage)
        ctx.state.message_history.append(response)
        self._result = CallToolsNode(response)


@lean_dataclass()
class CallToolsNode(AgentNode[DepsT, NodeRunEndT]):
    """A response of the model, and what is done about it: tools called, output made, or another request."""

    model_response: ModelResponse
    tool_call_results: dict[str, DeferredToolResult | Literal['skip']] | None = None
    user_prompt: str | Sequence[UserContent] | None = None
    """A prompt to send along with the tool returns; left out if the run ends here."""

    _events: TurnEvents | None = field(default=None, init=False, repr=False)
    _next_node: ModelRequestNode[DepsT, NodeRunEndT] | End[FinalResult[NodeRunEndT]] | None = field(
        default=None, init=False, repr=False
    )

    async def run(self, ctx: RunCtx[DepsT]) -> ModelRequestNode[DepsT, NodeRunEndT] | End[FinalResult[NodeRunEndT]]:
        """Take the turn. A second run returns what the first one, or the stream, did.

        Raises:
            UnexpectedModelBehavior: If the model has used up its retries.
            UsageLimitExceeded: If there are more tool calls than the limits allow.
            UserError: If calls would have to be put off and must not, or results and calls do not fit.
            AgentRunError: If the node was streamed and the turn failed or was cancelled.
            Exception: What a tool or output function raises, if it is no request for a retry.
        """
        if self._events is not None:
            async for _ in self._events:
                pass
        elif self._next_node is None:
            await self._follow(ctx, await take_turn(ctx, self))
        if self._next_node is None:
            raise AgentRunError('The turn of this node failed while it was streamed: the run cannot go on.')
        return self._next_node

    def stream(self, ctx: RunCtx[DepsT]) -> AbstractAsyncContextManager[AsyncIterator[HandleResponseEvent]]:
        """Take the turn and tell of the tool calls: first that they are made, then what comes of them.

        Calls that run side by side are all carried out while the first result is waited for; results come in the order
        in which calls ended. A second stream goes on where the first was left.

        Args:
            ctx: The run's `ctx`.

        Returns:
            A context manager that gives the iterator over events; leaving it takes the rest of the turn.
        """
        return TurnStreaming(ctx, self, self._turn_events(ctx))

    def live_events(self, ctx: RunCtx[DepsT]) -> LiveTurn:
        """Do the same for a handler of events that is awaited inside: it gets each result as soon as it is there."""
        return LiveTurn(ctx, self, self._turn_events(ctx))

    def _turn_events(self, ctx: RunCtx[DepsT]) -> TurnEvents:
        if self._events is None:
            self._events = TurnEvents(ctx, self, self._follow)
        return self._events

    async def _follow(self, ctx: RunCtx[DepsT], move: AskAgain | Finish) -> None:
        """Find the node that comes next."""
        if isinstance(move, Finish):
            close_history(ctx.state.message_history, move.parts, ctx.state.run_id)
            self._next_node = End(cast('FinalResult[NodeRunEndT]', move.result))
        else:
            instructions = await ctx.deps.get_instructions(run_context_of(ctx.state, ctx.deps))
            self._next_node = ModelRequestNode(ModelRequest(parts=move.parts, instructions=instructions))


@lean_dataclass(show=full_repr)
class SetFinalResult(AgentNode[DepsT, NodeRunEndT]):
    """Ends a run with a result that is known already: the final result of a stream, say."""

    final_result: FinalResult[NodeRunEndT]

    async def run(self, ctx: RunCtx[DepsT]) -> End[FinalResult[NodeRunEndT]]:  # noqa: ARG002, every node takes it
        """End the run."""
        return End(self.final_result)


# The beginning of a run


def _take_prompt(deps: GraphAgentDeps[Any, Any], request: ModelRequest) -> None:
    """Let the run's prompt be what a reused request says as the user; several prompts become one list."""
    contents = [part.content for part in request.parts if isinstance(part, UserPromptPart)]
    if len(contents) == 1:
        deps.prompt = contents[0]
    elif contents:
        deps.prompt = [item for content in contents for item in ([content] if isinstance(content, str) else content)]


def _answers_of(results: DeferredToolResults) -> dict[str, DeferredToolResult | Literal['skip']]:
    """Bring approvals and results to one form: yes and no as their objects, plain values as a `ToolReturn`."""
    answers: dict[str, DeferredToolResult | Literal['skip']] = {}
    for call_id, approval in results.approvals.items():
        if isinstance(approval, bool):
            answers[call_id] = ToolApproved() if approval else ToolDenied()
        else:
            answers[call_id] = approval
    for call_id, result in results.calls.items():
        answers[call_id] = (
            result if isinstance(result, ToolReturn | ModelRetry | RetryPromptPart) else ToolReturn(result)
        )
    return answers


def _answered_after(response: ModelResponse, messages: list[ModelMessage]) -> list[str]:
    """Return the ids of calls that the request right after `response` answers."""
    after = messages[next(i for i in reversed(range(len(messages))) if messages[i] is response) + 1 :]
    request = next((message for message in after if isinstance(message, ModelRequest)), None)
    parts = request.parts if request else ()
    return [part.tool_call_id for part in parts if isinstance(part, ToolReturnPart | RetryPromptPart)]
