"""Usage for models that have none: plausible token counts, the same as pydantic-ai 1.38 makes up.

The counts of a request cover the whole conversation, but looking at the whole conversation at each request would make
long runs slow. So the totals of what came before the last exchange are kept, and only what follows is counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from weakref import ref

from agentrun.messages import (
    BinaryContent,
    BuiltinToolReturnPart,
    FilePart,
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    RetryPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
)
from agentrun.usage import RequestUsage

__all__ = ('OVERHEAD', 'UsageEstimate', 'count_words', 'estimate_usage')

OVERHEAD = 50
"""Input tokens of a request that says nothing."""

_BETWEEN_WORDS = re.compile(r'[\s",.:]+')


class _Mark(NamedTuple):
    """Totals of a conversation up to its last exchange (request and response), known by that response."""

    response: ref[ModelResponse]
    request: ref[ModelMessage]
    first: ref[ModelMessage]
    length: int
    """Number of messages, the exchange included."""
    tokens: Tokens
    """What the messages before the exchange come to."""


class Tokens(NamedTuple):
    """Input and output tokens of some messages."""

    input: int
    output: int


class UsageEstimate:
    """Estimates usage, request after request, at a cost in proportion to what is new.

    The last exchange is counted again each time, so that what was edited since it was answered counts as it stands.
    A conversation that is not the continuation of one seen before, message object for message object, is counted whole.
    """

    def __init__(self) -> None:
        self._marks: dict[int, _Mark] = {}

    def of(self, messages: Sequence[ModelMessage], response: ModelResponse) -> RequestUsage:
        """Estimate the usage of the request that `messages` make and `response` answers.

        Args:
            messages: The whole conversation, oldest first.
            response: What the model said to it.

        Returns:
            Input tokens of all requests, output tokens of all responses, the new one included.
        """
        start, before = self._known(messages)
        before = _sum(before, messages[start:-1])
        self._remember(messages, response, before)
        total = _sum(before, (*messages[-1:], response))
        return RequestUsage(input_tokens=OVERHEAD + total.input, output_tokens=total.output)

    def _known(self, messages: Sequence[ModelMessage]) -> tuple[int, Tokens]:
        """Find how many messages are counted already, and what they come to."""
        if len(messages) < 3:  # an exchange and a new request
            return 0, Tokens(0, 0)
        mark = self._marks.get(id(messages[-2]))
        if (
            mark is None
            or mark.length != len(messages) - 1
            or mark.response() is not messages[-2]
            or mark.request() is not messages[-3]
            or mark.first() is not messages[0]
        ):
            return 0, Tokens(0, 0)
        del self._marks[id(messages[-2])]
        return mark.length - 2, mark.tokens

    def _remember(self, messages: Sequence[ModelMessage], response: ModelResponse, before: Tokens) -> None:
        if not messages:
            return
        key, marks = id(response), self._marks
        marks[key] = _Mark(
            response=ref(response, lambda _: marks.pop(key, None)),
            request=ref(messages[-1]),
            first=ref(messages[0]),
            length=len(messages) + 1,
            tokens=before,
        )


def estimate_usage(messages: Iterable[ModelMessage]) -> RequestUsage:
    """Estimate the usage of a request from all messages, its response included."""
    total = _sum(Tokens(0, 0), messages)
    return RequestUsage(input_tokens=OVERHEAD + total.input, output_tokens=total.output)


def count_words(content: str | Sequence[UserContent]) -> int:
    """Count what stands for tokens: words of text, bytes of binary content, nothing for what a URL points to."""
    if not content:
        return 0
    if isinstance(content, str):
        return _words(content)
    words = 0
    for item in content:
        if isinstance(item, str):
            words += _words(item)
        elif isinstance(item, BinaryContent):
            words += len(item.data)
    return words


def _words(text: str) -> int:
    """Count the pieces between blanks and punctuation; empty pieces at the ends count too."""
    return len(_BETWEEN_WORDS.split(text.strip()))


def _sum(tokens: Tokens, messages: Iterable[ModelMessage]) -> Tokens:
    total_input, total_output = tokens
    for message in messages:
        if isinstance(message, ModelRequest):
            total_input += sum(map(_request_words, message.parts))
        else:
            total_output += sum(map(_response_words, message.parts))
    return Tokens(total_input, total_output)


def _request_words(part: ModelRequestPart) -> int:
    if isinstance(part, ToolReturnPart):
        return count_words(part.model_response_str())
    if isinstance(part, RetryPromptPart):
        return count_words(part.model_response())
    return count_words(part.content)


def _response_words(part: ModelResponsePart) -> int:
    if isinstance(part, ToolCallPart):  # first, for there may be many
        return 1 + _words(part.args_as_json_str())
    if isinstance(part, (TextPart, ThinkingPart)):
        return count_words(part.content)
    if isinstance(part, FilePart):
        return count_words([part.content])
    if isinstance(part, BuiltinToolReturnPart):
        return count_words(part.model_response_str())
    return 1 + count_words(part.args_as_json_str())
