"""One request to a model, without an agent: the same call for every model, and nothing else.

To whoever carries out effects it is a run of one node, the request; all messages are handed in, only the response is
new. A streamed request may be left at any point: then there is no response, and the run has not ended.
"""

from __future__ import annotations

import contextvars
import queue
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import field
from datetime import datetime
from types import TracebackType
from typing import Self

from agentrun import _ambient, _effects
from agentrun._effects import ModelCall, RunEnd, RunHandler, RunStart
from agentrun._records import lean_dataclass
from agentrun.exceptions import UserError
from agentrun.messages import ModelMessage, ModelRequest, ModelResponse, ModelResponseStreamEvent, UserPromptPart
from agentrun.models._base import Model, ModelRequestParameters, StreamedResponse
from agentrun.models._infer import infer_model
from agentrun.models._streamed import aclose
from agentrun.settings import ModelSettings
from agentrun.usage import RequestUsage, RunUsage

__all__ = (
    'StreamedResponseSync',
    'model_request',
    'model_request_stream',
    'model_request_stream_sync',
    'model_request_sync',
)

STREAM_INITIALIZATION_TIMEOUT = 30
"""Seconds that `StreamedResponseSync` waits for the model to begin, where the response so far is asked for."""

_NAME = 'direct'
"""What stands in the place of an agent's name."""


async def model_request(
    model: Model | str,
    messages: Sequence[ModelMessage],
    *,
    model_settings: ModelSettings | None = None,
    model_request_parameters: ModelRequestParameters | None = None,
) -> ModelResponse:
    """Ask a model once. Tools on offer are not run; a call of one is part of the response.

    Args:
        model: The model, or its name.
        messages: The conversation, oldest first; it ends in a request.
        model_settings: Settings above the model's own, key by key.
        model_request_parameters: Tools and output on offer; text alone if None.

    Returns:
        The response, as the model gave it: without a run id, as in pydantic-ai 1.38.

    Raises:
        UserError: If there is no model of that name; where requests are recorded, also if `messages` do not end in a
            request.
        Exception: What the model raises.
    """
    asked = infer_model(model)
    sent = list(messages)
    call = ModelCall(
        step=1,
        model=asked,
        messages=sent,
        settings=model_settings,
        parameters=model_request_parameters or ModelRequestParameters(),
    )
    handler = _effects.start_run(_start(sent))
    with _ambient.use(_ambient.source_for_run(_NAME) if handler is None else handler.source) as source:
        source.request_begun()
        return await (_ask(call) if handler is None else _have_asked(handler, call))


def model_request_sync(
    model: Model | str,
    messages: Sequence[ModelMessage],
    *,
    model_settings: ModelSettings | None = None,
    model_request_parameters: ModelRequestParameters | None = None,
) -> ModelResponse:
    """Ask a model once from code that is not async, on an asyncio loop of this thread. Arguments as `model_request`.

    Returns:
        The response.

    Raises:
        RuntimeError: If this thread runs an event loop already.
        Exception: As `model_request`.
    """
    from agentrun._blocking import run_blocking

    return run_blocking(
        lambda: model_request(
            model,
            messages,
            model_settings=model_settings,
            model_request_parameters=model_request_parameters,
        )
    )


def model_request_stream(
    model: Model | str,
    messages: Sequence[ModelMessage],
    *,
    model_settings: ModelSettings | None = None,
    model_request_parameters: ModelRequestParameters | None = None,
) -> AbstractAsyncContextManager[StreamedResponse]:
    """Ask a model once and take its response as it comes. Arguments as `model_request`.

    Returns:
        A context manager, for one use. Entering it makes the request, and gives the response when its first piece is
        there; leaving it ends the stream, whether or not all of it has come. Entering and iterating raise what the
        model raises.

    Raises:
        UserError: If there is no model of that name. Where requests are recorded, entering raises it also if
            `messages` do not end in a request.
    """
    return _Streaming(
        ModelCall(
            step=1,
            model=infer_model(model),
            messages=list(messages),
            settings=model_settings,
            parameters=model_request_parameters or ModelRequestParameters(),
        )
    )


def model_request_stream_sync(
    model: Model | str,
    messages: Sequence[ModelMessage],
    *,
    model_settings: ModelSettings | None = None,
    model_request_parameters: ModelRequestParameters | None = None,
) -> StreamedResponseSync:
    """Ask a model once from code that is not async and take its response as it comes. Arguments as `model_request`.

    The request is made in a thread with an asyncio loop of its own, so that this works beside a running loop too; that
    loop stands still while the caller waits.

    Returns:
        A context manager that is also the response, for one use.

    Raises:
        UserError: If there is no model of that name.
    """
    return StreamedResponseSync(
        model_request_stream(
            model,
            messages,
            model_settings=model_settings,
            model_request_parameters=model_request_parameters,
        )
    )


