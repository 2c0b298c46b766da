"""Messages, tools and parameters of agentrun as pydantic_ai's, its responses and events as ours."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from importlib import import_module
from operator import is_
from typing import Any, NamedTuple, cast
from weakref import ref

import pydantic_ai.messages as theirs
from pydantic_ai import models as their_models
from pydantic_ai import output as their_output
from pydantic_ai import tools as their_tools
from pydantic_ai import usage as their_usage

from agentrun import builtin_tools
from agentrun import messages as ours
from agentrun.exceptions import UserError
from agentrun.models._parameters import ModelRequestParameters
from agentrun.models._pydantic_ai._translation import Translation
from agentrun.output import OutputObjectDefinition
from agentrun.tools import ToolDefinition
from agentrun.usage import RequestUsage

__all__ = ('Sent', 'builtin_tools_of', 'event_from', 'parts_from', 'response_from', 'usage_from')

_NEW_NAMES = {'BuiltinToolCallPart': 'NativeToolCallPart', 'BuiltinToolReturnPart': 'NativeToolReturnPart'}
"""Classes that have another name since pydantic_ai 1.107."""
_SAME_NAMES = """
    ModelRequest SystemPromptPart UserPromptPart ToolReturnPart RetryPromptPart
    ModelResponse TextPart ThinkingPart FilePart ToolCallPart BuiltinToolCallPart BuiltinToolReturnPart
    PartStartEvent PartDeltaEvent TextPartDelta ThinkingPartDelta ToolCallPartDelta
    ImageUrl AudioUrl VideoUrl DocumentUrl BinaryContent BinaryImage CachePoint
    """
"""Classes of messages that are there on both sides."""


def _builtin_tools_module() -> Any:
    try:
        return import_module('pydantic_ai.native_tools')  # its name since 1.107
    except ModuleNotFoundError:
        return import_module('pydantic_ai.builtin_tools')


def _found(module: object, name: str) -> type[Any] | None:
    return getattr(module, _NEW_NAMES.get(name, name), None) or getattr(module, name, None)


_BUILTIN_TOOLS: dict[type, type | None] = {
    tool: _found(_builtin_tools_module(), tool.__name__) for tool in builtin_tools.SUPPORTED_BUILTIN_TOOLS
}
_PAIRS: dict[type, type | None] = {
    cast('type', getattr(ours, name)): _found(theirs, name) for name in _SAME_NAMES.split()
}
_outward = Translation(
    {
        **_PAIRS,
        **_BUILTIN_TOOLS,
        RequestUsage: their_usage.RequestUsage,
        ToolDefinition: their_tools.ToolDefinition,
        OutputObjectDefinition: their_output.OutputObjectDefinition,
    },
    whose='The installed version of pydantic_ai',
)


def _inward_pairs() -> dict[type, type | None]:
    pairs: dict[type, type | None] = {
        found: None
        for name, found in vars(theirs).items()
        if isinstance(found, type) and name.endswith(('Part', 'PartDelta')) and hasattr(found, '__dataclass_fields__')
    }
    pairs |= {their: our for our, their in _PAIRS.items() if their is not None}
    return {**pairs, their_usage.RequestUsage: RequestUsage}


_inward = Translation(_inward_pairs(), whose='agentrun, whose messages are those of pydantic-ai 1.38,')


# -- what is sent


class _Kept(NamedTuple):
    """A record and what it became."""

    record: ref[object]
    values: tuple[object, ...]
    """What its fields held."""
    made: Any


class Sent:
    """Makes what is sent to a model of pydantic_ai; each message and part is made once, until it is changed.

    What the model itself answered is sent back to it as it was, with all that our records have no fields for. A field
    that holds another object than before makes a part be translated again; a dictionary or list that is changed in
    place is the same object on both sides.
    """

    def __init__(self) -> None:
        self._kept: dict[int, _Kept] = {}

    def messages(self, messages: Sequence[ours.ModelMessage]) -> list[Any]:
        """Translate a conversation."""
        return [self._message(message) for message in messages]

    def parameters(self, params: ModelRequestParameters) -> Any:
        """Translate what a request offers.

        Raises:
            UserError: If the installed pydantic_ai has no such built-in tool.
        """
        given: dict[str, Any] = {
            'function_tools': self._each(params.function_tools),
            'output_mode': params.output_mode,
            'output_object': _outward.of(params.output_object),
            'output_tools': self._each(params.output_tools),
            'prompted_output_template': params.prompted_output_template,
            'allow_text_output': params.allow_text_output,
            'allow_image_output': params.allow_image_output,
        }
        if params.builtin_tools:
            given[_BUILTIN_TOOLS_FIELD] = [_outward.of(tool) for tool in params.builtin_tools]
        return their_models.ModelRequestParameters(**given)

    def keep(self, record: object, made: object) -> None:
        """Note what a record is on the other side."""
        key, kept = id(record), self._kept
        kept[key] = _Kept(ref(record, lambda _: kept.pop(key, None)), tuple(vars(record).values()), made)

    def _message(self, message: ours.ModelMessage) -> Any:
        parts = [self._part(part) for part in message.parts]
        made = self._recalled(message)
        if made is not None and len(made.parts) == len(parts) and all(map(is_, made.parts, parts)):
            return made
        made = _outward.with_(message, parts=parts)
        self.keep(message, made)
        return made

    def _part(self, part: Any) -> Any:
        made = self._recalled(part)
        if made is None:
            made = _outward.of(_without_cache_points(part) if _NO_CACHE_POINTS else part)
            content = getattr(part, 'content', None)
            if isinstance(content, str) or getattr(made, 'content', None) is content:
                self.keep(part, made)  # else a list of its own stands on the other side, and may be left behind
        return made

    def _each(self, tools: Sequence[ToolDefinition]) -> list[Any]:
        made: list[Any] = []
        for tool in tools:
            found = self._recalled(tool)
            if found is None:
                found = _outward.of(tool)
                self.keep(tool, found)
            made.append(found)
        return made

    def _recalled(self, record: object) -> Any:
        kept = self._kept.get(id(record))
        if kept is None or kept.record() is not record:
            return None
        values = vars(record).values()
        return kept.made if len(values) == len(kept.values) and all(map(is_, values, kept.values)) else None


_BUILTIN_TOOLS_FIELD = next(
    name
    for name in ('native_tools', 'builtin_tools')
    if name in their_models.ModelRequestParameters.__dataclass_fields__
)
_NO_CACHE_POINTS = not hasattr(theirs, 'CachePoint')


def _without_cache_points(part: Any) -> Any:
    """Leave out what is a marker only, and unknown to the installed version."""
    content = getattr(part, 'content', None)
    if not isinstance(part, ours.UserPromptPart) or isinstance(content, str):
        return part
    kept = [item for item in part.content if not isinstance(item, ours.CachePoint)]
    return part if len(kept) == len(part.content) else ours.UserPromptPart(kept, timestamp=part.timestamp)


# -- what is answered


def response_from(response: Any, now: datetime, sent: Sent) -> ours.ModelResponse:
    """Translate a response.

    Args:
        response: One of pydantic_ai.
        now: When it came; models of pydantic_ai read a clock of their own.
        sent: Notes what its parts were.

    Raises:
        UserError: If it holds a part that messages of agentrun have no place for, or is one to be waited for.
    """
    if (state := getattr(response, 'state', None)) == 'suspended':
        raise UserError(f'The model answered with a response in state {state!r}, which agentrun cannot continue.')
    parts = parts_from(response.parts, now, sent)
    return _inward.with_(response, parts=parts, timestamp=now, usage=usage_from(response.usage))


def parts_from(parts: Sequence[Any], now: datetime, sent: Sent | None) -> list[ours.ModelResponsePart]:
    """Translate the parts of a response; `sent`, if there is one, notes what they were."""
    made = [cast('ours.ModelResponsePart', _inward.of(part, now)) for part in parts]
    if sent is not None:
        for part, their in zip(made, parts, strict=True):
            sent.keep(part, their)
    return made


def event_from(event: Any, now: datetime) -> ours.PartStartEvent | ours.PartDeltaEvent | None:
    """Translate an event of a stream; None for those that follow from others, which agentrun adds itself."""
    if isinstance(event, theirs.PartStartEvent):
        return ours.PartStartEvent(index=event.index, part=_inward.of(event.part, now))
    if isinstance(event, theirs.PartDeltaEvent):
        return ours.PartDeltaEvent(index=event.index, delta=_inward.of(event.delta, now))
    return None


def usage_from(usage: Any) -> RequestUsage:
    """Translate usage; its details are a copy."""
    made: RequestUsage = _inward.of(usage)
    made.details = dict(made.details)
    return made


def builtin_tools_of(their: frozenset[type]) -> frozenset[type[builtin_tools.AbstractBuiltinTool]]:
    """Translate classes of built-in tools; those that agentrun does not know are left out."""
    return frozenset(our for our, found in _BUILTIN_TOOLS.items() if found in their)
