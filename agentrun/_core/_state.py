"""What a run knows while it goes on, as data, and the list that `capture_run_messages` lets others watch it by."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import field
from typing import Any, Generic, Literal, TypeAlias, cast

from agentrun import _ambient
from agentrun._core._history import SentHistory
from agentrun._effects import RunHandler
from agentrun._output import OutputSchema, OutputValidator
from agentrun._records import full_repr, lean_dataclass
from agentrun._run_context import AgentDepsT, RunContext, RunModel
from agentrun._tool_manager import ToolManager
from agentrun.builtin_tools import AbstractBuiltinTool
from agentrun.exceptions import IncompleteToolCall, UnexpectedModelBehavior
from agentrun.graph import DepsT, GraphRunContext
from agentrun.messages import ModelMessage, ModelResponse, ToolCallPart, UserContent
from agentrun.models._base import Model
from agentrun.output import OutputDataT
from agentrun.settings import ModelSettings
from agentrun.usage import RunUsage, UsageLimits

__all__ = (
    'EndStrategy',
    'GraphAgentDeps',
    'GraphAgentState',
    'HistoryProcessor',
    'RunCtx',
    'begin_node',
    'capture_run_messages',
    'run_context_of',
    'take_captured_messages',
)

EndStrategy: TypeAlias = Literal['early', 'exhaustive']
"""What becomes of the other tool calls of a response that holds a final result: skipped or run."""

HistoryProcessor: TypeAlias = (
    Callable[[list[ModelMessage]], list[ModelMessage]]
    | Callable[[list[ModelMessage]], Awaitable[list[ModelMessage]]]
    | Callable[[RunContext[AgentDepsT], list[ModelMessage]], list[ModelMessage]]
    | Callable[[RunContext[AgentDepsT], list[ModelMessage]], Awaitable[list[ModelMessage]]]
)
"""Takes the messages of a run and returns those that take their place; sync or async, with or without the context."""


@lean_dataclass(kw_only=True, show=full_repr)
class GraphAgentState:
    """What changes while a run goes on."""

    message_history: list[ModelMessage] = field(default_factory=list[ModelMessage])
    """All messages, handed-in history included, oldest first."""
    usage: RunUsage = field(default_factory=RunUsage)
    """Usage so far."""
    retries: int = 0
    """Times that the model was asked for another output."""
    run_step: int = 0
    """Model requests begun."""
    run_id: str = field(default_factory=_ambient.new_run_id)
    """Id of the run."""

    def increment_retries(
        self,
        max_result_retries: int,
        error: BaseException | None = None,
        model_settings: ModelSettings | None = None,
    ) -> None:
        """Count one more request for another output.

        Args:
            max_result_retries: How many there may be.
            error: Why; the cause of the error raised here.
            model_settings: Settings of the run; `max_tokens` is told if it cut off a tool call.

        Raises:
            IncompleteToolCall: If there are too many, and the last response ends in a tool call that was cut off.
            UnexpectedModelBehavior: If there are too many.
        """
        self.retries += 1
        if self.retries <= max_result_retries:
            return
        if self._ends_in_a_broken_call():
            raise IncompleteToolCall(
                f'Model token limit ({token_limit(model_settings)}) exceeded while generating a tool call, resulting '
                f'in incomplete arguments. Increase the `max_tokens` model setting, or simplify the prompt to result '
                f'in a shorter response that will fit within the limit.'
            )
        message = f'Exceeded maximum retries ({max_result_retries}) for output validation'
        if error is None:
            raise UnexpectedModelBehavior(message)
        if isinstance(error, UnexpectedModelBehavior) and error.__cause__ is not None:
            error = error.__cause__
        raise UnexpectedModelBehavior(message) from error

    def _ends_in_a_broken_call(self) -> bool:
        last = self.message_history[-1] if self.message_history else None
        if not isinstance(last, ModelResponse) or last.finish_reason != 'length' or not last.parts:
            return False
        call = last.parts[-1]
        if not isinstance(call, ToolCallPart):
            return False
        try:
            call.args_as_dict()
        except Exception:  # noqa: BLE001, whatever is wrong with the arguments
            return True
        return False


@lean_dataclass(kw_only=True, show=full_repr)
class GraphAgentDeps(Generic[DepsT, OutputDataT]):
    """What a run was set up with, and what it keeps from one node to the next."""

    user_deps: DepsT

    prompt: str | Sequence[UserContent] | None
    new_message_index: int
    """Index of the first message that this run added."""

    model: Model
    model_settings: ModelSettings | None
    usage_limits: UsageLimits
    max_result_retries: int
    end_strategy: EndStrategy
    get_instructions: Callable[[RunContext[DepsT]], Awaitable[str | None]]

    output_schema: OutputSchema[OutputDataT]
    output_validators: list[OutputValidator[DepsT, OutputDataT]]
    validation_context: Any | Callable[[RunContext[DepsT]], Any]

    history_processors: Sequence[HistoryProcessor[DepsT]]

    builtin_tools: Sequence[AbstractBuiltinTool | Callable[[RunContext[DepsT]], Any]] = field(repr=False)
    tool_manager: ToolManager[DepsT]

    source: _ambient.Source = field(repr=False)
    """Where the run's clock readings and ids come from."""
    handler: RunHandler | None = field(default=None, repr=False)
    """Who carries out the run's effects; None: the run itself."""
    sent: SentHistory = field(default_factory=SentHistory, repr=False)
    """What the history is sent as."""
    context: RunContext[DepsT] | None = field(default=None, repr=False)
    """The context of the current step, once it is made."""
    begun: object = field(default=None, repr=False)
    """The node that was streamed and has yet to run; the handler knows of it already."""
    result_messages: list[ModelMessage] | None = field(default=None, repr=False)
    """Messages of the streamed result, if there is one: they get the request that closes the run, its own do not."""


