"""A response as it comes: events while it streams in, the response so far at any time.

A subclass yields starts of parts and deltas, as its provider sends them. What follows from these is added here: the
end of each part, and the notice that the result of the run has begun.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import field
from datetime import datetime
from typing import Any, Generic, TypeVar

from agentrun._parts_manager import ModelResponsePartsManager
from agentrun._records import full_repr, lean_dataclass
from agentrun.messages import (
    BaseToolCallPart,
    BinaryImage,
    FilePart,
    FinalResultEvent,
    FinishReason,
    ModelResponse,
    ModelResponsePart,
    ModelResponseStreamEvent,
    PartEndEvent,
    PartStartEvent,
    TextPart,
    ThinkingPart,
    ToolCallPart,
)
from agentrun.models._parameters import ModelRequestParameters
from agentrun.usage import RequestUsage

__all__ = ('Opening', 'Ready', 'StreamedResponse', 'aclose')

T = TypeVar('T')


@lean_dataclass(show=full_repr)
class StreamedResponse(ABC):
    """A streamed response of a model. Fields and methods that subclasses rely on are those of pydantic-ai 1.38.

    Subclasses may be dataclasses with fields of their own.
    """

    model_request_parameters: ModelRequestParameters
    """What the request offered and allowed."""

    final_result_event: FinalResultEvent | None = field(default=None, init=False)
    """The notice that the result has begun, once it has been handed out."""

    provider_response_id: str | None = field(default=None, init=False)
    """The provider's id of the response."""
    provider_details: dict[str, Any] | None = field(default=None, init=False)
    """What else the provider sent."""
    finish_reason: FinishReason | None = field(default=None, init=False)
    """Why the model stopped."""

    _parts_manager: ModelResponsePartsManager = field(default_factory=ModelResponsePartsManager, init=False)
    _event_iterator: AsyncIterator[ModelResponseStreamEvent] | None = field(default=None, init=False)
    _usage: RequestUsage = field(default_factory=RequestUsage, init=False)

    # Not annotated: no field, for it says nothing about the response.
    _around = None

    def wrap_events(
        self, around: Callable[[AsyncIterator[ModelResponseStreamEvent]], AsyncIterator[ModelResponseStreamEvent]]
    ) -> None:
        """Let `__aiter__` give what a function makes of its iterator. For whoever opens the stream, before it is read.

        The response stays the model's own object, and shows as such; a subclass that overrides `__aiter__` is not
        reached.

        Args:
            around: Gets the iterator over the events when it is first asked for. What it returns should have an
                `aclose` that closes that one.
        """
        self._around = around

    def __aiter__(self) -> AsyncIterator[ModelResponseStreamEvent]:
        """Return the iterator over the events; the same one each time, so that a second loop goes on with the first.

        A part's end comes right before the start of the next one, or at the end of the stream; files and returns of
        built-in tools have none. The notice of the result comes right after the start of the part that matches.
        """
        if self._event_iterator is None:
            events = _Events(self, self._finished_part, self._get_event_iterator())
            self._event_iterator = events if self._around is None else self._around(events)
        return self._event_iterator

    @abstractmethod
    def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        """Return starts and deltas as they come; called once. Usually an async generator method.

        It feeds `_parts_manager` with what the provider sends and yields the events that come out, and sets `_usage` as
        it goes.
        """

    def _finished_part(self, index: int) -> ModelResponsePart:
        # Counted among the finished parts, as in pydantic-ai 1.38: behind a tool call whose tool never came, the
        # part is another one, or none (an IndexError).
        return self._parts_manager.get_parts()[index]

    async def aclose(self) -> None:
        """End the stream, begun or not. Whatever has not come by now will not.

        For a stream that is left early: an async generator that is merely dropped runs its clean-up at a time that
        nobody knows, in no particular task.
        """
        events, self._event_iterator = self._event_iterator, Ready(())  # and no cycle for the garbage collector
        if events is not None:
            await aclose(events)

    def get(self) -> ModelResponse:
        """Return the response as far as it has come, as a new object."""
        return ModelResponse(
            parts=self._parts_manager.get_parts(),
            model_name=self.model_name,
            timestamp=self.timestamp,
            usage=self.usage(),
            provider_name=self.provider_name,
            provider_url=self.provider_url,
            provider_response_id=self.provider_response_id,
            provider_details=self.provider_details,
            finish_reason=self.finish_reason,
        )

    def usage(self) -> RequestUsage:
        """Return what the response has used as far as it has come; final when the stream has ended."""
        return self._usage

    @property
    @abstractmethod
    def model_name(self) -> str:
        """Name of the model."""

    @property
    @abstractmethod
    def provider_name(self) -> str | None:
        """Name of the provider."""

    @property
    @abstractmethod
    def provider_url(self) -> str | None:
        """Base URL of the provider."""

    @property
    @abstractmethod
    def timestamp(self) -> datetime:
        """When the response began."""


