"""The nodes of a run: what a driver sees and may change between the steps, and the async shell around the machine.

Fields and reprs as in pydantic-ai 1.38. No scope or task of a node stays open when it has run.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import KW_ONLY, field
from typing import Any, Literal, TypeAlias, cast

from agentrun import _ambient
from agentrun._callables import call_function, is_async_callable
from agentrun._core._execute import carry_out
from agentrun._core._history import merged
from agentrun._core._moves import AskAgain, Finish
from agentrun._core._prompts import SystemPromptRunner
from agentrun._core._state import (
    GraphAgentDeps,
    GraphAgentState,
    run_context_of,
    take_captured_messages,
)
from agentrun._core._turn import Turn
from agentrun._effects import ModelCall, RunHandler
from agentrun._function_schema import takes_run_context
from agentrun._records import full_repr, lean_dataclass
from agentrun._run_context import RunContext, set_current_run_context
from agentrun.builtin_tools import AbstractBuiltinTool
from agentrun.exceptions import ModelRetry, UserError
from agentrun.graph import BaseNode, DepsT, End, GraphRunContext, NodeRunEndT
from agentrun.messages import (
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    RetryPromptPart,
    SystemPromptPart,
    ToolCallPart,
    ToolReturn,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)
from agentrun.models._base import ModelRequestParameters
from agentrun.result import FinalResult
from agentrun.tools import DeferredToolResult, DeferredToolResults, ToolApproved, ToolDefinition, ToolDenied
from agentrun.usage import RequestUsage

__all__ = ('AgentNode', 'CallToolsNode', 'ModelRequestNode', 'SetFinalResult', 'UserPromptNode')


class AgentNode(BaseNode[GraphAgentState, GraphAgentDeps[DepsT, Any], FinalResult[NodeRunEndT]]):
    """A node of an agent's run."""


RunCtx: TypeAlias = GraphRunContext[GraphAgentState, GraphAgentDeps[DepsT, Any]]
"""What a node of an agent's run is given to run with."""


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

    async def run(self, ctx: RunCtx[DepsT]) -> CallToolsNode[DepsT, NodeRunEndT]:
        """Ask the model. A second run returns what the first one did.

        Raises:
            UsageLimitExceeded: If the request or what it used is more than the limits allow.
            UserError: If tool names conflict, or a history processor leaves no history that ends in a request.
            Exception: What the model raises.
        """
        if self._result is None:
            run_context = await self._append(ctx)
            messages = ctx.deps.sent.of(ctx.state.message_history)
            parameters = await _parameters(ctx.deps, run_context)
            response = await _ask(ctx, messages, parameters, run_context)
            ctx.state.usage.requests += 1
            self._result = self._finish(ctx, response)
        return self._result

    async def _append(self, ctx: RunCtx[DepsT]) -> RunContext[DepsT]:
        """Begin a step: append the request to the history and find out which tools there are."""
        state, deps = ctx.state, ctx.deps
        deps.source.request_begun()
        self.request.timestamp = _ambient.now()
        self.request.run_id = self.request.run_id or state.run_id
        state.message_history.append(self.request)
        state.run_step += 1
        run_context = run_context_of(state, deps)
        deps.tool_manager = await deps.tool_manager.for_run_step(run_context)
        if deps.history_processors:
            await _process_history(ctx, run_context)
        return run_context

    def _finish(self, ctx: RunCtx[DepsT], response: ModelResponse) -> CallToolsNode[DepsT, NodeRunEndT]:
        response.run_id = response.run_id or ctx.state.run_id
        ctx.state.usage.incr(response.usage)
        ctx.deps.usage_limits.check_tokens(ctx.state.usage)
        ctx.state.message_history.append(response)
        return CallToolsNode(response)


@lean_dataclass()
class CallToolsNode(AgentNode[DepsT, NodeRunEndT]):
    """A response of the model, and what is done about it: tools called, output made, or another request."""

    model_response: ModelResponse
    tool_call_results: dict[str, DeferredToolResult | Literal['skip']] | None = None
    user_prompt: str | Sequence[UserContent] | None = None
    """A prompt to send along with the tool returns; left out if the run ends here."""

    _next_node: ModelRequestNode[DepsT, NodeRunEndT] | End[FinalResult[NodeRunEndT]] | None = field(
        default=None, init=False, repr=False
    )

    async def run(self, ctx: RunCtx[DepsT]) -> ModelRequestNode[DepsT, NodeRunEndT] | End[FinalResult[NodeRunEndT]]:
        """Take the turn. A second run returns what the first one did.

        Raises:
            UnexpectedModelBehavior: If the model has used up its retries.
            UsageLimitExceeded: If there are more tool calls than the limits allow.
            UserError: If calls would have to be put off and must not, or results and calls do not fit.
            Exception: What a tool or output function raises, if it is no request for a retry.
        """
        if self._next_node is None:
            self._next_node = await self._take_turn(ctx)
        return self._next_node

    async def _take_turn(
        self, ctx: RunCtx[DepsT]
    ) -> ModelRequestNode[DepsT, NodeRunEndT] | End[FinalResult[NodeRunEndT]]:
        state, deps = ctx.state, ctx.deps
        run_context = run_context_of(state, deps)
        if _has_calls(self.model_response):
            deps.tool_manager = await deps.tool_manager.for_run_step(run_context)
        turn = Turn(
            self.model_response,
            state=state,
            rules=deps,
            tool_of=deps.tool_manager.get_tool_def,
            answers=self.tool_call_results,
            user_prompt=self.user_prompt,
        )
        move = turn.begin()
        while not isinstance(move, (AskAgain, Finish)):
            move = turn.feed(await carry_out(move, deps, run_context))
        if isinstance(move, Finish):
            if move.parts:
                closing = ModelRequest(parts=move.parts, run_id=state.run_id, timestamp=_ambient.now())
                state.message_history.append(closing)
            return End(cast('FinalResult[NodeRunEndT]', move.result))
        instructions = await deps.get_instructions(run_context)
        return ModelRequestNode(ModelRequest(parts=move.parts, instructions=instructions))


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


