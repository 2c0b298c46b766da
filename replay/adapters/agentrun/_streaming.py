"""Streamed responses at agentrun's seam: noted event by event while they pass, and given again as they passed.

What a run sees of a response while it streams is made of what it has been told, in recording and replay alike: so both
show the same response at each event, however far ahead the model's own stream may be.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import NoReturn, TypeAlias, cast

from pydantic_core import PydanticSerializationError

from agentrun.messages import (
    AgentStreamEventsTypeAdapter,
    FinalResultEvent,
    ModelResponse,
    ModelResponsePart,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartStartEvent,
    ThinkingPart,
    ThinkingPartDelta,
)
from agentrun.models._base import ModelRequestParameters, StreamedResponse
from agentrun.models._streamed import Ready, aclose
from agentrun.usage import RequestUsage
from replay.adapters._cancelled import is_cancellation
from replay.adapters.agentrun._errors import raised, rebuilt
from replay.adapters.agentrun._wire import message_json, restored_events, restored_response
from replay.canon import JsonObject, own
from replay.effects import Answered, Cut, Failed
from replay.errors import ReplayError
from replay.streams import STATE, Stream, is_event
from replay.tape import Tape

__all__ = ('Left', 'Notes', 'RecordedStreaming', 'ReplayedStreaming', 'stream_again')

Left: TypeAlias = Callable[[Cut], Awaitable[NoReturn]]
"""Raises where a run reads on although its recording was left, unless it is cancelled, as that was perhaps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """Where what passes of one streamed request is noted."""

    tape: Tape
    token: int
    went_live: Callable[[], None]
    """Told before the model is asked."""
    answered: Callable[[ModelResponse], None]
    """Told when the response is there."""
    unwritable: Callable[[str, PydanticSerializationError], ReplayError]
    """Makes the error for what JSON cannot hold."""


class _Told(StreamedResponse):
    """A response of which shows what has been told.

    Args:
        parameters: What the request offered and allowed.
        opening: The response when its stream opened, without parts.
    """

    def __init__(self, parameters: ModelRequestParameters, opening: ModelResponse) -> None:
        super().__init__(model_request_parameters=parameters)
        self._told: dict[int, ModelResponsePart] = {}
        self._show(opening)

    def __aiter__(self) -> AsyncIterator[ModelResponseStreamEvent]:
        """Return the iterator over the events, ends and notices included; the same one each time."""
        if self._event_iterator is None:
            events = self._get_event_iterator()
            self._event_iterator = events if self._around is None else self._around(events)
        return self._event_iterator

    def get(self) -> ModelResponse:
        """Return the response as far as it has been told, as a new object."""
        response = copy(self._state)
        response.parts = [self._told[index] for index in sorted(self._told)]
        return response

    @property
    def model_name(self) -> str:
        """Name of the model."""
        return cast('str', self._state.model_name)

    @property
    def provider_name(self) -> str | None:
        """Name of the provider."""
        return self._state.provider_name

    @property
    def provider_url(self) -> str | None:
        """Base URL of the provider."""
        return self._state.provider_url

    @property
    def timestamp(self) -> datetime:
        """When the response began."""
        return self._state.timestamp

    def _show(self, state: ModelResponse) -> None:
        """Let all but the parts show as a response has it."""
        self._state = state
        self._usage: RequestUsage = state.usage
        self.provider_response_id = state.provider_response_id
        self.provider_details = state.provider_details
        self.finish_reason = state.finish_reason

    def _tell(self, event: ModelResponseStreamEvent) -> None:
        match event:
            case PartStartEvent(index=index, part=part):
                self._told[index] = part
            case PartDeltaEvent(index=index, delta=delta) if index in self._told:
                self._told[index] = cast('ModelResponsePart', delta.apply(self._told[index]))
            case FinalResultEvent():
                self.final_result_event = event
            case _:
                pass


# -- record


class RecordedStreaming(AbstractAsyncContextManager[StreamedResponse]):
    """The block in which a response streams from the model and is noted.

    Args:
        opening: The model's own block.
        notes: Where it is noted.
        parameters: What the request offers and allows.
    """

    def __init__(
        self,
        opening: Callable[[], AbstractAsyncContextManager[StreamedResponse]],
        notes: Notes,
        parameters: ModelRequestParameters,
    ) -> None:
        self._open = opening
        self._notes = notes
        self._parameters = parameters
        self._opening: AbstractAsyncContextManager[StreamedResponse]
        self._stream: _RecordedStream

    async def __aenter__(self) -> StreamedResponse:
        notes = self._notes
        notes.went_live()
        try:
            self._opening = self._open()
            model_stream = await self._opening.__aenter__()
        except Exception as error:
            notes.tape.end(notes.token, Failed(raised=raised(error)))
            raise
        except BaseException as error:
            if is_cancellation(error):
                notes.tape.end(notes.token, Cut(cancelled=True))
            raise
        self._stream = _RecordedStream(model_stream, notes, self._parameters)
        return self._stream

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._stream.left(cancelled=error is not None and is_cancellation(error))
        return await self._opening.__aexit__(kind, error, trace)


