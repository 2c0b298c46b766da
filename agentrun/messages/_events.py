"""What happens while a response streams in and while its tool calls are carried out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY
from typing import Annotated, Literal, TypeAlias

from typing_extensions import deprecated

from agentrun._records import lean_dataclass, told_apart_by
from agentrun.messages._content import UserContent
from agentrun.messages._deltas import ModelResponsePartDelta
from agentrun.messages._requests import RetryPromptPart, ToolReturnPart
from agentrun.messages._responses import (
    BuiltinToolCallPart,
    BuiltinToolReturnPart,
    ModelResponsePart,
    ToolCallPart,
)

ResponsePartKind: TypeAlias = Literal[
    'text', 'thinking', 'tool-call', 'builtin-tool-call', 'builtin-tool-return', 'file'
]
"""The `part_kind` of a response part."""


@lean_dataclass(kw_only=True)
class PartStartEvent:
    """A part begins. A second one with the same index takes the place of the first."""

    index: int
    """Where the part stands in the response."""
    part: ModelResponsePart
    """The part as far as it is known."""
    previous_part_kind: ResponsePartKind | None = None
    """Kind of the part before it, if there is one."""
    event_kind: Literal['part_start'] = 'part_start'
    """Tells this kind of event from others."""


@lean_dataclass(kw_only=True)
class PartDeltaEvent:
    """A part goes on."""

    index: int
    """Where the part stands in the response."""
    delta: ModelResponsePartDelta
    """What to apply to it."""
    event_kind: Literal['part_delta'] = 'part_delta'
    """Tells this kind of event from others."""


@lean_dataclass(kw_only=True)
class PartEndEvent:
    """A part is complete."""

    index: int
    """Where the part stands in the response."""
    part: ModelResponsePart
    """The whole part."""
    next_part_kind: ResponsePartKind | None = None
    """Kind of the part after it, if there is one."""
    event_kind: Literal['part_end'] = 'part_end'
    """Tells this kind of event from others."""


@lean_dataclass(kw_only=True)
class FinalResultEvent:
    """The response has turned out to hold the run's result; sent once, right after the event that showed it."""

    tool_name: str | None
    """The output tool that was called; None for text."""
    tool_call_id: str | None
    """Id of that call; None for text."""
    event_kind: Literal['final_result'] = 'final_result'
    """Tells this kind of event from others."""


ModelResponseStreamEvent = Annotated[
    PartStartEvent | PartDeltaEvent | PartEndEvent | FinalResultEvent, told_apart_by('event_kind')
]
"""An event of a streamed response."""


@lean_dataclass()
class FunctionToolCallEvent:
    """A function tool is about to be called."""

    part: ToolCallPart
    """The call."""

    _: KW_ONLY

    event_kind: Literal['function_tool_call'] = 'function_tool_call'
    """Tells this kind of event from others."""

    @property
    def tool_call_id(self) -> str:
        """Id of the call; the result has the same."""
        return self.part.tool_call_id

    @property
    @deprecated('`call_id` is deprecated, use `tool_call_id` instead.')
    def call_id(self) -> str:
        """The older name of `tool_call_id`."""
        return self.part.tool_call_id


@lean_dataclass()
class FunctionToolResultEvent:
    """A function tool has returned, or has to be called again."""

    result: ToolReturnPart | RetryPromptPart
    """What the model will be told."""

    _: KW_ONLY

    content: str | Sequence[UserContent] | None = None
    """Further content that the model will be sent after it, as a user prompt."""
    event_kind: Literal['function_tool_result'] = 'function_tool_result'
    """Tells this kind of event from others."""

    @property
    def tool_call_id(self) -> str:
        """Id of the call."""
        return self.result.tool_call_id


@deprecated(
    '`BuiltinToolCallEvent` is deprecated, '
    'look for `PartStartEvent` and `PartDeltaEvent` with `BuiltinToolCallPart` instead.'
)
@lean_dataclass()
class BuiltinToolCallEvent:
    """A built-in tool was called by the provider."""

    part: BuiltinToolCallPart
    """The call."""

    _: KW_ONLY

    event_kind: Literal['builtin_tool_call'] = 'builtin_tool_call'
    """Tells this kind of event from others."""


@deprecated(
    '`BuiltinToolResultEvent` is deprecated, '
    'look for `PartStartEvent` and `PartDeltaEvent` with `BuiltinToolReturnPart` instead.'
)
@lean_dataclass()
class BuiltinToolResultEvent:
    """A built-in tool has returned to the provider."""

    result: BuiltinToolReturnPart
    """What it returned."""

    _: KW_ONLY

    event_kind: Literal['builtin_tool_result'] = 'builtin_tool_result'
    """Tells this kind of event from others."""


HandleResponseEvent = Annotated[
    FunctionToolCallEvent
    | FunctionToolResultEvent
    | BuiltinToolCallEvent  # pyright: ignore[reportDeprecated]  (old recordings hold them)
    | BuiltinToolResultEvent,  # pyright: ignore[reportDeprecated]
    told_apart_by('event_kind'),
]
"""An event of carrying out what a response asks for."""

AgentStreamEvent = Annotated[ModelResponseStreamEvent | HandleResponseEvent, told_apart_by('event_kind')]
"""An event of a run."""