@lean_dataclass()
class StreamedResponseSync:
    """A streamed response for code that is not async. Made by `model_request_stream_sync`; use it with `with`.

    A thread receives the whole response, however much of it is iterated over: leaving the block waits for its end, as
    in pydantic-ai 1.38. What goes wrong is raised where the iteration comes to it. The thread runs in a copy of the
    caller's context.
    """

    _async_stream_cm: AbstractAsyncContextManager[StreamedResponse]
    _queue: queue.SimpleQueue[ModelResponseStreamEvent | BaseException | None] = field(
        default_factory=queue.SimpleQueue['ModelResponseStreamEvent | BaseException | None'], init=False
    )
    _thread: threading.Thread | None = field(default=None, init=False)
    _stream_response: StreamedResponse | None = field(default=None, init=False)
    _error: BaseException | None = field(default=None, init=False)
    _context_entered: bool = field(default=False, init=False)
    _stream_ready: threading.Event = field(default_factory=threading.Event, init=False)

    def __enter__(self) -> Self:
        """Begin the request and return at once.

        Raises:
            RuntimeError: If it has begun before.
        """
        if self._context_entered:
            raise RuntimeError(_USED_TWICE)
        self._context_entered = True
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=lambda: context.run(self._receive), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, _exc_type: type[BaseException] | None, _exc_val: BaseException | None, _exc_tb: TracebackType | None
    ) -> None:
        """Wait until the model has sent all."""
        if self._thread is not None:
            self._thread.join()

    def __iter__(self) -> Iterator[ModelResponseStreamEvent]:
        """Return an iterator over the events; a second one goes on where the first was left.

        It raises RuntimeError outside of a `with` block, and what the model raises.
        """
        return _Waiting(self._next)

    def __repr__(self) -> str:
        if self._stream_response is not None:
            return repr(self._stream_response)
        return f'{type(self).__name__}(context_entered={self._context_entered})'

    __str__ = __repr__

    def get(self) -> ModelResponse:
        """Return the response as far as it has come, as a new object; wait until the model has begun.

        Raises:
            RuntimeError: If it does not begin within half a minute, or fails to, or if this is not inside of a `with`
                block. The same for all that follows.
        """
        return self._begun().get()

    @property
    def response(self) -> ModelResponse:
        """The response as far as it has come: see `get`."""
        return self.get()

    def usage(self) -> RequestUsage:
        """Return what the response has used as far as it has come."""
        return self._begun().usage()

    @property
    def model_name(self) -> str:
        """Name of the model."""
        return self._begun().model_name

    @property
    def timestamp(self) -> datetime:
        """When the response began."""
        return self._begun().timestamp

    def _check_entered(self) -> None:
        if not self._context_entered:
            raise RuntimeError(
                'StreamedResponseSync must be used as a context manager. '
                'Use: `with model_request_stream_sync(...) as stream:`'
            )

    def _begun(self) -> StreamedResponse:
        self._check_entered()
        if not self._stream_ready.wait(STREAM_INITIALIZATION_TIMEOUT):
            raise RuntimeError('Stream failed to initialize within timeout')
        if self._stream_response is None:
            raise RuntimeError('Stream failed to initialize') from self._error
        return self._stream_response

    def _next(self) -> ModelResponseStreamEvent:
        """Wait for the next event; None, the end, stays in the queue for whoever asks again."""
        self._check_entered()
        item = self._queue.get()
        if item is None:
            self._queue.put(None)
            raise StopIteration
        if isinstance(item, BaseException):
            raise item
        return item

    def _receive(self) -> None:
        """Receive the stream in this thread, on a loop that ends with it."""
        try:
            import asyncio

            # The copied context may name the caller's event loop library, which is not that of this thread.
            if (sniffio := sys.modules.get('sniffio')) is not None:
                sniffio.current_async_library_cvar.set(None)
            with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
                runner.run(self._receive_all())
        except BaseException as error:  # noqa: BLE001, raised where the caller iterates: here nobody would see it
            self._error = error
            self._queue.put(error)
        finally:
            self._queue.put(None)
            self._stream_ready.set()

    async def _receive_all(self) -> None:
        async with self._async_stream_cm as stream:
            self._stream_response = stream
            self._stream_ready.set()
            async for event in stream:
                self._queue.put(event)


async def _ask(call: ModelCall) -> ModelResponse:
    return await call.model.request(call.messages, call.settings, call.parameters)


async def _have_asked(handler: RunHandler, call: ModelCall) -> ModelResponse:
    """Let a handler answer, and tell it how the run of one request was left."""
    messages = list(call.messages)
    error: BaseException | None = None
    try:
        await _begin(handler, messages)
        response = await _effects.request_by(handler, call, lambda: _ask(call))
        messages.append(response)
    except BaseException as raised:
        error = raised
        raise
    finally:
        handler.finished(RunEnd(messages=messages, new_from=len(call.messages), ended=error is None, error=error))
    return response


