"""What can come of a tool call, as values that can be kept and fed back, and the message parts they turn into.

An outcome does not say where it came from: a call that was just carried out and one fed from a recording are settled
by the same code. All functions here are pure but for the clock, which stamps the parts.
"""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ._records import full_repr, lean_dataclass
from .exceptions import ModelRetry, UserError
from .messages import MultiModalContent, ToolCallPart, ToolReturn, ToolReturnPart, UserContent

__all__ = ('ToolDeferred', 'ToolOutcome', 'ToolRetried', 'ToolReturned', 'return_parts')


@lean_dataclass(show=full_repr)
class ToolReturned:
    """The tool returned."""

    value: Any
    """What it returned, untouched: any object, a `ToolReturn` included. Of an output tool: the output."""


@lean_dataclass(show=full_repr)
class ToolRetried:
    """The model is asked to try again."""

    content: str | list[ErrorDetails]
    """What the model is told: a text, or the validation errors of its arguments without `url` and `ctx`."""
    error: Exception | None = None
    """The `ValidationError` or `ModelRetry` behind it; None if the outcome comes from a recording."""

    @classmethod
    def from_error(cls, error: ValidationError | ModelRetry) -> 'ToolRetried':
        """Make the outcome of a call that failed with `error`."""
        if isinstance(error, ModelRetry):
            return cls(error.message, error)
        return cls(error.errors(include_url=False, include_context=False), error)


@lean_dataclass(show=full_repr)
class ToolDeferred:
    """The call is to be answered outside of this run."""

    kind: Literal['external', 'unapproved']
    """`'external'`: a result has to come; `'unapproved'`: a person has to agree first."""
    metadata: dict[str, Any] | None = None
    """What the tool left for whoever answers."""


ToolOutcome: TypeAlias = ToolReturned | ToolRetried | ToolDeferred
"""What came of one tool call. An exception that ends the run is none: it is raised."""


def return_parts(
    call: ToolCallPart, returned: ToolReturned
) -> tuple[ToolReturnPart, str | Sequence[UserContent] | None]:
    """Turn what a tool returned into what the model is sent.

    A file among the values goes to the model as user content, and the return part refers to it by its identifier.

    Args:
        call: The call that was made.
        returned: What came of it.

    Returns:
        The part that answers the call, stamped with the current time, and the content of a user prompt to follow it;
        None if there is none.

    Raises:
        UserError: If a `ToolReturn` lies inside a list, or a file inside a `ToolReturn`'s value.
    """
    value, metadata = returned.value, None
    user_content: str | Sequence[UserContent] | None
    if type(value) in _PLAIN:
        content, user_content = value, None
    elif isinstance(value, ToolReturn):
        content, user_content, metadata = value.return_value, value.content, value.metadata
        _refuse_files(call.tool_name, content)
    elif isinstance(value, list):
        content, user_content = _divide(call.tool_name, cast('list[Any]', value))
    else:
        (content,), user_content = _divide(call.tool_name, [value])
    part = ToolReturnPart(call.tool_name, content, call.tool_call_id, metadata=metadata)
    return part, user_content or None


_PLAIN = frozenset({str, int, float, bool, dict, type(None)})
"""Types of values that hold no file to be divided off; told at a glance, for nearly every return is of one."""


def _divide(tool_name: str, values: list[Any]) -> tuple[list[Any], list[UserContent]]:
    """Divide plain return values into those for the return part and the files for the user prompt."""
    kept: list[Any] = []
    files: list[UserContent] = []
    for value in values:
        if isinstance(value, ToolReturn):
            raise UserError(
                f'The return value of tool {tool_name!r} contains invalid nested `ToolReturn` objects. '
                f'`ToolReturn` should be used directly.'
            )
        if isinstance(value, MultiModalContent):
            kept.append(f'See file {value.identifier}')
            files += [f'This is file {value.identifier}:', value]
        else:
            kept.append(value)
    return kept, files


def _refuse_files(tool_name: str, value: Any) -> None:
    items = cast('list[Any]', value) if isinstance(value, list) else [value]
    if any(isinstance(item, MultiModalContent) for item in items):
        raise UserError(
            f'The `return_value` of tool {tool_name!r} contains invalid nested `MultiModalContent` objects. '
            f'Please use `content` instead.'
        )
