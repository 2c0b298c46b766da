"""Requests of a model that has several others answer: what came of those that did not count."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, cast

from .canon import JsonObject, own
from .cassette import Attempt, Definition
from .effects import Answered, Cut, Failed

__all__ = ('definition_json', 'definition_of', 'outcome_of', 'parsed')


def outcome_of(attempt: Attempt) -> Answered | Failed | Cut:
    """What came of a request, as it is told to the run again."""
    if attempt.cut:
        return Cut(cancelled=True)
    if attempt.raised is not None:
        return Failed(raised=attempt.raised)
    return Answered(message=cast('JsonObject', attempt.response))


def definition_json(definition: Definition) -> JsonObject:
    """A whole definition as JSON: of a request that carried another one than the request before it."""
    found = asdict(definition)
    return {**found, 'tools': dict(definition.tools), 'builtin_tools': [*definition.builtin_tools]}


def definition_of(written: JsonObject) -> Definition:
    """Make the definition again that `definition_json` wrote."""
    fields = cast('dict[str, Any]', written)
    return replace(Definition(**fields), builtin_tools=tuple(fields['builtin_tools']))


def parsed(messages: Sequence[bytes]) -> list[JsonObject]:
    """Read messages that the model was sent."""
    return [cast('JsonObject', own(message)) for message in messages]
