"""Streamed responses of pydantic_ai's models: noted event by event while they pass, given again as they passed.

What a run sees of a response while it streams is made of what it has been told, in recording and replay alike: so both
show the same response at each event, however far ahead the model's own stream may be.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from copy import copy
from dataclasses import fields
from datetime import datetime
from types import TracebackType
from typing import Any, cast

from pydantic_ai.messages import (
    FinalResultEvent,
    ModelResponse,
    ModelResponsePart,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartStartEvent,
)
from pydantic_ai.models import ModelRequestParameters, StreamedResponse
from pydantic_ai.usage import RequestUsage
from pydantic_core import PydanticSerializationError

from replay.adapters._cancelled import is_cancellation
from replay.adapters.agentrun._breaks import broken_off
from replay.adapters.agentrun._errors import raised, rebuilt
from replay.adapters.agentrun._streaming import Left
from replay.adapters.pydantic_ai._clock import reading
from replay.adapters.pydantic_ai._compat import read
from replay.adapters.pydantic_ai._runs import TapedRun
from replay.adapters.pydantic_ai._wire import event_json, message_json, restored_events, restored_response
from replay.canon import JsonObject
from replay.effects import Answered, Cut, Failed
from replay.streams import STATE, Stream, is_event

__all__ = ('RecordedStreaming', 'ReplayedStreaming')

_KEYS = tuple(key for key in STATE if key in {field.name for field in fields(ModelResponse)})
"""The fields of a response that are known while it streams, as far as the installed version has them."""
_HAS_STATE = any(field.name == 'state' for field in fields(ModelResponse))


class _Told(StreamedResponse):
    """A response of which shows what has been told.

    Args:
        parameters: What the request offered and allowed.
        opening: The response when its stream opened, without parts.
    """

    def __init__(self, parameters: ModelRequestParameters, opening: ModelResponse) -> None:
        super().__init__(model_request_parameters=parameters)
        self._parts: dict[int, ModelResponsePart] = {}
        self._show(opening)

    def __aiter__(self) -> AsyncIterator[ModelResponseStreamEvent]:
        """Return the iterator over the events, ends and notices included; the same one each time."""
        if self._event_iterator is None:
            self._event_iterator = self._events_again()
        return self._event_iterator

    def get(self) -> ModelResponse:
        """Return the response as far as it has been told, as a new object."""
        response = copy(self._told)
        response.parts = [self._parts[index] for index in sorted(self._parts)]
        if _HAS_STATE:
            cast('Any', response).state = 'interrupted' if cast('Any', self).cancelled else 'incomplete'
        return response

    @property
    def model_name(self) -> str:
        """Name of the model."""
        return cast('str', self._told.model_name)

    @property
    def provider_name(self) -> str | None:
        """Name of the provider."""
        return self._told.provider_name

    @property
    def provider_url(self) -> str | None:
        """Base URL of the provider."""
        return getattr(self._told, 'provider_url', None)

    @property
    def timestamp(self) -> datetime:
        """When the response began."""
        return self._told.timestamp

    async def close_stream(self) -> None:
        """Close nothing: there is no connection."""

    def _events_again(self) -> AsyncIterator[ModelResponseStreamEvent]:
        raise AssertionError('each kind of stream has its own')

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        async for event in self._events_again():
            yield event

    def _show(self, told: ModelResponse) -> None:
        """Let all but the parts show as a response has it."""
        self._told = told
        self._usage: RequestUsage = told.usage
        self.provider_response_id = told.provider_response_id
        self.provider_details = told.provider_details
        self.finish_reason = told.finish_reason

    def _tell(self, event: ModelResponseStreamEvent) -> None:
        match event:
            case PartStartEvent(index=index, part=part):
                self._parts[index] = part
            case PartDeltaEvent(index=index, delta=delta) if index in self._parts:
                self._parts[index] = cast('ModelResponsePart', delta.apply(self._parts[index]))
            case FinalResultEvent():
                self.final_result_event = event
            case _:
                pass


# -- record


class RecordedStreaming(AbstractAsyncContextManager[StreamedResponse]):
    """The block in which a response streams from the model and is noted.

    Args:
        opening: Makes the model's own block.
        run: The run that asked.
        token: Of its tape, for this request.
        parameters: What the request offers and allows.
    """

    def __init__(
        self,
        opening: Callable[[], AbstractAsyncContextManager[StreamedResponse]],
        run: TapedRun,
        token: int,
        parameters: ModelRequestParameters,
    ) -> None:
        self._open = opening
        self._run = run
        self._token = token
        self._parameters = parameters
        self._opening: AbstractAsyncContextManager[StreamedResponse]
        self._stream: _RecordedStream

    async def __aenter__(self) -> StreamedResponse:
        run = self._run
        run.conductor.went_live()
        try:
            self._opening = self._open()
            model_stream = await self._opening.__aenter__()
        except BaseException as error:
            broken_off(run.conductor, self._token, error)
            raise
        self._stream = _RecordedStream(model_stream, run, self._token, self._parameters)
        return self._stream

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._stream.left(cancelled=error is not None and is_cancellation(error))
        return await self._opening.__aexit__(kind, error, trace)


class _RecordedStream(_Told):
    """A model's stream that is noted while it passes."""

    def __init__(self, inner: StreamedResponse, run: TapedRun, token: int, parameters: ModelRequestParameters) -> None:
        self._inner = inner
        self._run = run
        self._token = token
        self._whole: ModelResponse | None = None
        self._open = True
        super().__init__(parameters, self._state_now())
        self._known = self._written(self._told)
        run.tape.chunk(token, self._known)

    def get(self) -> ModelResponse:
        """Return the response as far as it has been told; the model's own when all has."""
        return super().get() if self._whole is None else _copied(self._whole)

    async def close_stream(self) -> None:
        """Cancel the model's stream."""
        await cast('Any', self._inner).cancel()

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
                written = event_json(event)
            except PydanticSerializationError as error:
                self._open = False
                raise self._run.unwritable('a streamed event', error) from None
            self._run.tape.chunk(self._token, written)
            self._tell(event)
            if changes := self._changes():
                self._run.tape.chunk(self._token, changes)
        return event

    def over(self) -> None:
        """The model has sent all."""
        if not self._open:
            return
        self._run.tape.chunk(self._token, {**self._changes(), 'over': True})
        response = self._whole = self._run.named(self._inner.get())
        try:
            written = message_json(response)
        except PydanticSerializationError as error:
            self._open = False
            raise self._run.unwritable('a response of the model', error) from None
        self._run.response = response
        self._end(lambda: Answered(message=written))

    def failed(self, error: Exception) -> None:
        """The model's stream broke."""
        self._end(lambda: Failed(raised=raised(error)))

    def _end(self, outcome: Callable[[], Answered | Failed | Cut]) -> None:
        if self._open:
            self._open = False
            self._run.tape.end(self._token, outcome())

    async def _events_again(self) -> AsyncIterator[ModelResponseStreamEvent]:
        events = aiter(self._inner)
        while True:
            try:
                with reading(self._run.readings):
                    event = await anext(events)
            except StopAsyncIteration:
                self.over()
                return
            except Exception as error:
                self.failed(error)
                raise
            except BaseException:
                self.left(cancelled=True)
                raise
            yield self.passed(event)

    def _plain(self, event: ModelResponseStreamEvent) -> ModelResponseStreamEvent:
        """An event without a function in it, which JSON cannot hold: with what the function makes of the details."""
        if not isinstance(event, PartDeltaEvent):
            return event
        details, part = getattr(event.delta, 'provider_details', None), self._parts.get(event.index)
        if not callable(details) or part is None:
            return event
        delta = cast('Any', copy(event.delta))
        delta.provider_details = details(getattr(part, 'provider_details', None))
        return PartDeltaEvent(index=event.index, delta=delta)

    def _changes(self) -> JsonObject:
        """What changed in the state of the response since it was last looked at; it shows from now on."""
        told = self._state_now()
        now, before = self._written(told), self._known
        if now == before:
            return {}
        self._known = now
        self._show(told)
        return {key: value for key, value in now.items() if value != before[key]}

    def _state_now(self) -> ModelResponse:
        inner = self._inner
        known: Any = {key: getattr(inner, key, None) for key in _KEYS if key != 'usage'}
        return ModelResponse(parts=[], usage=copy(read(inner, 'usage')), **known)

    def _written(self, told: ModelResponse) -> JsonObject:
        try:
            written = message_json(told)
        except PydanticSerializationError as error:
            raise self._run.unwritable('a response of the model', error) from None
        return {key: written[key] for key in _KEYS}


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

    async def __aenter__(self) -> StreamedResponse:
        outcome = self._outcome
        if isinstance(outcome, Failed) and outcome.stream is None:
            raise rebuilt(outcome.raised)
        if isinstance(outcome, Cut) and outcome.stream is None:
            await self._left(outcome)
        response = restored_response({**outcome.message, 'run_id': None}) if isinstance(outcome, Answered) else None
        if outcome.stream is None:
            return _WholeStream(self._parameters, cast('ModelResponse', response))
        return _ReplayedStream(outcome, outcome.stream, self._parameters, response, self._left)

    async def __aexit__(self, *_: object) -> None:
        """End nothing: a replay holds nothing open."""


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
        self._recorded = iter(restored_events([entry for entry in stream if is_event(entry)]))
        self._next: JsonObject | None = next(self._entries, None)
        self._wire: JsonObject = {**message_json(ModelResponse(parts=[]))}
        self._response = response
        self._outcome = outcome
        self._left = left
        self._ended = False
        self._wire.update(stream[0])
        super().__init__(parameters, restored_response(self._wire))

    def get(self) -> ModelResponse:
        """Return the response as far as it has been told; the recorded one when all has."""
        if not self._ended or self._response is None:
            return super().get()
        return _copied(self._response)

    async def _events_again(self) -> AsyncIterator[ModelResponseStreamEvent]:
        while (entry := self._next) is not None and is_event(entry):
            event = next(self._recorded)
            self._tell(event)
            self._next = next(self._entries, None)
            self._show_changes()
            yield event
        self._ended = True
        if entry is not None and 'over' in entry:
            self._change(entry)
            return
        if isinstance(self._outcome, Failed):
            raise rebuilt(self._outcome.raised)
        await self._left(self._outcome if isinstance(self._outcome, Cut) else Cut())

    def _show_changes(self) -> None:
        """Let what changed with an event show."""
        while (entry := self._next) is not None and entry.keys() <= _STATE:
            self._change(entry)
            self._next = next(self._entries, None)

    def _change(self, entry: JsonObject) -> None:
        changes = {key: value for key, value in entry.items() if key in _STATE}
        if changes:
            self._wire.update(changes)
            self._show(restored_response(self._wire))


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
        """Return the recorded response, as a new object."""
        return _copied(self._response)

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        parts: Sequence[ModelResponsePart] = self._response.parts
        for index, part in enumerate(parts):
            yield self._parts_manager.handle_part(vendor_part_id=index, part=part)


def _copied(response: ModelResponse) -> ModelResponse:
    copied = copy(response)
    copied.parts = [*response.parts]
    return copied


_STATE = frozenset(STATE)