RunCtx: TypeAlias = GraphRunContext[GraphAgentState, GraphAgentDeps[DepsT, Any]]
"""What a node of an agent's run is given to run with."""


async def begin_node(deps: GraphAgentDeps[Any, Any], node: object) -> None:
    """Take note that a node is streamed, and tell the handler, which is told once of each."""
    if deps.begun is not node:
        deps.begun = node
        held = None if deps.handler is None else deps.handler.node(node)
        if held is not None:
            await held


def run_context_of(state: GraphAgentState, deps: GraphAgentDeps[DepsT, Any]) -> RunContext[DepsT]:
    """Return the context that the user's functions see at this point of a run: one for each step.

    A validation context that a function makes is made each time, as in pydantic-ai 1.38.
    """
    wanted = deps.validation_context
    context = deps.context
    if context is not None and context.run_step == state.run_step and not callable(wanted):
        return context
    deps.context = context = RunContext(  # without [DepsT]: a subscript at run time costs more than the object
        deps=deps.user_deps,
        model=cast('RunModel', deps.model),  # its `profile` is cached, which pyright takes for writable
        usage=state.usage,
        prompt=deps.prompt,
        messages=state.message_history,
        run_step=state.run_step,
        run_id=state.run_id,
    )
    context.validation_context = wanted(context) if callable(wanted) else wanted
    return context


def token_limit(settings: ModelSettings | None) -> int | str:
    """Return how many tokens a response may have, or words that say that the provider decides."""
    return (settings.get('max_tokens') if settings else None) or 'provider default'


@lean_dataclass()
class _Captured:
    """The list of a `capture_run_messages` block; the first run inside fills it."""

    messages: list[ModelMessage]
    used: bool = False


_captured: ContextVar[_Captured] = ContextVar('agentrun.captured_messages')


@contextmanager
def capture_run_messages() -> Generator[list[ModelMessage]]:
    """Watch the messages of the first run inside the block, also if the run fails.

    Yields:
        The run's own list of messages, which grows with the run. A block inside another one shares its list.
    """
    outer = _captured.get(None)
    if outer is not None:
        yield outer.messages
        return
    token = _captured.set(_Captured([]))
    try:
        yield _captured.get().messages
    finally:
        _captured.reset(token)


def take_captured_messages() -> list[ModelMessage]:
    """Return the list that a run has to keep its messages in: that of the block around it if no run has it yet."""
    captured = _captured.get(None)
    if captured is None or captured.used:
        return []
    captured.used = True
    return captured.messages
