"""What `run_stream` gives: the result of a run whose last response is still streaming in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import datetime
from typing import Generic, Protocol, TypeVar, cast

from agentrun._agent_stream import AgentStream
from agentrun._blocking import run_blocking
from agentrun._iterators import Once, Steps, Then
from agentrun._run_context import AgentDepsT
from agentrun.exceptions import UserError
from agentrun.messages import ModelMessage, ModelResponse
from agentrun.messages._wire import dump_messages
from agentrun.output import OutputDataT
from agentrun.usage import RunUsage

__all__ = ('EndedRun', 'StreamedRunResult', 'StreamedRunResultSync')

T = TypeVar('T')
Output = TypeVar('Output', covariant=True)  # noqa: PLC0105, private


class EndedRun(Protocol[Output]):
    """What is needed of the result of a run that has ended. `AgentRunResult` is one."""

    @property
    def output(self) -> Output: ...

    @property
    def response(self) -> ModelResponse: ...

    @property
    def run_id(self) -> str: ...

    def usage(self) -> RunUsage: ...

    def timestamp(self) -> datetime: ...


class StreamedRunResult(Generic[AgentDepsT, OutputDataT]):
    """The result of a run whose final response streams in. Made by `run_stream`.

    When the stream has been received to its end, by one of the methods here, the response and the request that closes
    its tool calls are added to the messages, and the run ends.

    Args:
        all_messages: Messages of the run so far, oldest first; the list is added to.
        new_message_index: Index of the first message that the run added.
        stream_response: The stream; None if the run has ended without one.
        on_complete: Called once, when the stream has ended.
        run_result: The result, if the run has ended.
    """

    def __init__(
        self,
        all_messages: list[ModelMessage],
        new_message_index: int,
        stream_response: AgentStream[AgentDepsT, OutputDataT] | None = None,
        on_complete: Callable[[], Awaitable[None]] | None = None,
        run_result: EndedRun[OutputDataT] | None = None,
    ) -> None:
        self.is_complete = False
        """Whether the stream has been received to its end."""
        self._all_messages = all_messages
        self._new_message_index = new_message_index
        self._stream_response = stream_response
        self._on_complete = on_complete
        self._run_result = run_result

    def all_messages(self, *, output_tool_return_content: str | None = None) -> list[ModelMessage]:
        """Return all messages, handed-in history included, oldest first; with the final response once complete.

        Args:
            output_tool_return_content: Only None: not supported here, as in pydantic-ai 1.38.

        Raises:
            NotImplementedError: If there is a content for the output tool.
        """
        if output_tool_return_content is not None:
            raise NotImplementedError('Setting output tool return content is not supported for this result type.')
        return self._all_messages

    def all_messages_json(self, *, output_tool_return_content: str | None = None) -> bytes:
        """Return all messages as JSON; argument and errors as for `all_messages`."""
        return dump_messages(self.all_messages(output_tool_return_content=output_tool_return_content))

    def new_messages(self, *, output_tool_return_content: str | None = None) -> list[ModelMessage]:
        """Return the messages that this run added, oldest first; argument and errors as for `all_messages`."""
        return self.all_messages(output_tool_return_content=output_tool_return_content)[self._new_message_index :]

    def new_messages_json(self, *, output_tool_return_content: str | None = None) -> bytes:
        """Return the messages that this run added as JSON; argument and errors as for `all_messages`."""
        return dump_messages(self.new_messages(output_tool_return_content=output_tool_return_content))

    def stream_output(self, *, debounce_by: float | None = 0.1) -> AsyncIterator[OutputDataT]:
        """Iterate over the output as it grows: see `AgentStream.stream_output`.

        Args:
            debounce_by: Seconds of events to take together, so that less is validated; None: no taking together.
        """
        if self._run_result is not None:
            return Then(Once(self._run_result.output), self._marked_completed)
        return Then(self._stream().stream_output(debounce_by=debounce_by), self._received)

    def stream_text(self, *, delta: bool = False, debounce_by: float | None = 0.1) -> AsyncIterator[str]:
        """Iterate over a text output as it grows: see `AgentStream.stream_text`.

        Args:
            delta: Whether to give only what is new each time; then no output validator is asked.
            debounce_by: Seconds of events to take together; None: no taking together.

        Raises:
            UserError: If the output is not text.
        """
        if self._run_result is not None:
            if not isinstance(self._run_result.output, str):
                raise UserError('stream_text() can only be used with text responses')
            return Then(Once(self._run_result.output), self._marked_completed)
        return Then(self._stream().stream_text(delta=delta, debounce_by=debounce_by), self._received)

    def stream_responses(self, *, debounce_by: float | None = 0.1) -> AsyncIterator[tuple[ModelResponse, bool]]:
        """Iterate over the response as it grows: see `AgentStream.stream_responses`.

        Args:
            debounce_by: Seconds of events to take together; None: no taking together.

        Returns:
            An iterator over responses, each with whether it is the whole one: the last, and only the last, is.
        """
        if self._run_result is not None:
            return Then(Once((self._run_result.response, True)), self._marked_completed)
        marked = _Marked(self._stream(), debounce_by)
        # the last response given is the one in the messages: the same object, as in pydantic-ai 1.38
        return Then(marked, lambda: self._marked_completed(marked.last))

    async def get_output(self) -> OutputDataT:
        """Wait for the whole response and return its output.

        Raises:
            Exception: As `AgentStream.get_output`.
        """
        if self._run_result is not None:
            await self._marked_completed()
            return self._run_result.output
        output = await self._stream().get_output()
        await self._received()
        return output

    @property
    def response(self) -> ModelResponse:
        """The response as far as it has come."""
        return self._stream().get() if self._run_result is None else self._run_result.response

    def usage(self) -> RunUsage:
        """Return the usage of the run so far; whole when the stream has ended."""
        return self._stream().usage() if self._run_result is None else self._run_result.usage()

    def timestamp(self) -> datetime:
        """Return when the response began."""
        return self._stream().timestamp() if self._run_result is None else self._run_result.timestamp()

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return self._stream().run_id if self._run_result is None else self._run_result.run_id

    async def validate_response_output(self, message: ModelResponse, *, allow_partial: bool = False) -> OutputDataT:
        """Make the output of a response: see `AgentStream.validate_response_output`.

        Args:
            message: The response, or its beginning.
            allow_partial: Whether it is a beginning.
        """
        if self._run_result is not None:
            return self._run_result.output
        return await self._stream().validate_response_output(message, allow_partial=allow_partial)

    def _stream(self) -> AgentStream[AgentDepsT, OutputDataT]:
        if self._stream_response is None:
            raise ValueError('No stream response or run result provided')
        return self._stream_response

    async def _received(self) -> None:
        await self._marked_completed(self.response)

    async def _marked_completed(self, message: ModelResponse | None = None) -> None:
        if self.is_complete:
            return
        self.is_complete = True
        if message is not None:
            message.run_id = self.run_id
            self._all_messages.append(message)
        if self._on_complete is not None:
            await self._on_complete()


class _Marked(Steps[tuple[ModelResponse, bool]]):
    """States of a response, and once more the last one, marked as the last."""

    def __init__(self, stream: AgentStream[AgentDepsT, OutputDataT], debounce_by: float | None) -> None:
        self._stream = stream
        self._responses = stream.stream_responses(debounce_by=debounce_by)
        self.last: ModelResponse | None = None

    async def _step(self) -> tuple[ModelResponse, bool]:
        async for response in self._responses:
            return response, False
        if self.last is not None:
            raise StopAsyncIteration
        self.last = self._stream.response
        return self.last, True


class StreamedRunResultSync(Generic[AgentDepsT, OutputDataT]):
    """The result of a streamed run for code that is not async. Made by `run_stream_sync`.

    Methods as those of `StreamedRunResult`; what is awaited there is waited for here. The run is left when the stream
    has been received to its end.

    Args:
        streamed_run_result: The result to wait for.
        leave: Leaves the run; called once, when the stream has ended, with the error if it failed.
    """

    def __init__(
        self,
        streamed_run_result: StreamedRunResult[AgentDepsT, OutputDataT],
        leave: Callable[[BaseException | None], Awaitable[object]] | None = None,
    ) -> None:
        self._result = streamed_run_result
        self._leave = leave

    def all_messages(self, *, output_tool_return_content: str | None = None) -> list[ModelMessage]:
        """Return all messages: see `StreamedRunResult.all_messages`."""
        return self._result.all_messages(output_tool_return_content=output_tool_return_content)

    def all_messages_json(self, *, output_tool_return_content: str | None = None) -> bytes:
        """Return all messages as JSON; argument and errors as for `all_messages`."""
        return self._result.all_messages_json(output_tool_return_content=output_tool_return_content)

    def new_messages(self, *, output_tool_return_content: str | None = None) -> list[ModelMessage]:
        """Return the messages that this run added; argument and errors as for `all_messages`."""
        return self._result.new_messages(output_tool_return_content=output_tool_return_content)

    def new_messages_json(self, *, output_tool_return_content: str | None = None) -> bytes:
        """Return the messages that this run added as JSON; argument and errors as for `all_messages`."""
        return self._result.new_messages_json(output_tool_return_content=output_tool_return_content)

    def stream_output(self, *, debounce_by: float | None = 0.1) -> Iterator[OutputDataT]:
        """Iterate over the output as it grows: see `StreamedRunResult.stream_output`."""
        return self._waited_for(self._result.stream_output(debounce_by=debounce_by))

    def stream_text(self, *, delta: bool = False, debounce_by: float | None = 0.1) -> Iterator[str]:
        """Iterate over a text output as it grows: see `StreamedRunResult.stream_text`."""
        return self._waited_for(self._result.stream_text(delta=delta, debounce_by=debounce_by))

    def stream_responses(self, *, debounce_by: float | None = 0.1) -> Iterator[tuple[ModelResponse, bool]]:
        """Iterate over the response as it grows: see `StreamedRunResult.stream_responses`."""
        return self._waited_for(self._result.stream_responses(debounce_by=debounce_by))

    def get_output(self) -> OutputDataT:
        """Wait for the whole response and return its output: see `StreamedRunResult.get_output`."""
        return run_blocking(lambda: self._leaving(self._result.get_output(), last=True))

    def validate_response_output(self, message: ModelResponse, *, allow_partial: bool = False) -> OutputDataT:
        """Make the output of a response: see `StreamedRunResult.validate_response_output`."""
        return run_blocking(lambda: self._result.validate_response_output(message, allow_partial=allow_partial))

    @property
    def response(self) -> ModelResponse:
        """The response as far as it has come."""
        return self._result.response

    def usage(self) -> RunUsage:
        """Return the usage of the run so far; whole when the stream has ended."""
        return self._result.usage()

    def timestamp(self) -> datetime:
        """Return when the response began."""
        return self._result.timestamp()

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return self._result.run_id

    @property
    def is_complete(self) -> bool:
        """Whether the stream has been received to its end."""
        return self._result.is_complete

    def _waited_for(self, items: AsyncIterator[T]) -> Iterator[T]:
        while (item := run_blocking(lambda: self._leaving(anext(items, _NONE)))) is not _NONE:
            yield cast('T', item)

    async def _leaving(self, item: Awaitable[T], *, last: bool = False) -> T:
        """Wait for an item; leave the run if it is the last one, or none."""
        try:
            found = await item
        except BaseException as error:
            await self._left(error)
            raise
        if last or found is _NONE:
            await self._left(None)
        return found

    async def _left(self, error: BaseException | None) -> None:
        leave, self._leave = self._leave, None
        if leave is not None:
            await leave(error)


_NONE = object()
"""Stands for no further item."""
