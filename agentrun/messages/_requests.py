"""What is sent to a model: the request and its parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, field
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Literal, cast

from pydantic import ConfigDict, TypeAdapter
from pydantic_core import ErrorDetails

from agentrun import _ambient
from agentrun._records import lean_dataclass, told_apart_by
from agentrun.messages._content import UserContent


@lean_dataclass()
class SystemPromptPart:
    """A system prompt, written by the developer."""

    content: str
    """The prompt."""

    _: KW_ONLY

    timestamp: datetime = field(default_factory=_ambient.now)
    """When the prompt was made."""
    dynamic_ref: str | None = None
    """Qualified name of the function that made the prompt, if it is to be made anew in later runs."""
    part_kind: Literal['system-prompt'] = 'system-prompt'
    """Tells this kind of part from others."""


@lean_dataclass()
class UserPromptPart:
    """What the user says."""

    content: str | Sequence[UserContent]
    """The prompt: a text, or texts, files and cache markers in order."""

    _: KW_ONLY

    timestamp: datetime = field(default_factory=_ambient.now)
    """When the prompt was made."""
    part_kind: Literal['user-prompt'] = 'user-prompt'
    """Tells this kind of part from others."""


@cache
def _tool_content() -> TypeAdapter[Any]:
    return TypeAdapter(Any, config=ConfigDict(ser_json_bytes='base64', val_json_bytes='base64'))


@cache
def _error_details() -> TypeAdapter[list[ErrorDetails]]:
    return TypeAdapter(list[ErrorDetails])


@lean_dataclass()
class BaseToolReturnPart:
    """What function tools' and built-in tools' returns have in common."""

    tool_name: str
    """The tool that was called."""
    content: Any
    """What it returned."""
    tool_call_id: str = field(default_factory=_ambient.new_tool_call_id)
    """Id of the call; generated if the provider gave none."""

    _: KW_ONLY

    metadata: Any = None
    """Kept for the application; the model does not see it."""
    timestamp: datetime = field(default_factory=_ambient.now)
    """When the tool returned."""

    def model_response_str(self) -> str:
        """Return the content as the text that a model is sent: itself if it is text, else as JSON."""
        return self.content if isinstance(self.content, str) else _tool_content().dump_json(self.content).decode()

    def model_response_object(self) -> dict[str, Any]:
        """Return the content as a JSON object; what is none is put under `return_value`."""
        content = _tool_content().dump_python(self.content, mode='json')
        return cast('dict[str, Any]', content) if isinstance(content, dict) else {'return_value': content}

    def has_content(self) -> bool:
        """Return whether the tool returned something but None."""
        return self.content is not None


@lean_dataclass()
class ToolReturnPart(BaseToolReturnPart):
    """What a function tool returned."""

    _: KW_ONLY

    part_kind: Literal['tool-return'] = 'tool-return'
    """Tells this kind of part from others."""


@lean_dataclass()
class RetryPromptPart:
    """Tells the model what to do better: in a tool call, in an output, or in choosing a tool."""

    content: list[ErrorDetails] | str
    """What was wrong: the errors of a validation, or a text."""

    _: KW_ONLY

    tool_name: str | None = None
    """The tool that was called, if any."""
    tool_call_id: str = field(default_factory=_ambient.new_tool_call_id)
    """Id of the call; generated if there was none."""
    timestamp: datetime = field(default_factory=_ambient.now)
    """When it went wrong."""
    part_kind: Literal['retry-prompt'] = 'retry-prompt'
    """Tells this kind of part from others."""

    def model_response(self) -> str:
        """Return the text that the model is sent."""
        return f'{self._description()}\n\nFix the errors and try again.'

    def _description(self) -> str:
        if isinstance(self.content, str):
            return self.content if self.tool_name is not None else f'Validation feedback:\n{self.content}'
        # `ctx` may hold an exception object, which JSON does not.
        errors = _error_details().dump_json(self.content, exclude={'__all__': {'ctx'}}, indent=2).decode()
        plural = '' if len(self.content) == 1 else 's'
        return f'{len(self.content)} validation error{plural}:\n```json\n{errors}\n```'


ModelRequestPart = Annotated[
    SystemPromptPart | UserPromptPart | ToolReturnPart | RetryPromptPart, told_apart_by('part_kind')
]
"""A part of a request."""


@lean_dataclass()
class ModelRequest:
    """What is sent to a model at once."""

    parts: Sequence[ModelRequestPart]
    """The parts, in the order the model is to read them."""

    _: KW_ONLY

    timestamp: datetime | None = None
    """When the request was sent; None before that, and in messages older than the field."""
    instructions: str | None = None
    """The instructions of this request."""
    kind: Literal['request'] = 'request'
    """Tells requests from responses."""
    run_id: str | None = None
    """The run that sent it."""
    metadata: dict[str, Any] | None = None
    """Kept for the application; the model does not see it."""

    @classmethod
    def user_text_prompt(cls, user_prompt: str, *, instructions: str | None = None) -> ModelRequest:
        """Return a request with one user prompt.

        Args:
            user_prompt: What the user says.
            instructions: The instructions of the request.
        """
        return cls(parts=[UserPromptPart(user_prompt)], instructions=instructions)
