"""A model that is a function: scripted answers for tests and examples."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeAlias, TypeVar, assert_never, cast, overload

from agentrun import _ambient
from agentrun._callables import run_in_thread
from agentrun._records import full_repr, lean_dataclass
from agentrun._run_context import RunContext
from agentrun.builtin_tools import SUPPORTED_BUILTIN_TOOLS, AbstractBuiltinTool
from agentrun.messages import (
    BuiltinToolCallPart,
    BuiltinToolReturnPart,
    ModelMessage,
    ModelResponse,
    ModelResponseStreamEvent,
)
from agentrun.models._base import Model, ModelRequestParameters, StreamedResponse
from agentrun.models._estimate import OVERHEAD, UsageEstimate, count_words
from agentrun.models._streamed import Opening, aclose
from agentrun.profiles import ModelProfile, ModelProfileSpec
from agentrun.settings import ModelSettings
from agentrun.tools import ToolDefinition
from agentrun.usage import RequestUsage

__all__ = (
    'AgentInfo',
    'BuiltinToolCallsReturns',
    'DeltaThinkingCalls',
    'DeltaThinkingPart',
    'DeltaToolCall',
    'DeltaToolCalls',
    'FunctionDef',
    'FunctionModel',
    'FunctionStreamedResponse',
    'StreamFunctionDef',
)

T = TypeVar('T')


@dataclass(frozen=True, kw_only=True, init=False)
class AgentInfo:
    """What the function of a `FunctionModel` is told beside the messages."""

    function_tools: list[ToolDefinition]
    """Tools whose results come back to the model."""
    allow_text_output: bool
    """Whether plain text may end the run."""
    output_tools: list[ToolDefinition]
    """Tools whose arguments are the output."""
    model_settings: ModelSettings | None
    """Settings of model, agent and run, merged; None if there are none."""
    model_request_parameters: ModelRequestParameters
    """All parameters of the request."""
    instructions: str | None
    """The instructions in force."""

    def __init__(
        self,
        *,
        function_tools: list[ToolDefinition],
        allow_text_output: bool,
        output_tools: list[ToolDefinition],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        instructions: str | None,
    ) -> None:
        # all at once: one is made for every request, and a frozen class takes its fields one by one at a high price
        vars(self).update(
            function_tools=function_tools,
            allow_text_output=allow_text_output,
            output_tools=output_tools,
            model_settings=model_settings,
            model_request_parameters=model_request_parameters,
            instructions=instructions,
        )


FunctionDef: TypeAlias = Callable[[list[ModelMessage], AgentInfo], ModelResponse | Awaitable[ModelResponse]]
"""Answers a request; sync or async. A sync one runs in a worker thread."""


@lean_dataclass(show=full_repr)
class DeltaToolCall:
    """A piece of a tool call."""

    name: str | None = None
    """Text to append to the tool's name."""
    json_args: str | None = None
    """JSON text to append to the arguments."""

    _: KW_ONLY

    tool_call_id: str | None = None
    """Id of the call; it takes the place of an earlier one."""


@lean_dataclass(kw_only=True, show=full_repr)
class DeltaThinkingPart:
    """A piece of a thought."""

    content: str | None = None
    """Text to append."""
    signature: str | None = None
    """The signature; it takes the place of an earlier one."""


DeltaToolCalls: TypeAlias = dict[int, DeltaToolCall]
"""Pieces of tool calls by number; a number stands for the same part all through the response."""

DeltaThinkingCalls: TypeAlias = dict[int, DeltaThinkingPart]
"""Pieces of thoughts by number, as for tool calls."""

BuiltinToolCallsReturns: TypeAlias = dict[int, BuiltinToolCallPart | BuiltinToolReturnPart]
"""Whole calls and returns of built-in tools by number."""

_Piece: TypeAlias = DeltaToolCall | DeltaThinkingPart | BuiltinToolCallPart | BuiltinToolReturnPart
_Item: TypeAlias = str | DeltaToolCalls | DeltaThinkingCalls | BuiltinToolCallsReturns

StreamFunctionDef: TypeAlias = Callable[[list[ModelMessage], AgentInfo], AsyncIterator[_Item]]
"""Answers a request piece by piece; usually an async generator function. All text it yields goes to one part."""


