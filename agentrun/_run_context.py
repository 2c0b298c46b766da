"""`RunContext`: what a tool, a prompt function, a validator or a model may know of the run that calls it.

One is made for every node and derived for every tool call; `_records.changed` derives cheaply.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import field
from typing import Any, Generic, Protocol

from typing_extensions import TypeVar

from ._records import lean_dataclass
from .messages import ModelMessage, UserContent
from .profiles import ModelProfile
from .settings import ModelSettings
from .usage import RunUsage

__all__ = (
    'AgentDepsT',
    'RunContext',
    'RunContextAgentDepsT',
    'RunModel',
    'get_current_run_context',
    'set_current_run_context',
)

AgentDepsT = TypeVar('AgentDepsT', default=None, contravariant=True)  # noqa: PLC0105 - a public name
"""Type of an agent's dependencies, where they are consumed."""

RunContextAgentDepsT = TypeVar('RunContextAgentDepsT', default=None, covariant=True)  # noqa: PLC0105 - a public name
"""Type of an agent's dependencies, where `RunContext` provides them."""


class RunModel(Protocol):
    """What a run context promises of the model in use. `agentrun.models.Model` is one."""

    @property
    def model_name(self) -> str:
        """Name of the model."""
        ...

    @property
    def system(self) -> str:
        """Name of the provider, as in OpenTelemetry's `gen_ai.system`."""
        ...

    @property
    def profile(self) -> ModelProfile:
        """What the model can do."""
        ...

    @property
    def settings(self) -> ModelSettings | None:
        """The model's own settings, below those of the agent and the run."""
        ...


def _no_retries() -> dict[str, int]:
    """Make an empty dictionary: to call `dict[str, int]` instead takes ten times as long, at every node."""
    return {}


@lean_dataclass(kw_only=True)
class RunContext(Generic[RunContextAgentDepsT]):
    """Information about the current call.

    The attributes of pydantic-ai 1.38's class of this name, but for those of its tracing.
    """

    deps: RunContextAgentDepsT
    """The dependencies handed to the run."""
    model: RunModel
    """The model used in this run."""
    usage: RunUsage
    """Usage of the run so far: the run's own object, which goes on counting."""
    prompt: str | Sequence[UserContent] | None = None
    """The user prompt that the run was started with."""
    messages: list[ModelMessage] = field(default_factory=list['ModelMessage'])
    """The messages of the run so far, oldest first: the run's own list."""
    validation_context: Any = None
    """Pydantic's validation context for tool arguments and outputs."""
    retries: dict[str, int] = field(default_factory=_no_retries)
    """Retries so far by tool name; only tools that failed in the step before."""
    tool_call_id: str | None = None
    """Id of the tool call; None outside of one."""
    tool_name: str | None = None
    """Name of the tool being called or prepared; None outside of one."""
    retry: int = 0
    """Number of retries of this tool so far."""
    max_retries: int = 0
    """How many retries this tool has."""
    run_step: int = 0
    """Number of the current request within the run, from 1; 0 before the first."""
    tool_call_approved: bool = False
    """Whether a tool call that needed approval has got it."""
    partial_output: bool = False
    """Whether the output at hand is a part of a stream that goes on."""
    run_id: str | None = None
    """Id of the run."""

    @property
    def last_attempt(self) -> bool:
        """Whether a failure now is the last: no retry is left after this one."""
        return self.retry == self.max_retries


_current: ContextVar[RunContext[Any] | None] = ContextVar('agentrun.current_run_context', default=None)


def get_current_run_context() -> RunContext[Any] | None:
    """Return the context of the run that this code is called by, or None outside of a run."""
    return _current.get()


class set_current_run_context:  # noqa: N801, it reads as a verb: `with set_current_run_context(ctx):`
    """Make `run_context` the current one while the block is open; cheap, for it stands around every request.

    Args:
        run_context: The context.
    """

    __slots__ = ('_context', '_token')

    def __init__(self, run_context: RunContext[Any]) -> None:
        self._context = run_context

    def __enter__(self) -> None:
        self._token = _current.set(self._context)

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)
