"""The seam between deciding and doing.

A run decides what has to happen next: ask the model, count tokens, run a batch of tool calls. Each of these is an
*effect*; what came of it is its *outcome*. Without a handler the run carries its effects out itself. With one, the
handler is given the effect and the means to carry it out, and answers with an outcome: doing it and noting the outcome
is recording; answering with a noted outcome is replaying; answering with an error is fault injection.

Everything else in a run (prompt and instruction functions, `prepare`, output validation and output functions, history
processors) is the user's code and no effect: it always runs.

A model that has other models answer (`Model.asks_others`) is no effect: what it does is code that always runs, and each
request of a model inside of it is an effect of its own (`request_by`, `stream_by`, `request_inside`, `stream_inside`).

A handler is installed for a block of code with `install`. It is asked once for each run that starts inside the block
and answers with a `RunHandler`, or with None for a run that it leaves alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Protocol

from ._ambient import Source
from ._outcomes import ToolOutcome, ToolRetried
from ._records import full_repr, lean_dataclass
from ._run_context import RunContext
from .messages import ModelMessage, ModelResponse, ToolCallPart, UserContent
from .models._base import Model, ModelRequestParameters, StreamedResponse
from .settings import ModelSettings
from .tools import DeferredToolResults
from .usage import RequestUsage, RunUsage

__all__ = (
    'Handler',
    'ModelCall',
    'RunEnd',
    'RunHandler',
    'RunStart',
    'ToolBatch',
    'ToolWork',
    'install',
    'request_by',
    'request_inside',
    'start_run',
    'stops_run',
    'stream_by',
    'stream_inside',
)


@lean_dataclass(kw_only=True, show=full_repr)
class RunStart:
    """What is known of a run when it starts: the question put to `Handler.start`."""

    agent_name: str | None
    """Name of the agent, given or inferred; None if it has none."""
    prompt: str | Sequence[UserContent] | None
    """The user prompt handed to the run."""
    history: Sequence[ModelMessage]
    """The messages handed to the run, oldest first."""
    deferred_tool_results: DeferredToolResults | None
    """Results and approvals handed to the run for calls of its history."""
    end_strategy: str
    """`'early'` or `'exhaustive'`."""
    usage: RunUsage
    """What the run counts into; the same object as another run's where the caller handed that one's usage on."""
    instructions: str | None = None
    """What the run is instructed by texts, functions apart; those are asked when a request is made."""


@lean_dataclass(kw_only=True, show=full_repr)
class ModelCall:
    """One request to the model: everything that decides its answer."""

    step: int
    """Number of this request within the run, from 1."""
    model: Model
    messages: list[ModelMessage]
    """What the model is sent, oldest first. The run's own objects: read, never change."""
    settings: ModelSettings | None
    parameters: ModelRequestParameters
    inside: bool = False
    """Whether `model` is one of several that another model asks: more requests of the same step may follow."""


@lean_dataclass(kw_only=True, show=full_repr)
class ToolBatch:
    """The tool calls of one response that run together."""

    step: int
    """Number of the request whose response made the calls."""
    calls: Sequence[ToolCallPart]
    """In call order; an index into it names a call."""
    sequential: bool
    """Whether one call may start only after the one before it has ended."""


class ToolWork(Protocol):
    """The means to carry out a batch. Indexes are places in `ToolBatch.calls`."""

    def check(self, index: int) -> ToolRetried | None:
        """Validate the arguments of a call, run nothing: the retry that they earn, or None if they hold."""
        ...

    def returns(self, index: int) -> Any:
        """Annotation of what the function behind a call returns; `Any` if that is not known."""
        ...

    async def execute(self, index: int, args: str | dict[str, Any] | None = None) -> ToolOutcome:
        """Validate and run one call.

        Args:
            index: Its place.
            args: Arguments to run it with in the place of its own, as a model writes them.

        Raises:
            Exception: What the tool raised, if it is no outcome but ends the run.
        """
        ...

    def arrived(self, index: int, outcome: ToolOutcome) -> None:
        """Tell the run that a call has ended. Every call arrives exactly once, in the order in which calls end.

        Raises:
            UnexpectedModelBehavior: If the outcome uses up the tool's retries.
        """
        ...

    async def perform(self, execute: Callable[[int], Awaitable[ToolOutcome]]) -> None:
        """Run the whole batch, concurrently unless it is sequential, each call by `execute`, and let each arrive.

        The first error of a call ends the others and is raised as itself.
        """
        ...


@lean_dataclass(kw_only=True, show=full_repr)
class RunEnd:
    """How a run was left. A run that was left early has neither output nor error."""

    messages: list[ModelMessage]
    """All messages of the run, or of its streamed result if that has more; handed-in history included, oldest first."""
    new_from: int
    """Index of the first message that this run added."""
    ended: bool
    """Whether the run reached its `End` node."""
    error: BaseException | None
    """The error that the run was left with, if any."""


