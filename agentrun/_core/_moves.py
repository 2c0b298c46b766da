"""What a turn asks for and what it is told: the language between the machine and whoever carries its moves out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias

from agentrun._core._state import EndStrategy
from agentrun._outcomes import ToolDeferred
from agentrun._records import lean_dataclass
from agentrun.exceptions import UnexpectedModelBehavior
from agentrun.messages import ModelRequestPart, RetryPromptPart, ToolCallPart, ToolReturnPart, UserContent
from agentrun.result import FinalResult
from agentrun.settings import ModelSettings
from agentrun.tools import DeferredToolResult
from agentrun.usage import UsageLimits

__all__ = (
    'Accepted',
    'Answers',
    'AskAgain',
    'Asked',
    'BatchDone',
    'Failed',
    'Finish',
    'Move',
    'Outcome',
    'OutputRules',
    'Rejected',
    'Rules',
    'RunBatch',
    'Settled',
    'UseOutputTool',
    'UseText',
)

Answers: TypeAlias = Mapping[str, 'DeferredToolResult | Literal["skip"]']
"""Results handed to the run for calls of its history, by tool call id; 'skip': answered in the history already."""


class OutputRules(Protocol):
    """What a run's output may be, as far as the machine asks. `OutputSchema` is one."""

    allows_deferred_tools: bool
    """Whether a run may end with calls that somebody else answers."""
    allows_image: bool

    @property
    def allows_text(self) -> bool: ...

    @property
    def toolset(self) -> object | None:
        """The output tools; the machine asks only whether there are any."""
        ...


class Rules(Protocol):
    """What holds for every turn of a run. `GraphAgentDeps` is one."""

    @property
    def end_strategy(self) -> EndStrategy: ...

    @property
    def max_result_retries(self) -> int:
        """How often the model may be asked for another output."""
        ...

    @property
    def model_settings(self) -> ModelSettings | None: ...

    @property
    def usage_limits(self) -> UsageLimits: ...

    @property
    def output_schema(self) -> OutputRules: ...


# What the machine asks for ...


@lean_dataclass()
class UseText:
    """Make the output of a text."""

    text: str


@lean_dataclass()
class UseOutputTool:
    """Make the output of the arguments of a call."""

    call: ToolCallPart


@lean_dataclass()
class RunBatch:
    """See what comes of calls."""

    calls: Sequence[ToolCallPart]
    """In the order in which their parts are to stand."""
    answers: Mapping[str, DeferredToolResult]
    """What is known of some of them already, by tool call id."""


@lean_dataclass()
class AskAgain:
    """The run goes on with a request of these parts."""

    parts: list[ModelRequestPart]


@lean_dataclass()
class Finish:
    """The run ends."""

    result: FinalResult[Any]
    parts: list[ModelRequestPart]
    """Parts of the request that closes the history, so that no call in it lacks a return; may be empty."""


Asked: TypeAlias = UseText | UseOutputTool | RunBatch
"""A move that has to be answered."""
Move: TypeAlias = Asked | AskAgain | Finish
"""What is to be done next."""

# ... and what it is told.


@lean_dataclass()
class Accepted:
    """The output holds."""

    output: Any


@lean_dataclass()
class Rejected:
    """The model has to be asked for another output."""

    part: RetryPromptPart
    error: Exception
    """Why; becomes the cause if no retry is left."""


@lean_dataclass()
class Failed:
    """An output tool has no retry left."""

    error: UnexpectedModelBehavior


Settled: TypeAlias = 'ToolDeferred | tuple[ToolReturnPart | RetryPromptPart, str | Sequence[UserContent] | None]'
"""What came of a call: put off, or the part that answers it and user content to follow."""


@lean_dataclass()
class BatchDone:
    """All calls of a batch have ended."""

    settled: Sequence[Settled]
    """In the order of the batch's calls."""


Outcome: TypeAlias = Accepted | Rejected | Failed | BatchDone
"""The answer to a move."""
