"""A response of a model as a run sees it while it streams in: events, texts, outputs so far."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import field
from datetime import datetime
from typing import Any, Generic, TypeVar, cast

from pydantic import ValidationError

from agentrun import _ambient
from agentrun._iterators import Grouped, InRun, Steps
from agentrun._outcomes import ToolRetried, ToolReturned
from agentrun._output import OutputSchema, OutputValidator
from agentrun._records import changed, full_repr, lean_dataclass
from agentrun._run_context import AgentDepsT, RunContext
from agentrun._tool_manager import ToolManager
from agentrun.exceptions import UnexpectedModelBehavior, UserError
from agentrun.messages import (
    BuiltinToolCallPart,
    ModelResponse,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ToolCallPart,
)
from agentrun.models._base import StreamedResponse
from agentrun.output import OutputDataT
from agentrun.tools import DeferredToolRequests
from agentrun.usage import RunUsage, UsageLimits

__all__ = ('AgentStream',)

T = TypeVar('T')

NOT_DEFERRABLE = (
    'A deferred tool call was present, but `DeferredToolRequests` is not among output types. To resolve this, add '
    '`DeferredToolRequests` to the list of output types for this agent.'
)


@lean_dataclass(kw_only=True, show=full_repr)
class AgentStream(Generic[AgentDepsT, OutputDataT]):
    """A streamed response within a run. Given by `ModelRequestNode.stream`.

    Iterating gives the events; a second loop goes on where the first was left.
    """

    _raw_stream_response: StreamedResponse
    _output_schema: OutputSchema[OutputDataT]
    _output_validators: list[OutputValidator[AgentDepsT, OutputDataT]]
    _run_ctx: RunContext[AgentDepsT]
    _usage_limits: UsageLimits
    _tool_manager: ToolManager[AgentDepsT]
    _source: _ambient.Source

    _events: AsyncIterator[ModelResponseStreamEvent] = field(init=False)
    _checked: AsyncIterator[ModelResponseStreamEvent] = field(init=False)
    _initial_run_ctx_usage: RunUsage = field(init=False)

    def __post_init__(self) -> None:
        self._events = InRun(aiter(self._raw_stream_response), self._source, self._run_ctx)
        limited = self._usage_limits.has_token_limits()
        self._checked = _Checked(self._events, self._usage_limits, self.usage) if limited else self._events
        self._initial_run_ctx_usage = deepcopy(self._run_ctx.usage)

    def __aiter__(self) -> AsyncIterator[ModelResponseStreamEvent]:
        """Return the iterator over the events, the same one each time; a token limit exceeded is raised by it."""
        return self._checked

    def stream_output(self, *, debounce_by: float | None = 0.1) -> AsyncIterator[OutputDataT]:
        """Iterate over the output as it grows: validated as the beginning of one, at last as a whole.

        States that are no output yet are left out, and so are states equal to the one before.

        Args:
            debounce_by: Seconds of events to take together, so that less is validated; None: no taking together.

        Raises:
            ValidationError: At the end, if the whole is no output.
            ModelRetry: If an output function or the validator of an output tool asks for a retry.
            ToolRetryError: If the validator of a text output asks for a retry.
        """
        return _Outputs(self, self._raw_stream_response, debounce_by)

    def stream_responses(self, *, debounce_by: float | None = 0.1) -> AsyncIterator[ModelResponse]:
        """Iterate over the response as it grows, each time as a new object; nothing is validated.

        The first is the state at hand, if it has any content; then there is one after each event.

        Args:
            debounce_by: Seconds of events to take together; None: no taking together.
        """
        return _Responses(self, debounce_by)

    def stream_text(self, *, delta: bool = False, debounce_by: float | None = 0.1) -> AsyncIterator[str]:
        """Iterate over a text output as it grows.

        Args:
            delta: Whether to give only what is new each time; then no output validator is asked.
            debounce_by: Seconds of events to take together; None: no taking together.

        Raises:
            UserError: If the output is not text.
        """
        if self._output_schema.mode != 'text':
            raise UserError('stream_text() can only be used with text responses')
        groups = Grouped(_Pieces(self, self._events), debounce_by)
        return _Texts(groups, None if delta else self._validated_text)

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return cast('str', self._run_ctx.run_id)

    def get(self) -> ModelResponse:
        """Return the response as far as it has come, as a new object."""
        return self._raw_stream_response.get()

    @property
    def response(self) -> ModelResponse:
        """The response as far as it has come, as a new object."""
        return self.get()

    def usage(self) -> RunUsage:
        """Return the usage of the run so far, this response included; whole when the stream has ended."""
        return self._initial_run_ctx_usage + self._raw_stream_response.usage()

    def timestamp(self) -> datetime:
        """Return when the response began."""
        return self._raw_stream_response.timestamp

    async def get_output(self) -> OutputDataT:
        """Wait for the whole response and return its output.

        Raises:
            UnexpectedModelBehavior: If there is no output in it.
            Exception: As `validate_response_output`.
        """
        async for _ in self:
            pass
        return await self.validate_response_output(self.response)

    async def validate_response_output(self, message: ModelResponse, *, allow_partial: bool = False) -> OutputDataT:
        """Make the output of a response.

        Args:
            message: The response, or its beginning.
            allow_partial: Whether it is a beginning; then validation takes what has come for enough where it can.

        Raises:
            UnexpectedModelBehavior: If there is no output in it, or the output tool has no retry left.
            ValidationError: If the output is wrong.
            ModelRetry: If an output function, or the validator of an output tool, asks for a retry.
            ToolRetryError: If the validator of a text output asks for a retry.
            UserError: If it calls tools that somebody else answers for, and the run may not end so.
        """
        final = self._raw_stream_response.final_result_event
        if final is None:
            raise UnexpectedModelBehavior('Invalid response, unable to find output')
        schema = self._output_schema
        with _ambient.use(self._source):
            if schema.toolset and final.tool_name is not None:
                return await self._output_of_call(_call_of(message, final.tool_name), allow_partial=allow_partial)
            deferred = _deferred_requests(message.tool_calls, self._tool_manager)
            if deferred is not None:
                if not schema.allows_deferred_tools:
                    raise UserError(NOT_DEFERRABLE)
                return cast('OutputDataT', deferred)
            if schema.allows_image and message.images:
                return cast('OutputDataT', message.images[0])
            if schema.text_processor is None:
                raise UnexpectedModelBehavior('Invalid response, unable to process text output')
            output = await schema.text_processor.process(
                _text_of(message), run_context=self._run_ctx, allow_partial=allow_partial, wrap_validation_errors=False
            )
            return await self._validated(output, allow_partial=allow_partial)

    async def _output_of_call(self, call: ToolCallPart, *, allow_partial: bool) -> OutputDataT:
        """Run an output tool; a retry that it asks for is the caller's to see, and the model's only afterwards."""
        outcome = await self._tool_manager.execute(call, allow_partial=allow_partial)
        self._tool_manager.settle(call, outcome, allow_partial=allow_partial)
        if isinstance(outcome, ToolRetried) and outcome.error is not None:
            raise outcome.error
        return cast('ToolReturned', outcome).value  # an output tool cannot put its call off

    async def _validated_text(self, text: str) -> str:
        return await self._validated(text, allow_partial=True)

    async def _validated(self, output: T, *, allow_partial: bool) -> T:
        context = changed(self._run_ctx, partial_output=allow_partial)
        for validator in self._output_validators:
            output = await validator.validate(output, context)
        return output


class _Checked(Steps[ModelResponseStreamEvent]):
    """Events, with a look at the limits after each."""

    def __init__(
        self, events: AsyncIterator[ModelResponseStreamEvent], limits: UsageLimits, usage: Callable[[], RunUsage]
    ) -> None:
        self._events = events
        self._limits = limits
        self._usage = usage

    async def _step(self) -> ModelResponseStreamEvent:
        event = await anext(self._events)
        self._limits.check_tokens(self._usage())
        return event


class _Responses(Steps[ModelResponse]):
    """States of a response, one for each group of events."""

    def __init__(self, stream: AgentStream[Any, Any], debounce_by: float | None) -> None:
        self._stream = stream
        self._groups = Grouped(aiter(stream), debounce_by)
        self._begun = False

    async def _step(self) -> ModelResponse:
        if not self._begun:
            self._begun = True
            response = self._stream.response
            if any(part.has_content() for part in response.parts):
                return response
        await anext(self._groups)
        return self._stream.response


class _Outputs(Steps[T]):
    """Outputs of the states of a response."""

    def __init__(self, stream: AgentStream[Any, T], raw: StreamedResponse, debounce_by: float | None) -> None:
        self._stream = stream
        self._raw = raw
        self._responses = _Responses(stream, debounce_by)
        self._last: ModelResponse | None = None
        self._ended = False

    async def _step(self) -> T:
        async for response in self._responses:
            if self._is_new(response):
                self._last = response
                try:
                    return await self._stream.validate_response_output(response, allow_partial=True)
                except ValidationError:
                    pass
        response = self._stream.response
        if self._ended or not self._is_new(response):
            raise StopAsyncIteration
        self._ended = True
        return await self._stream.validate_response_output(response)

    def _is_new(self, response: ModelResponse) -> bool:
        """Tell whether the result has begun in a state and the state is not that of the last output tried."""
        if self._raw.final_result_event is None:
            return False
        return self._last is None or response.parts != self._last.parts


class _Pieces(Steps[str]):
    """Pieces of text: what is there already, a part each, then what comes.

    Text after a call of a built-in tool begins a new paragraph.
    """

    def __init__(self, stream: AgentStream[Any, Any], events: AsyncIterator[ModelResponseStreamEvent]) -> None:
        self._stream = stream
        self._events = events
        self._there: Iterator[str] | None = None
        self._after_text = False

    async def _step(self) -> str:
        if self._there is None:
            parts = self._stream.response.parts
            self._there = iter([part.content for part in parts if isinstance(part, TextPart) and part.content])
        for text in self._there:
            return text
        async for event in self._events:
            text = self._text_of(event)
            if text:
                return text
        raise StopAsyncIteration

    def _text_of(self, event: ModelResponseStreamEvent) -> str:
        text = ''
        if isinstance(event, PartStartEvent):
            if isinstance(event.part, TextPart):
                text = event.part.content
            elif isinstance(event.part, BuiltinToolCallPart) and self._after_text:
                self._after_text = False
                return '\n\n'
        elif isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
            text = event.delta.content_delta
        self._after_text = self._after_text or bool(text)
        return text


class _Texts(Steps[str]):
    """Texts of groups of pieces: each alone, or, with a validator, all so far."""

    def __init__(self, groups: AsyncIterator[list[str]], validated: Callable[[str], Awaitable[str]] | None) -> None:
        self._groups = groups
        self._validated = validated
        self._text = ''

    async def _step(self) -> str:
        text = ''.join(await anext(self._groups))
        if self._validated is None:
            return text
        self._text += text
        return await self._validated(self._text)


def _call_of(message: ModelResponse, tool_name: str) -> ToolCallPart:
    for call in message.tool_calls:
        if call.tool_name == tool_name:
            return call
    raise UnexpectedModelBehavior(f'Invalid response, unable to find tool call for {tool_name!r}')


def _text_of(message: ModelResponse) -> str:
    """Join the texts; what was said before a built-in tool ran is thought, not output."""
    text = ''
    for part in message.parts:
        if isinstance(part, TextPart):
            text += part.content
        elif isinstance(part, BuiltinToolCallPart):
            text = ''
    return text


def _deferred_requests(calls: Sequence[ToolCallPart], tools: ToolManager[Any]) -> DeferredToolRequests | None:
    """Gather the calls that somebody else answers for; None if there are none."""
    requests = DeferredToolRequests()
    for call in calls:
        tool = tools.get_tool_def(call.tool_name)
        if tool is not None and tool.kind == 'unapproved':
            requests.approvals.append(call)
        elif tool is not None and tool.kind == 'external':
            requests.calls.append(call)
    return requests if requests.calls or requests.approvals else None