class RunHandler(Protocol):
    """Carries out the effects of one run. Calls come one after the other, from the task that drives the run.

    Only `call_tools` may come from a task of its own, which that one waits for.
    """

    @property
    def source(self) -> Source:
        """Where the run's clock readings and ids come from."""
        ...

    def node(self, node: object) -> Awaitable[None] | None:
        """A node is about to run, as the user left it; last of all the `End` that the run came to.

        Returns:
            What the run waits for before the node runs; None: nothing.
        """
        ...

    async def request(self, call: ModelCall, do: Callable[[], Awaitable[ModelResponse]]) -> ModelResponse:
        """Answer a request; `do` asks the model."""
        ...

    def stream(
        self, call: ModelCall, do: Callable[[], AbstractAsyncContextManager[StreamedResponse]]
    ) -> AbstractAsyncContextManager[StreamedResponse]:
        """Answer a streamed request; `do` gives the model's stream.

        The run enters what is returned, iterates over the stream inside and reads the response off it when it has
        ended. It goes through to the end unless an error or a cancellation leaves the context before; only a request
        without an agent may also be left by its caller. To see each event as it passes, give a `StreamedResponse`
        around that of the model; to feed events, give one of your own. Steps of the iteration may be taken in different
        tasks, one after the other.
        """
        ...

    async def count_tokens(self, call: ModelCall, do: Callable[[], Awaitable[RequestUsage]]) -> RequestUsage:
        """Count the tokens of a request before it is made; `do` asks the model."""
        ...

    async def call_tools(self, batch: ToolBatch, work: ToolWork) -> None:
        """See to it that every call of the batch arrives; `work.perform(work.execute)` runs them all."""
        ...

    def finished(self, end: RunEnd) -> None:
        """The run is over: it ended, failed, or was left. The last call of all."""
        ...


class Handler(Protocol):
    """Chooses who carries out the effects of a run."""

    def start(self, run: RunStart) -> RunHandler | None:
        """Take on a run that starts now, or leave it alone (None)."""
        ...


_installed: list[Handler] = []


@contextmanager
def install(handler: Handler) -> Generator[None]:
    """Ask `handler` about every run that starts while the block is open, in any task or thread of the process.

    Blocks nest: the innermost handler is asked, and only it. A handler that serves several callers at once tells them
    apart itself, by context variables of its own.
    """
    _installed.append(handler)
    try:
        yield
    finally:
        _installed.remove(handler)


def start_run(run: RunStart) -> RunHandler | None:
    """Ask the installed handler, if any, to take on a run."""
    return _installed[-1].start(run) if _installed else None


def stops_run(error: BaseException) -> bool:
    """Whether an error is how a handler stops a run, and no outcome that code of the run may go on from.

    A handler says so by an attribute `stops_run` of the error that is true.
    """
    return bool(getattr(error, 'stops_run', False))


_asking: ContextVar[tuple[RunHandler, int] | None] = ContextVar('agentrun_asking', default=None)
"""Who answers the requests of models inside of the one that is being asked, and the step; None: they do themselves."""


async def request_by(handler: RunHandler, call: ModelCall, do: Callable[[], Awaitable[ModelResponse]]) -> ModelResponse:
    """Have a handler answer a request: as one effect, or as one for each model that its model asks.

    Args:
        handler: Who answers.
        call: The request.
        do: Asks the model.

    Raises:
        Exception: What the handler or the model raises.
    """
    if not call.model.asks_others:
        return await handler.request(call, do)
    token = _asking.set((handler, call.step))
    try:
        return await do()
    finally:
        _asking.reset(token)


async def request_inside(
    model: Model, messages: list[ModelMessage], settings: ModelSettings | None, parameters: ModelRequestParameters
) -> ModelResponse:
    """Ask one of the models that a model has answer; arguments as for `Model.request`."""
    asking = _asking.get()
    if asking is None or model.asks_others:
        return await model.request(messages, settings, parameters)

    async def do() -> ModelResponse:
        token = _asking.set(None)  # what this model asks in turn is its own affair
        try:
            return await model.request(messages, settings, parameters)
        finally:
            _asking.reset(token)

    return await asking[0].request(_call_inside(asking[1], model, messages, settings, parameters), do)


def stream_by(
    handler: RunHandler, call: ModelCall, do: Callable[[], AbstractAsyncContextManager[StreamedResponse]]
) -> AbstractAsyncContextManager[StreamedResponse]:
    """Have a handler answer a streamed request; arguments as for `request_by`.

    Returns:
        A context manager; entering it makes the request.
    """
    return _Asked(do, (handler, call.step)) if call.model.asks_others else handler.stream(call, do)


def stream_inside(
    model: Model,
    messages: list[ModelMessage],
    settings: ModelSettings | None,
    parameters: ModelRequestParameters,
    run_context: RunContext[Any] | None,
) -> AbstractAsyncContextManager[StreamedResponse]:
    """Ask one of the models that a model has answer for a stream; arguments as for `Model.request_stream`.

    Returns:
        A context manager; entering it makes the request.
    """

    def do() -> AbstractAsyncContextManager[StreamedResponse]:
        return model.request_stream(messages, settings, parameters, run_context)

    asking = _asking.get()
    if asking is None or model.asks_others:
        return do()
    call = _call_inside(asking[1], model, messages, settings, parameters)
    return asking[0].stream(call, lambda: _Asked(do, None))


def _call_inside(
    step: int,
    model: Model,
    messages: list[ModelMessage],
    settings: ModelSettings | None,
    parameters: ModelRequestParameters,
) -> ModelCall:
    return ModelCall(step=step, model=model, messages=messages, settings=settings, parameters=parameters, inside=True)


class _Asked(AbstractAsyncContextManager[StreamedResponse]):
    """A stream that is begun with somebody set to answer the models inside; nothing stays set once it has begun.

    Args:
        do: Gives the model's stream.
        asking: Who answers.
    """

    def __init__(
        self, do: Callable[[], AbstractAsyncContextManager[StreamedResponse]], asking: tuple[RunHandler, int] | None
    ) -> None:
        self._do = do
        self._asking = asking
        self._scope: AbstractAsyncContextManager[StreamedResponse]

    async def __aenter__(self) -> StreamedResponse:
        token = _asking.set(self._asking)
        try:
            self._scope = self._do()
            return await self._scope.__aenter__()
        finally:
            _asking.reset(token)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._scope.__aexit__(kind, error, trace)
