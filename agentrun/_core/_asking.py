"""A request to the model from beginning to end, whole or streamed.

What is streamed is handed to user code in a block of its: nothing stays open meanwhile but the model's own stream, and
clock, ids and run context are those of the run only while the stream is asked for more.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Generic

from agentrun import _ambient
from agentrun._agent_stream import AgentStream
from agentrun._callables import call_function, is_async_callable
from agentrun._core._state import GraphAgentDeps, RunCtx, begin_node, run_context_of
from agentrun._effects import ModelCall, RunHandler, request_by, stream_by
from agentrun._function_schema import takes_run_context
from agentrun._run_context import RunContext, set_current_run_context
from agentrun.builtin_tools import AbstractBuiltinTool
from agentrun.exceptions import UserError
from agentrun.graph import DepsT
from agentrun.messages import ModelMessage, ModelRequest, ModelResponse
from agentrun.models._base import ModelRequestParameters, StreamedResponse
from agentrun.tools import ToolDefinition
from agentrun.usage import RequestUsage

__all__ = ('RequestStreaming', 'ask', 'begin_step', 'parameters_of')


class RequestStreaming(AbstractAsyncContextManager[AgentStream[DepsT, Any]], Generic[DepsT]):
    """The block in which a response is streamed.

    Args:
        ctx: State and setup of the run.
        node: The node that asks, for the handler.
        request: Its request.
        begun: Told when the model has begun to answer.
        finish: Takes the response when it has ended.
    """

    def __init__(
        self,
        ctx: RunCtx[DepsT],
        node: object,
        request: ModelRequest,
        begun: Callable[[], None],
        finish: Callable[[RunCtx[DepsT], ModelResponse], None],
    ) -> None:
        self._ctx = ctx
        self._node = node
        self._request = request
        self._begun = begun
        self._finish = finish
        self._run_context: RunContext[DepsT]
        self._opening: AbstractAsyncContextManager[StreamedResponse]
        self._response: StreamedResponse
        self._stream: AgentStream[DepsT, Any]

    async def __aenter__(self) -> AgentStream[DepsT, Any]:
        ctx, deps = self._ctx, self._ctx.deps
        with _ambient.use(deps.source):
            await begin_node(deps, self._node)
            self._run_context = await begin_step(ctx, self._request)
            messages = deps.sent.of(ctx.state.message_history)
            parameters = await parameters_of(deps, self._run_context)
            self._opening = await _ask_for_stream(ctx, messages, parameters, self._run_context)
            with set_current_run_context(self._run_context):
                self._response = await self._opening.__aenter__()
            self._begun()
            ctx.state.usage.requests += 1
            self._stream = AgentStream(
                _raw_stream_response=self._response,
                _output_schema=deps.output_schema,
                _output_validators=deps.output_validators,
                _run_ctx=self._run_context,
                _usage_limits=deps.usage_limits,
                _tool_manager=deps.tool_manager,
                _source=deps.source,
            )
        return self._stream

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Take the rest of the response, unless an error ends it all; then close the model's stream."""
        with _ambient.use(self._ctx.deps.source), set_current_run_context(self._run_context):
            if error is None:
                try:
                    async for _ in self._stream:
                        pass
                except BaseException as raised:
                    await self._opening.__aexit__(type(raised), raised, raised.__traceback__)
                    raise
            handled = bool(await self._opening.__aexit__(kind, error, trace))
            if error is None or handled:
                self._finish(self._ctx, self._response.get())
        return handled


async def begin_step(ctx: RunCtx[DepsT], request: ModelRequest) -> RunContext[DepsT]:
    """Begin a step: append the request to the history and find out which tools there are.

    Args:
        ctx: State and setup of the run.
        request: The request; gets its time and run id.

    Returns:
        The context of the step.
    """
    state, deps = ctx.state, ctx.deps
    deps.source.request_begun()
    request.timestamp = _ambient.now()
    request.run_id = request.run_id or state.run_id
    state.message_history.append(request)
    state.run_step += 1
    run_context = run_context_of(state, deps)
    deps.tool_manager = await deps.tool_manager.for_run_step(run_context)
    if deps.history_processors:
        await _process_history(ctx, run_context)
    return run_context


async def ask(
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
    model, settings = ctx.deps.model, ctx.deps.model_settings

    async def request() -> ModelResponse:
        with set_current_run_context(run_context):
            return await model.request(messages, settings, parameters)

    return await request_by(handler, await _checked_call(handler, ctx, messages, parameters), request)


async def _ask_for_stream(
    ctx: RunCtx[DepsT],
    messages: list[ModelMessage],
    parameters: ModelRequestParameters,
    run_context: RunContext[DepsT],
) -> AbstractAsyncContextManager[StreamedResponse]:
    """Prepare a streamed request, if the limits allow another one; entering what is returned makes it."""
    deps = ctx.deps

    def stream() -> AbstractAsyncContextManager[StreamedResponse]:
        return deps.model.request_stream(messages, deps.model_settings, parameters, run_context)

    if deps.handler is None:
        usage = ctx.state.usage
        if deps.usage_limits.count_tokens_before_request:
            usage = usage + await deps.model.count_tokens(messages, deps.model_settings, parameters)
        deps.usage_limits.check_before_request(usage)
        return stream()
    return stream_by(deps.handler, await _checked_call(deps.handler, ctx, messages, parameters), stream)


async def _checked_call(
    handler: RunHandler, ctx: RunCtx[DepsT], messages: list[ModelMessage], parameters: ModelRequestParameters
) -> ModelCall:
    """Put a request together as an effect, if the limits allow another one."""
    deps, model, settings = ctx.deps, ctx.deps.model, ctx.deps.model_settings
    call = ModelCall(step=ctx.state.run_step, model=model, messages=messages, settings=settings, parameters=parameters)

    async def count() -> RequestUsage:
        return await model.count_tokens(messages, settings, parameters)

    usage = ctx.state.usage
    if deps.usage_limits.count_tokens_before_request:
        usage = usage + await handler.count_tokens(call, count)
    deps.usage_limits.check_before_request(usage)
    return call


async def parameters_of(deps: GraphAgentDeps[DepsT, Any], run_context: RunContext[DepsT]) -> ModelRequestParameters:
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
