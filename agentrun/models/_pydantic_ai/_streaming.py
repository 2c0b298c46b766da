"""A streamed response of pydantic_ai as one of ours."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from inspect import isfunction
from types import AsyncGeneratorType, TracebackType
from typing import Any, cast

from pydantic_ai.models import StreamedResponse as TheirStreamedResponse

from agentrun import _ambient
from agentrun.messages import ModelResponse, ModelResponsePart, ModelResponseStreamEvent
from agentrun.models._parameters import ModelRequestParameters
from agentrun.models._pydantic_ai._errors import our_errors
from agentrun.models._pydantic_ai._messages import Sent, event_from, parts_from, usage_from
from agentrun.models._streamed import StreamedResponse, aclose
from agentrun.usage import RequestUsage

__all__ = ('BridgedStreaming',)

_USAGE_IS_METHOD = isfunction(vars(TheirStreamedResponse)['usage'])
"""Usage of a stream is asked for by a call in pydantic_ai up to 1.x, and by looking at it from then on."""


class BridgedStreaming(AbstractAsyncContextManager[StreamedResponse]):
    """The block in which a model of pydantic_ai streams.

    Args:
        begin: Gives the block of pydantic_ai.
        parameters: What the request offered and allowed.
        sent: Notes what parts of the response were.
    """

    def __init__(
        self,
        begin: Callable[[], AbstractAsyncContextManager[TheirStreamedResponse]],
        parameters: ModelRequestParameters,
        sent: Sent,
    ) -> None:
        self._begin = begin
        self._parameters = parameters
        self._sent = sent
        self._scope: AbstractAsyncContextManager[TheirStreamedResponse]
        self._stream: BridgedResponse

    async def __aenter__(self) -> StreamedResponse:
        with our_errors():
            self._scope = self._begin()
            their = await self._scope.__aenter__()
        self._stream = BridgedResponse(self._parameters, their, self._sent)
        return self._stream

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        try:
            await self._stream.aclose()
        finally:
            with our_errors():
                left = await self._scope.__aexit__(kind, error, trace)
        return left


class BridgedResponse(StreamedResponse):
    """A response that pydantic_ai streams. Ends of parts and the notice of the result are added by agentrun.

    Args:
        parameters: What the request offered and allowed.
        their: The response of pydantic_ai.
        sent: Notes what its parts were, when it has ended.
    """

    def __init__(self, parameters: ModelRequestParameters, their: TheirStreamedResponse, sent: Sent) -> None:
        super().__init__(model_request_parameters=parameters)
        self._their = their
        self._sent = sent
        self._began = _ambient.now()
        self._ended = False

    def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        return _Events(self._their, self._began, self._passed)

    def _passed(self, *, ended: bool) -> None:
        """Show what has become known with an event, or with the end."""
        their = self._their
        self.provider_response_id = their.provider_response_id
        self.provider_details = their.provider_details
        self.finish_reason = their.finish_reason
        self._ended = ended

    def _finished_part(self, index: int) -> ModelResponsePart:
        return parts_from([self._their.get().parts[index]], self._began, None)[0]

    def get(self) -> ModelResponse:
        """Return the response as far as it has come, as a new object."""
        parts = parts_from(self._their.get().parts, self._began, self._sent if self._ended else None)
        return ModelResponse(
            parts=parts,
            model_name=self.model_name,
            timestamp=self._began,
            usage=self.usage(),
            provider_name=self.provider_name,
            provider_url=self.provider_url,
            provider_response_id=self.provider_response_id,
            provider_details=self.provider_details,
            finish_reason=self.finish_reason,
        )

    def usage(self) -> RequestUsage:
        """Return what the response has used as far as it has come, as a new object."""
        usage: Any = self._their.usage
        return usage_from(usage() if _USAGE_IS_METHOD else usage)

    @property
    def model_name(self) -> str:
        """Name of the model."""
        return self._their.model_name

    @property
    def provider_name(self) -> str | None:
        """Name of the provider."""
        return self._their.provider_name

    @property
    def provider_url(self) -> str | None:
        """Base URL of the provider, where the installed version tells it."""
        return getattr(self._their, 'provider_url', None)

    @property
    def timestamp(self) -> datetime:
        """When the response began."""
        return self._began


class _Events:
    """Starts and deltas of a stream of pydantic_ai.

    Args:
        their: The stream.
        now: When it began.
        passed: Told when an event has come, or the end.
    """

    def __init__(self, their: TheirStreamedResponse, now: datetime, passed: Callable[..., None]) -> None:
        self._source = aiter(their)
        self._now = now
        self._passed = passed

    def __aiter__(self) -> AsyncIterator[ModelResponseStreamEvent]:
        return self

    async def __anext__(self) -> ModelResponseStreamEvent:
        with our_errors():
            async for event in self._source:
                made = event_from(event, self._now)
                if made is not None:
                    self._passed(ended=False)
                    return made
        self._passed(ended=True)
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the stream: its generators from the outermost to the innermost, which their owner leaves to chance."""
        for generator in _chain(self._source):
            await aclose(generator)


def _chain(source: object) -> list[object]:
    """Find the generators that an async generator loops over, itself first.

    They are held by nothing but its frame. Left to the garbage collector, they end at an unknown time: asyncio makes
    tasks for them, trio warns.
    """
    chain = [source]
    for generator in chain:
        chain += [held for held in cast('list[object]', gc.get_referents(generator)) if _is_generator(held)]
    return chain


def _is_generator(held: object) -> bool:
    return isinstance(held, AsyncGeneratorType)