# The turn


def _has_calls(response: ModelResponse) -> bool:
    for part in response.parts:  # noqa: SIM110, a generator would cost more than all the rest
        if isinstance(part, ToolCallPart):
            return True
    return False


# The request


async def _ask(
    ctx: RunCtx[DepsT],
    messages: list[ModelMessage],
    parameters: ModelRequestParameters,
    run_context: RunContext[DepsT],
) -> ModelResponse:
    """Ask the model, or whoever answers in its place, if the limits allow another request."""
    deps = ctx.deps
    if deps.handler is None:
        usage = ctx.state.usage
        if deps.usage_limits.count_tokens_before_request:
            usage = usage + await deps.model.count_tokens(messages, deps.model_settings, parameters)
        deps.usage_limits.check_before_request(usage)
        with set_current_run_context(run_context):
            return await deps.model.request(messages, deps.model_settings, parameters)
    return await _have_asked(deps.handler, ctx, messages, parameters, run_context)


async def _have_asked(
    handler: RunHandler,
    ctx: RunCtx[DepsT],
    messages: list[ModelMessage],
    parameters: ModelRequestParameters,
    run_context: RunContext[DepsT],
) -> ModelResponse:
    """Do the same as effects: a handler carries them out."""
    deps, model, settings = ctx.deps, ctx.deps.model, ctx.deps.model_settings
    call = ModelCall(step=ctx.state.run_step, model=model, messages=messages, settings=settings, parameters=parameters)

    async def count() -> RequestUsage:
        return await model.count_tokens(messages, settings, parameters)

    async def request() -> ModelResponse:
        with set_current_run_context(run_context):
            return await model.request(messages, settings, parameters)

    usage = ctx.state.usage
    if deps.usage_limits.count_tokens_before_request:
        usage = usage + await handler.count_tokens(call, count)
    deps.usage_limits.check_before_request(usage)
    return await handler.request(call, request)


async def _parameters(deps: GraphAgentDeps[DepsT, Any], run_context: RunContext[DepsT]) -> ModelRequestParameters:
    """Say what this request offers: the tools of the step and what the run's output may be."""
    function_tools: list[ToolDefinition] = []
    output_tools: list[ToolDefinition] = []
    for tool in deps.tool_manager.tool_defs:
        (output_tools if tool.kind == 'output' else function_tools).append(tool)
    schema = deps.output_schema
    return ModelRequestParameters(
        function_tools=function_tools,
        builtin_tools=await _builtin_tools(deps, run_context) if deps.builtin_tools else [],
        output_mode=schema.mode,
        output_tools=output_tools,
        output_object=schema.object_def,
        prompted_output_template=schema.template,
        allow_text_output=schema.allows_text,
        allow_image_output=schema.allows_image,
    )


async def _builtin_tools(deps: GraphAgentDeps[DepsT, Any], run_context: RunContext[DepsT]) -> list[AbstractBuiltinTool]:
    """Resolve the built-in tools that functions make for each request; a function may make none."""
    found: list[AbstractBuiltinTool] = []
    for tool in deps.builtin_tools:
        if not isinstance(tool, AbstractBuiltinTool):
            made = tool(run_context)
            tool = await made if inspect.isawaitable(made) else made  # noqa: PLW2901, the same tool
        if tool is not None:
            found.append(tool)
    return found


async def _process_history(ctx: RunCtx[DepsT], run_context: RunContext[DepsT]) -> None:
    """Let the history processors replace the stored history, in place: others watch the list."""
    history = ctx.state.message_history
    given = processed = history[:]
    for processor in ctx.deps.history_processors:
        args = (run_context, processed) if takes_run_context(processor) else (processed,)
        processed = await call_function(processor, *args, is_async=is_async_callable(processor))
    if not processed:
        raise UserError('Processed history cannot be empty.')
    last = processed[-1]
    if not isinstance(last, ModelRequest):
        raise UserError('Processed history must end with a `ModelRequest`.')
    if last.timestamp is None:
        last.timestamp = _ambient.now()
    # measured on the list that was handed out, as in 1.38: what a processor removes from it in place is not counted
    ctx.deps.new_message_index -= len(given) - len(processed)
    history[:] = processed