class _RecordedStream(_Told):
    """A model's stream that is noted while it passes."""

    def __init__(self, inner: StreamedResponse, notes: Notes, parameters: ModelRequestParameters) -> None:
        self._inner = inner
        self._notes = notes
        self._whole: ModelResponse | None = None
        self._open = True
        self._known = self._written(self._state_now())
        super().__init__(parameters, self._state_now())
        notes.tape.chunk(notes.token, self._known)

    def get(self) -> ModelResponse:
        """Return the response as far as it has been told; the model's own when all has."""
        return super().get() if self._whole is None else _copied(self._whole)

    async def aclose(self) -> None:
        """End the stream, begun or not, and that of the model."""
        await super().aclose()
        await self._inner.aclose()

    def left(self, *, cancelled: bool) -> None:
        """The reader leaves, or is cancelled: what has not come by now will not."""
        self._end(lambda: Cut(cancelled=cancelled))

    def passed(self, event: ModelResponseStreamEvent) -> ModelResponseStreamEvent:
        """Note an event, and what changed with it.

        Returns:
            The event as the run sees it.
        """
        event = self._plain(event)
        if self._open:
            try:
                written = AgentStreamEventsTypeAdapter.dump_json([event], warnings=False)[1:-1]
            except PydanticSerializationError as error:
                self._open = False
                raise self._notes.unwritable('a streamed event', error) from None
            self._notes.tape.chunk(self._notes.token, cast('JsonObject', own(written)))
            self._tell(event)
            if changes := self._changes():
                self._notes.tape.chunk(self._notes.token, changes)
        return event

    def ended(self) -> None:
        """The model has sent all."""
        if not self._open:
            return
        self._notes.tape.chunk(self._notes.token, {**self._changes(), 'over': True})
        response = self._whole = self._inner.get()
        try:
            written = message_json(response)
        except PydanticSerializationError as error:
            self._open = False
            raise self._notes.unwritable('a response of the model', error) from None
        self._notes.answered(response)
        self._end(lambda: Answered(message=written))

    def failed(self, error: Exception) -> None:
        """The model's stream broke."""
        self._end(lambda: Failed(raised=raised(error)))

    def _end(self, outcome: Callable[[], Answered | Failed | Cut]) -> None:
        if self._open:
            self._open = False
            self._notes.tape.end(self._notes.token, outcome())

    def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        return _Passing(self, aiter(self._inner))

    def _plain(self, event: ModelResponseStreamEvent) -> ModelResponseStreamEvent:
        """An event without a function in it, which JSON cannot hold: with what the function makes of the details."""
        if not isinstance(event, PartDeltaEvent) or not isinstance(event.delta, ThinkingPartDelta):
            return event
        details, part = event.delta.provider_details, self._told.get(event.index)
        if not callable(details) or not isinstance(part, ThinkingPart):
            return event
        delta = copy(event.delta)
        delta.provider_details = details(part.provider_details)
        return PartDeltaEvent(index=event.index, delta=delta)

    def _changes(self) -> JsonObject:
        """What changed in the state of the response since it was last looked at; it shows from now on."""
        state = self._state_now()
        now, before = self._written(state), self._known
        if now == before:
            return {}
        self._known = now
        self._show(state)
        return {key: value for key, value in now.items() if value != before[key]}

    def _state_now(self) -> ModelResponse:
        inner = self._inner
        return ModelResponse(
            parts=[],
            usage=copy(inner.usage()),
            model_name=inner.model_name,
            timestamp=inner.timestamp,
            provider_name=inner.provider_name,
            provider_url=inner.provider_url,
            provider_details=inner.provider_details,
            provider_response_id=inner.provider_response_id,
            finish_reason=inner.finish_reason,
        )

    def _written(self, state: ModelResponse) -> JsonObject:
        try:
            written = message_json(state)
        except PydanticSerializationError as error:
            raise self._notes.unwritable('a response of the model', error) from None
        return {key: written[key] for key in STATE}


class _Passing:
    """Iterates over a model's events and has each noted."""

    def __init__(self, stream: _RecordedStream, events: AsyncIterator[ModelResponseStreamEvent]) -> None:
        self._stream = stream
        self._events = events

    def __aiter__(self) -> AsyncIterator[ModelResponseStreamEvent]:
        return self

    async def __anext__(self) -> ModelResponseStreamEvent:
        try:
            event = await anext(self._events)
        except StopAsyncIteration:
            self._stream.ended()
            raise
        except Exception as error:
            self._stream.failed(error)
            raise
        except BaseException:
            self._stream.left(cancelled=True)
            raise
        return self._stream.passed(event)

    async def aclose(self) -> None:
        """Close the model's events."""
        await aclose(self._events)


# -- replay