class _Events:
    """Iterates over a stream's own events and those that follow from them.

    A class and not an async generator: it can be dropped at any point, and its cost is one frame an event.
    """

    def __init__(
        self,
        stream: StreamedResponse,
        finished_part: Callable[[int], ModelResponsePart],
        source: AsyncIterator[ModelResponseStreamEvent],
    ) -> None:
        self._stream = stream
        self._finished_part = finished_part
        self._source = source
        self._begun: PartStartEvent | None = None
        """The last start of all."""
        self._due: PartStartEvent | None = None
        """The same, as long as it has yet to be handed out because an end came before it."""
        self._unmatched: PartStartEvent | None = None
        """The last event handed out, if that is a start that may have begun the result."""
        self._over = False
        self._busy = False
        """Whether a task waits for the next event now: only one may."""

    def __aiter__(self) -> AsyncIterator[ModelResponseStreamEvent]:
        return self

    async def __anext__(self) -> ModelResponseStreamEvent:
        if self._busy:
            raise RuntimeError('anext(): asynchronous generator is already running')  # what a generator says
        if self._over:
            raise StopAsyncIteration
        if self._due is not None:
            return self._start(self._due)
        if self._unmatched is not None and (final := self._final(self._unmatched)) is not None:
            return final
        self._over = self._busy = True  # over, as an async generator is once it has raised, or has been cancelled
        try:
            event = await anext(self._source)
        except StopAsyncIteration:
            pass
        else:
            event = self._follow(event) if isinstance(event, PartStartEvent) else event
            self._over = False
            return event
        finally:
            self._busy = False
        return self._finish()

    async def aclose(self) -> None:
        """Close the source, if it can be closed, and hand out nothing more."""
        self._over = True
        await aclose(self._source)

    def _follow(self, start: PartStartEvent) -> ModelResponseStreamEvent:
        """Take in a start; the end of the part before it goes first, if it has one."""
        before, self._begun = self._begun, start
        if before is None:
            return self._start(start)
        end = self._end(before, start.part)
        start.previous_part_kind = before.part.part_kind
        if end is None:
            return self._start(start)
        self._due = start
        return end

    def _finish(self) -> ModelResponseStreamEvent:
        end = None if self._begun is None else self._end(self._begun)
        if end is None:
            raise StopAsyncIteration
        return end

    def _start(self, start: PartStartEvent) -> PartStartEvent:
        self._due = None
        if self._stream.final_result_event is None:
            self._unmatched = start
        return start

    def _end(self, start: PartStartEvent, following: ModelResponsePart | None = None) -> PartEndEvent | None:
        part = self._finished_part(start.index)
        if not isinstance(part, TextPart | ThinkingPart | BaseToolCallPart):
            return None
        kind = None if following is None else following.part_kind
        return PartEndEvent(index=start.index, part=part, next_part_kind=kind)

    def _final(self, start: PartStartEvent) -> FinalResultEvent | None:
        self._unmatched = None
        final = _final_result(start.part, self._stream.model_request_parameters)
        if final is not None:
            self._stream.final_result_event = final
        return final


def _final_result(part: ModelResponsePart, params: ModelRequestParameters) -> FinalResultEvent | None:
    """Tell whether a part begins the result of the run, or ends the run because its tool is run elsewhere."""
    if isinstance(part, ToolCallPart):
        tool = params.tool_defs.get(part.tool_name)
        if tool is not None and tool.kind == 'output':
            return FinalResultEvent(tool_name=part.tool_name, tool_call_id=part.tool_call_id)
        matches = tool is not None and tool.defer
    elif isinstance(part, FilePart):
        matches = params.allow_image_output and isinstance(part.content, BinaryImage)
    else:
        matches = isinstance(part, TextPart) and params.allow_text_output
    return FinalResultEvent(tool_name=None, tool_call_id=None) if matches else None


class Opening(AbstractAsyncContextManager[StreamedResponse]):
    """What `Model.request_stream` gives: makes the request when it is entered, ends the stream when it is left.

    Args:
        request: Makes the request.
    """

    def __init__(self, request: Callable[[], Awaitable[StreamedResponse]]) -> None:
        self._request = request

    async def __aenter__(self) -> StreamedResponse:
        self._stream = await self._request()
        return self._stream

    async def __aexit__(self, *_: object) -> None:
        await self._stream.aclose()


class Ready(Generic[T]):
    """Values that are there already, as an async iterator.

    Args:
        values: The values; they may be made one by one.
    """

    def __init__(self, values: Iterable[T]) -> None:
        self._values = iter(values)

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        for value in self._values:
            return value
        raise StopAsyncIteration


async def aclose(iterator: object) -> None:
    """Close an async iterator, if it is one that can be closed: async generators are."""
    close = getattr(iterator, 'aclose', None)
    if close is not None:
        await close()