class _Streaming(AbstractAsyncContextManager[StreamedResponse]):
    """The block in which a response is streamed; nothing but the model's own stream is open in it.

    Args:
        call: The request.
    """

    def __init__(self, call: ModelCall) -> None:
        self._call = call
        self._entered = False
        self._handler: RunHandler | None = None
        self._source: _ambient.Source
        self._opening: AbstractAsyncContextManager[StreamedResponse]
        self._response: StreamedResponse
        self._events: _Events | None = None

    async def __aenter__(self) -> StreamedResponse:
        if self._entered:
            raise RuntimeError(_USED_TWICE)
        self._entered = True
        handler = self._handler = _effects.start_run(_start(self._call.messages))
        self._source = _ambient.source_for_run(_NAME) if handler is None else handler.source
        with _ambient.use(self._source):
            self._source.request_begun()
            try:
                self._opening = await self._open()
                self._response = await self._opening.__aenter__()
            except BaseException as error:
                self._finish(error)
                raise
        self._response.wrap_events(self._read)
        return self._response

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        with _ambient.use(self._source):
            try:
                handled = bool(await self._opening.__aexit__(kind, error, trace))
            except BaseException as raised:
                self._finish(raised)
                raise
            self._finish(None if handled else error)
        return handled

    async def _open(self) -> AbstractAsyncContextManager[StreamedResponse]:
        if self._handler is None:
            return self._ask()
        await _begin(self._handler, self._call.messages)
        return _effects.stream_by(self._handler, self._call, self._ask)

    def _ask(self) -> AbstractAsyncContextManager[StreamedResponse]:
        call = self._call
        return call.model.request_stream(call.messages, call.settings, call.parameters)

    def _read(self, events: AsyncIterator[ModelResponseStreamEvent]) -> AsyncIterator[ModelResponseStreamEvent]:
        self._events = _Events(events, self._source)
        return self._events

    def _finish(self, error: BaseException | None) -> None:
        """Tell the handler how the run was left. What came of a response that did not end is no message."""
        if self._handler is None:
            return
        messages = list(self._call.messages)
        ended = error is None and self._events is not None and self._events.ended
        if ended:
            messages.append(self._response.get())
        self._handler.finished(RunEnd(messages=messages, new_from=len(self._call.messages), ended=ended, error=error))


class _Events:
    """The events of a stream, each asked for with the clock and ids of its run; knows whether they have ended."""

    def __init__(self, events: AsyncIterator[ModelResponseStreamEvent], source: _ambient.Source) -> None:
        self.ended = False
        self._events = events
        self._source = source

    def __aiter__(self) -> AsyncIterator[ModelResponseStreamEvent]:
        return self

    async def __anext__(self) -> ModelResponseStreamEvent:
        with _ambient.use(self._source):
            try:
                return await anext(self._events)
            except StopAsyncIteration:
                self.ended = True
                raise

    async def aclose(self) -> None:
        """Close the events."""
        await aclose(self._events)


class _Waiting:
    """An iterator made of a function."""

    def __init__(self, step: Callable[[], ModelResponseStreamEvent]) -> None:
        self._step = step

    def __iter__(self) -> Iterator[ModelResponseStreamEvent]:
        return self

    def __next__(self) -> ModelResponseStreamEvent:
        return self._step()


_USED_TWICE = (
    'This streamed request has been made already: a block is entered once. '
    'Call `model_request_stream` or `model_request_stream_sync` again.'
)


def _start(messages: list[ModelMessage]) -> RunStart:
    prompts = [part.content for part in messages[-1].parts if isinstance(part, UserPromptPart)] if messages else []
    return RunStart(
        agent_name=_NAME,
        prompt=prompts[0] if len(prompts) == 1 else None,
        history=messages,
        deferred_tool_results=None,
        end_strategy='early',
        usage=RunUsage(),
    )


async def _begin(handler: RunHandler, messages: list[ModelMessage]) -> None:
    """Tell a handler of the only node of a run of one request."""
    from agentrun._core._nodes import ModelRequestNode  # with it comes all that agents need

    held = handler.node(ModelRequestNode[None, ModelResponse](_request_of(messages)))
    if held is not None:
        await held


def _request_of(messages: list[ModelMessage]) -> ModelRequest:
    last = messages[-1] if messages else None
    if isinstance(last, ModelRequest):
        return last
    raise UserError(
        'A direct request can be recorded or replayed only if its messages end in a `ModelRequest`; '
        f'they end in {"nothing" if last is None else f"a `{type(last).__name__}`"}. '
        "Append what is asked, e.g. `ModelRequest.user_text_prompt('...')`."
    )
