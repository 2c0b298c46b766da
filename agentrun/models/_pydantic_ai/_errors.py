"""Errors of pydantic_ai as those of agentrun, with what they say."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from pydantic_ai import exceptions as theirs

from agentrun import exceptions as ours

__all__ = ('our_errors',)

_MAKERS: dict[str, Callable[[Any], Exception]] = {
    'ModelHTTPError': lambda error: ours.ModelHTTPError(error.status_code, error.model_name, error.body),
    'ModelAPIError': lambda error: ours.ModelAPIError(error.model_name, error.message),
    'IncompleteToolCall': lambda error: ours.IncompleteToolCall(error.message, error.body),
    'UnexpectedModelBehavior': lambda error: ours.UnexpectedModelBehavior(error.message, error.body),
    'UsageLimitExceeded': lambda error: ours.UsageLimitExceeded(error.message),
    'AgentRunError': lambda error: ours.AgentRunError(error.message),
    'UserError': lambda error: ours.UserError(error.message),
    'ModelRetry': lambda error: ours.ModelRetry(error.message),
    'FallbackExceptionGroup': lambda error: ours.FallbackExceptionGroup(
        error.message, [_translated(one) or one for one in error.exceptions]
    ),
}
"""By the name of the class in pydantic_ai, narrower ones first."""
_KINDS = [(found, make) for name, make in _MAKERS.items() if (found := getattr(theirs, name, None)) is not None]


@contextmanager
def our_errors() -> Generator[None]:
    """Raise errors of pydantic_ai that leave the block as ours, from them; others as they are."""
    try:
        yield
    except Exception as error:
        made = _translated(error)
        if made is None:
            raise
        raise made from error


def _translated(error: Exception) -> Exception | None:
    """Make one of our errors of one of pydantic_ai's, with the public attributes that ours has not (2.x: `headers`)."""
    make = next((make for kind, make in _KINDS if isinstance(error, kind)), None)
    if make is None:
        return None
    made = make(error)
    for name, value in vars(error).items():
        if not name.startswith('_') and not hasattr(made, name):
            setattr(made, name, value)
    return made
