"""Every exception of the public interface, with the texts of pydantic-ai 1.38."""

from __future__ import annotations

from typing import Any, Protocol

from pydantic_core import ErrorDetails, core_schema

__all__ = [
    'AgentRunError',
    'ApprovalRequired',
    'CallDeferred',
    'FallbackExceptionGroup',
    'IncompleteToolCall',
    'ModelAPIError',
    'ModelHTTPError',
    'ModelRetry',
    'ToolRetryError',
    'UnexpectedModelBehavior',
    'UsageLimitExceeded',
    'UserError',
]


class ModelRetry(Exception):  # noqa: N818, the followed name
    """Raised by a tool, an output function or a validator to have the model try again.

    Args:
        message: What the model is told.
    """

    message: str
    """What the model is told."""

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and other.message == self.message

    def __hash__(self) -> int:
        return hash((type(self), self.message))

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> core_schema.CoreSchema:
        wire = core_schema.typed_dict_schema(
            {
                'message': core_schema.typed_dict_field(core_schema.str_schema()),
                'kind': core_schema.typed_dict_field(core_schema.literal_schema(['model-retry'])),
            }
        )
        return core_schema.no_info_after_validator_function(
            _retry_from_wire,
            wire,
            serialization=core_schema.plain_serializer_function_ser_schema(_retry_to_wire, return_schema=wire),
        )


def _retry_from_wire(wire: dict[str, str]) -> ModelRetry:
    return ModelRetry(wire['message'])


def _retry_to_wire(retry: ModelRetry) -> dict[str, str]:
    return {'message': retry.message, 'kind': 'model-retry'}


class CallDeferred(Exception):  # noqa: N818, the followed name
    """Raised by a tool whose call is carried out elsewhere, after the run.

    Args:
        metadata: Kept for the caller in `DeferredToolRequests.metadata`, under the call's id.
    """

    def __init__(self, metadata: dict[str, Any] | None = None) -> None:
        self.metadata = metadata
        super().__init__()


class ApprovalRequired(Exception):  # noqa: N818, the followed name
    """Raised by a tool whose call a person has to approve first.

    Args:
        metadata: Kept for the caller in `DeferredToolRequests.metadata`, under the call's id.
    """

    def __init__(self, metadata: dict[str, Any] | None = None) -> None:
        self.metadata = metadata
        super().__init__()


class UserError(RuntimeError):
    """A mistake in how the library is used.

    Args:
        message: What is wrong.
    """

    message: str
    """What is wrong."""

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


class AgentRunError(RuntimeError):
    """Root of the errors that end an agent run.

    Args:
        message: What happened.
    """

    message: str
    """What happened."""

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)

    def __str__(self) -> str:
        return self.message


class UsageLimitExceeded(AgentRunError):  # noqa: N818, the followed name
    """The run used, or would use, more than its `UsageLimits` allow."""


class UnexpectedModelBehavior(AgentRunError):  # noqa: N818, the followed name
    """The model did something that the run cannot go on from.

    Args:
        message: What the model did.
        body: Text of the model's answer; JSON is laid out with an indent of two.
    """

    body: str | None
    """Text of the model's answer, if there is one."""

    def __init__(self, message: str, body: str | None = None) -> None:
        super().__init__(message)
        self.body = None if body is None else _laid_out(body)

    def __str__(self) -> str:
        return f'{self.message}, body:\n{self.body}' if self.body else self.message


def _laid_out(body: str) -> str:
    import json  # noqa: TID251, the standard library's escapes and number forms are part of the followed text

    try:
        return json.dumps(json.loads(body), indent=2)
    except ValueError:
        return body


class IncompleteToolCall(UnexpectedModelBehavior):
    """The model reached its token limit within a tool call."""


class ModelAPIError(AgentRunError):
    """A request to the model's provider failed.

    Args:
        model_name: The model that was asked.
        message: What happened.
    """

    model_name: str
    """The model that was asked."""

    def __init__(self, model_name: str, message: str) -> None:
        self.model_name = model_name
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.model_name, self.message), self.__dict__


class ModelHTTPError(ModelAPIError):
    """The model's provider answered with a status of 400 or above.

    Args:
        status_code: The HTTP status.
        model_name: The model that was asked.
        body: What the provider answered, parsed or not.
    """

    status_code: int
    """The HTTP status."""

    body: object | None
    """What the provider answered, parsed or not."""

    def __init__(self, status_code: int, model_name: str, body: object | None = None) -> None:
        self.status_code = status_code
        self.body = body
        super().__init__(model_name, f'status_code: {status_code}, model_name: {model_name}, body: {body}')

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.status_code, self.model_name, self.body), self.__dict__


class FallbackExceptionGroup(ExceptionGroup[Any]):
    """What each of several models failed with, when all of them failed."""


class RetryPrompt(Protocol):
    """What `ToolRetryError` needs of the `RetryPromptPart` it carries."""

    @property
    def content(self) -> list[ErrorDetails] | str:
        """What the model is to do better: a text, or the errors of a validation."""
        ...

    @property
    def tool_name(self) -> str | None:
        """The tool that was called, if any."""
        ...


class ToolRetryError(Exception):
    """Carries a `RetryPromptPart` from a failed call to the request that sends it to the model.

    Args:
        tool_retry: The part; a list of validation errors is rendered as text.
    """

    def __init__(self, tool_retry: RetryPrompt) -> None:
        self.tool_retry = tool_retry
        content = tool_retry.content
        super().__init__(content if isinstance(content, str) else _rendered(content, tool_retry.tool_name))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.tool_retry,), self.__dict__


def _rendered(errors: list[ErrorDetails], tool_name: str | None) -> str:
    # By hand: rebuilding a ValidationError fails for errors whose `ctx` was dropped on the way, and `msg` says it all.
    plural = '' if len(errors) == 1 else 's'
    lines = [f'{len(errors)} validation error{plural}' + (f' for {tool_name!r}' if tool_name else '')]
    for error in errors:
        lines.append('.'.join(map(str, error['loc'])) or '__root__')
        lines.append(f'  {error["msg"]} [type={error["type"]}, input_value={error["input"]!r}]')
    return '\n'.join(lines)