@dataclass(init=False)
class FunctionModel(Model):
    """A model whose responses functions make. One of them is enough, if only such requests are made.

    Args:
        function: Called for each request with the messages and an `AgentInfo`.
        stream_function: Called for each streamed request with the same.
        model_name: Name of the model, and of every response; made of the names of both functions if not given:
            `function:<function>:<stream_function>`.
        profile: What the model can do; JSON output of all kinds if not given.
        settings: Settings for every request.

    Raises:
        TypeError: If there is no function.
    """

    function: FunctionDef | None
    stream_function: StreamFunctionDef | None
    _model_name: str = field(repr=False)
    _system: str = field(default='function', repr=False)

    @overload
    def __init__(
        self,
        function: FunctionDef,
        *,
        stream_function: StreamFunctionDef | None = None,
        model_name: str | None = None,
        profile: ModelProfileSpec | None = None,
        settings: ModelSettings | None = None,
    ) -> None: ...

    @overload
    def __init__(
        self,
        *,
        stream_function: StreamFunctionDef,
        model_name: str | None = None,
        profile: ModelProfileSpec | None = None,
        settings: ModelSettings | None = None,
    ) -> None: ...

    def __init__(
        self,
        function: FunctionDef | None = None,
        *,
        stream_function: StreamFunctionDef | None = None,
        model_name: str | None = None,
        profile: ModelProfileSpec | None = None,
        settings: ModelSettings | None = None,
    ) -> None:
        if function is None and stream_function is None:
            raise TypeError('Either `function` or `stream_function` must be provided')
        self.function = function
        self.stream_function = stream_function
        self._model_name = model_name or f'function:{_name(function)}:{_name(stream_function)}'
        self._is_async = inspect.iscoroutinefunction(function)
        self._estimate = UsageEstimate()
        super().__init__(
            settings=settings,
            profile=profile or ModelProfile(supports_json_schema_output=True, supports_json_object_output=True),
        )

    @property
    def model_name(self) -> str:
        """Name of the model."""
        return self._model_name

    @property
    def system(self) -> str:
        """Always `'function'`."""
        return self._system

    @classmethod
    def supported_builtin_tools(cls) -> frozenset[type[AbstractBuiltinTool]]:
        """Return all of them: what becomes of them is up to the function."""
        return SUPPORTED_BUILTIN_TOOLS

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Ask the function. A response without usage gets an estimate, as in pydantic-ai 1.38.

        Args:
            messages: The conversation, oldest first.
            model_settings: Settings of agent and run.
            model_request_parameters: Tools and output on offer.

        Returns:
            The function's response, with this model's name on it.

        Raises:
            AssertionError: If there is only a function for streamed requests.
        """
        info = self._info(messages, model_settings, model_request_parameters)
        function: Callable[..., Any] | None = self.function
        if function is None:
            raise AssertionError('FunctionModel must receive a `function` to support non-streamed requests')
        response = await function(messages, info) if self._is_async else await run_in_thread(function, messages, info)
        if not isinstance(response, ModelResponse):
            raise TypeError(
                f'The function of {self._model_name!r} has to return a `ModelResponse`; it returned {response!r}.'
            )
        response.model_name = self._model_name
        if not response.usage.has_values():
            response.usage = self._estimate.of(messages, response)
        return response

    def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,  # noqa: ARG002, not every model has a use for it
    ) -> AbstractAsyncContextManager[StreamedResponse]:
        """Ask the function for streams.

        Args:
            messages: The conversation, oldest first.
            model_settings: Settings of agent and run.
            model_request_parameters: Tools and output on offer.
            run_context: Not used.

        Returns:
            A context manager. Entering it raises AssertionError if there is no function for streams, and ValueError if
            that yields nothing; leaving it closes what the function returned.
        """

        async def open_() -> StreamedResponse:
            info = self._info(messages, model_settings, model_request_parameters)
            if self.stream_function is None:
                raise AssertionError('FunctionModel must receive a `stream_function` to support streamed requests')
            source = aiter(self.stream_function(messages, info))
            first = await anext(source, _NOTHING)
            if first is _NOTHING:
                raise ValueError('Stream function must return at least one item')
            return FunctionStreamedResponse(
                model_request_parameters=info.model_request_parameters,
                _model_name=self._model_name,
                _iter=_Peeked(cast('_Item', first), source),
            )

        return Opening(open_)

    def _info(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> AgentInfo:
        settings, params = self.prepare_request(model_settings, model_request_parameters)
        return AgentInfo(
            function_tools=params.function_tools,
            allow_text_output=params.allow_text_output,
            output_tools=params.output_tools,
            model_settings=settings,
            model_request_parameters=params,
            instructions=self._get_instructions(messages, params),
        )


def _name(function: Callable[..., Any] | None) -> str:
    return '' if function is None else function.__name__


@lean_dataclass(show=full_repr)
class FunctionStreamedResponse(StreamedResponse):
    """What a function streams.

    Its usage is 50 input tokens, whatever was asked, and an estimate of what was streamed, as in pydantic-ai 1.38.
    """

    _model_name: str
    _iter: AsyncIterator[_Item]
    _timestamp: datetime = field(default_factory=_ambient.now)
    _words: int = field(default=0, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._usage = RequestUsage(input_tokens=OVERHEAD)

    def usage(self) -> RequestUsage:
        """Return what has been used so far; an object of its own for each count."""
        # made when it is asked for: most pieces come and go without
        if self._words != self._usage.output_tokens:
            self._usage = RequestUsage(input_tokens=self._usage.input_tokens, output_tokens=self._words)
        return self._usage

    @property
    def model_name(self) -> str:
        """Name of the model."""
        return self._model_name

    @property
    def provider_name(self) -> None:
        """Always None."""

    @property
    def provider_url(self) -> None:
        """Always None."""

    @property
    def timestamp(self) -> datetime:
        """When the first piece had come."""
        return self._timestamp

    async def aclose(self) -> None:
        """End the stream, begun or not, and close what the function returned."""
        await super().aclose()
        await aclose(self._iter)

    def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        return _PieceByPiece(self._iter, self._events)

    def _events(self, item: _Item) -> Iterator[ModelResponseStreamEvent]:
        """Take in an item."""
        if isinstance(item, str):
            self._count(item)
            return self._parts_manager.handle_text_delta(vendor_part_id='content', content=item)
        # Users' functions: what is neither text nor a dictionary is passed over, as in pydantic-ai 1.38.
        return self._pieces(item) if isinstance(item, dict) else iter(())  # pyright: ignore[reportUnnecessaryIsInstance]

    def _pieces(self, item: Mapping[int, _Piece]) -> Iterator[ModelResponseStreamEvent]:
        """Take in a piece for each event that is asked for, so that `get` shows no more than was told."""
        for number, piece in item.items():
            yield from self._piece(number, piece)

    def _piece(self, number: int, piece: _Piece) -> Iterator[ModelResponseStreamEvent]:
        manager = self._parts_manager
        if isinstance(piece, DeltaThinkingPart):
            self._count(piece.content)
            yield from manager.handle_thinking_delta(
                vendor_part_id=number,
                content=piece.content,
                signature=piece.signature,
                provider_name='function' if piece.signature else None,
            )
        elif isinstance(piece, DeltaToolCall):
            self._count(piece.json_args)
            event = manager.handle_tool_call_delta(
                vendor_part_id=number, tool_name=piece.name, args=piece.json_args, tool_call_id=piece.tool_call_id
            )
            if event is not None:
                yield event
        elif isinstance(piece, BuiltinToolCallPart):
            self._count(piece.args_as_json_str())
            yield manager.handle_part(vendor_part_id=number, part=piece)
        elif isinstance(piece, BuiltinToolReturnPart):  # pyright: ignore[reportUnnecessaryIsInstance]
            self._count(piece.model_response_str())
            yield manager.handle_part(vendor_part_id=number, part=piece)
        else:
            assert_never(piece)

    def _count(self, text: str | None) -> None:
        if text:
            self._words += count_words(text)


class _PieceByPiece:
    """Iterates over the events of items that come one after the other, several to an item."""

    def __init__(
        self, items: AsyncIterator[_Item], events: Callable[[_Item], Iterator[ModelResponseStreamEvent]]
    ) -> None:
        self._items = items
        self._events = events
        self._current: Iterator[ModelResponseStreamEvent] = iter(())

    def __aiter__(self) -> AsyncIterator[ModelResponseStreamEvent]:
        return self

    async def __anext__(self) -> ModelResponseStreamEvent:
        while True:
            for event in self._current:
                return event
            self._current = self._events(await anext(self._items))


class _Peeked(Generic[T]):
    """An async iterator of which the first value has been taken, to see whether there is one."""

    def __init__(self, first: T, rest: AsyncIterator[T]) -> None:
        self._first = [first]
        self._rest = rest

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    def __anext__(self) -> Awaitable[T]:
        return self._take() if self._first else anext(self._rest)  # without a frame of its own

    async def _take(self) -> T:
        return self._first.pop()

    async def aclose(self) -> None:
        """Close the iterator that the first value came from."""
        await aclose(self._rest)


_NOTHING = object()