class ReplayedStreaming(AbstractAsyncContextManager[StreamedResponse]):
    """The block in which a recorded response streams again, or its request fails again.

    Args:
        outcome: What came of the request.
        parameters: What it offers and allows.
        left: What happens where the run reads on although its recording was left.
    """

    def __init__(self, outcome: Answered | Failed | Cut, parameters: ModelRequestParameters, left: Left) -> None:
        self._outcome = outcome
        self._parameters = parameters
        self._left = left
        self._stream: StreamedResponse

    async def __aenter__(self) -> StreamedResponse:
        outcome = self._outcome
        if isinstance(outcome, Failed) and outcome.stream is None:
            raise rebuilt(outcome.raised)
        if isinstance(outcome, Cut) and outcome.stream is None:
            await self._left(outcome)
        self._stream = stream_again(outcome, self._parameters, self._left)
        return self._stream

    async def __aexit__(self, *_: object) -> None:
        await self._stream.aclose()


def stream_again(outcome: Answered | Failed | Cut, parameters: ModelRequestParameters, left: Left) -> StreamedResponse:
    """Make a stream of what came of a request; one that was not streamed gives its parts whole.

    Args:
        outcome: What came of the request.
        parameters: What it offers and allows.
        left: What happens where the run reads on although its recording was left.

    Raises:
        CassetteInconsistent: If the recording holds what is no event or response.
    """
    response = restored_response({**outcome.message, 'run_id': None}) if isinstance(outcome, Answered) else None
    if outcome.stream is None:
        return _WholeStream(parameters, cast('ModelResponse', response))
    return _ReplayedStream(outcome, outcome.stream, parameters, response, left)


class _ReplayedStream(_Told):
    """A stream as it passed."""

    def __init__(
        self,
        outcome: Answered | Failed | Cut,
        stream: Stream,
        parameters: ModelRequestParameters,
        response: ModelResponse | None,
        left: Left,
    ) -> None:
        self._entries: Iterator[JsonObject] = iter(stream[1:])
        self._events = iter(restored_events([entry for entry in stream if is_event(entry)]))
        self._next: JsonObject | None = next(self._entries, None)
        self._wire: JsonObject = {**message_json(ModelResponse(parts=[]))}
        self._response = response
        self._outcome = outcome
        self._left = left
        self._ended = False
        super().__init__(parameters, self._changed(stream[0]))

    def get(self) -> ModelResponse:
        """Return the response as far as it has been told; the recorded one when all has."""
        if not self._ended or self._response is None:
            return super().get()
        return _copied(self._response)

    def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        return _Again(self)

    async def step(self) -> ModelResponseStreamEvent:
        """Give the next event, or end as the recorded stream did."""
        entry = self._next
        if entry is not None and is_event(entry):
            event = cast('ModelResponseStreamEvent', next(self._events))
            self._tell(event)
            self._next = next(self._entries, None)
            self._show_changes()
            return event
        if entry is not None and 'over' in entry:
            self._show(self._changed(entry))
            self._next, self._ended = None, True
            raise StopAsyncIteration
        if self._ended:
            raise StopAsyncIteration
        self._ended = True
        if isinstance(self._outcome, Failed):
            raise rebuilt(self._outcome.raised)
        return await self._left(self._outcome if isinstance(self._outcome, Cut) else Cut())

    def _show_changes(self) -> None:
        """Let what changed with an event show."""
        while (entry := self._next) is not None and entry.keys() <= _STATE:
            self._show(self._changed(entry))
            self._next = next(self._entries, None)

    def _changed(self, entry: JsonObject) -> ModelResponse:
        changes = {key: value for key, value in entry.items() if key in _STATE}
        self._wire.update(changes)
        return restored_response(self._wire) if changes or not hasattr(self, '_state') else self._state


class _Again:
    """Iterates over a stream as it passed."""

    def __init__(self, stream: _ReplayedStream) -> None:
        self._stream = stream

    def __aiter__(self) -> AsyncIterator[ModelResponseStreamEvent]:
        return self

    async def __anext__(self) -> ModelResponseStreamEvent:
        return await self._stream.step()


class _WholeStream(_Told):
    """A response that came whole, as a stream: each part begins complete, and ends.

    The ends and the notice of the result are added as to a model's stream.
    """

    def __init__(self, parameters: ModelRequestParameters, response: ModelResponse) -> None:
        super().__init__(parameters, response)
        self._response = response

    def __aiter__(self) -> AsyncIterator[ModelResponseStreamEvent]:
        """Return the iterator over the events, the same one each time."""
        return StreamedResponse.__aiter__(self)

    def get(self) -> ModelResponse:
        """Return the response as far as it has been told, as a new object."""
        return StreamedResponse.get(self)

    def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        parts: Sequence[ModelResponsePart] = self._response.parts
        handle = self._parts_manager.handle_part
        return Ready(handle(vendor_part_id=index, part=part) for index, part in enumerate(parts))


def _copied(response: ModelResponse) -> ModelResponse:
    copied = copy(response)
    copied.parts = [*response.parts]
    return copied


_STATE = frozenset(STATE)
