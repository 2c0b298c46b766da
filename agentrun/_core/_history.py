"""Histories: neighbours of one kind merged, the way models want to see them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agentrun.messages import ModelMessage, ModelRequest, ModelResponse, RetryPromptPart, ToolReturnPart

__all__ = ('SentHistory', 'merged')


def merged(messages: Sequence[ModelMessage]) -> list[ModelMessage]:
    """Merge neighbouring messages of one kind, as in pydantic-ai 1.38.

    Requests are merged unless their instructions differ; tool returns and retries then come first. Responses are merged
    if none of them says which model or provider it came from.

    Args:
        messages: A history, oldest first. Neither the list nor a message in it is changed.

    Returns:
        A new list; messages that stand alone are the same objects.
    """
    clean: list[ModelMessage] = []
    for message in messages:
        both = _merge(clean[-1], message) if clean else None
        if both is None:
            clean.append(message)
        else:
            clean[-1] = both
    return clean


class SentHistory:
    """What a run's growing history is sent as, at a cost in proportion to what is new and what needs merging.

    Remembers where neighbours of one kind stand, so that only messages not seen before are looked at. A history that is
    no continuation of the one seen before is looked at anew.
    """

    def __init__(self) -> None:
        self._last: ModelMessage | None = None
        self._length = 0
        self._doubles: list[int] = []
        """Indexes of messages of the same kind as the one before."""

    def of(self, history: list[ModelMessage]) -> list[ModelMessage]:
        """Return the messages to send: a new list, with neighbours merged as by `merged`."""
        length, known = len(history), self._length
        if known > length or (known and history[known - 1] is not self._last):
            known, self._doubles = 0, []
        for index in range(known or 1, length):
            if history[index].kind == history[index - 1].kind:
                self._doubles.append(index)
        self._length = length
        self._last = history[-1] if history else None
        return self._sent(history) if self._doubles else history[:]

    def _sent(self, history: list[ModelMessage]) -> list[ModelMessage]:
        """Join the stretches that stand as they are with the merged ones."""
        sent: list[ModelMessage] = []
        done = 0
        for index in self._doubles:
            if index < done:
                continue  # in the stretch just merged
            stop = index + 1
            while stop < len(history) and history[stop].kind == history[index].kind:
                stop += 1
            sent += history[done : index - 1]
            sent += merged(history[index - 1 : stop])
            done = stop
        return sent + history[done:]


def _merge(first: ModelMessage, second: ModelMessage) -> ModelMessage | None:
    """Make one message of two, or None if they do not go together."""
    if isinstance(first, ModelRequest) and isinstance(second, ModelRequest):
        return _merge_requests(first, second)
    if not isinstance(first, ModelResponse) or not isinstance(second, ModelResponse):
        return None
    return replace(first, parts=[*first.parts, *second.parts]) if _of_nobody(first) and _of_nobody(second) else None


def _merge_requests(first: ModelRequest, second: ModelRequest) -> ModelRequest | None:
    if first.instructions and second.instructions and first.instructions != second.instructions:
        return None
    parts = [*first.parts, *second.parts]
    parts.sort(key=lambda part: not isinstance(part, ToolReturnPart | RetryPromptPart))
    return ModelRequest(
        parts=parts,
        instructions=first.instructions or second.instructions,
        timestamp=second.timestamp or first.timestamp,
    )


def _of_nobody(response: ModelResponse) -> bool:
    """Tell whether a response was put together by hand: it names neither model nor provider."""
    return response.provider_response_id is None and response.provider_name is None and response.model_name is None
