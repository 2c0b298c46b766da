"""What passed of a streamed response, as plain facts.

A stream is kept beside the request that asked for it as what passed, in order: first the state of the response when it
opened, then events as wire JSON, each followed by what changed in that state with it (`usage` and the other `STATE`
fields), last how the stream ended: `{"over": true}`, `{"cut": true}` if its reader left it, `{"cut": "cancelled"}` if
the reader was cancelled, `{"raised": true}` if it failed, by the error of its node.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import dropwhile
from typing import TypeAlias, cast

from .canon import Json, JsonObject
from .cassette import Node

__all__ = (
    'ENDINGS', 'STATE', 'TAKES_RESPONSE', 'TEXT_FIELDS', 'Stream', 'assembled', 'ending', 'has_ending', 'is_event',
    'response_to',
)  # fmt: skip

Stream: TypeAlias = tuple[JsonObject, ...]
"""What passed, in order."""

STATE = (
    'usage', 'model_name', 'timestamp', 'provider_name', 'provider_url', 'provider_details', 'provider_response_id',
    'finish_reason',
)  # fmt: skip
"""Fields of a response that are known while it streams, in wire order."""

TAKES_RESPONSE = ('CallToolsNode', 'SetFinalResult')
"""Nodes that hold the response of the request before them."""

TEXT_FIELDS: Mapping[str, str] = {
    'text': 'content', 'thinking': 'content', 'tool-call': 'args', 'builtin-tool-call': 'args',
}  # fmt: skip
"""The field of a part that comes in pieces, by the kind of part."""

ENDINGS = ('over', 'cut', 'raised')
"""Keys that an ending has one of."""


def is_event(entry: JsonObject) -> bool:
    """Whether an entry of a stream is an event, and no state or ending."""
    return 'event_kind' in entry


def has_ending(stream: Sequence[JsonObject]) -> bool:
    """Whether a stream says how it ended."""
    return bool(stream) and not stream[-1].keys().isdisjoint(ENDINGS)


def ending(stream: Sequence[JsonObject]) -> str:
    """How a stream ended: `over`, `cut` or `raised`. A stream without an ending was cut."""
    last = stream[-1] if stream else {}
    return next((name for name in ENDINGS if name in last), 'cut')


def response_to(node: Node, later: Iterable[Node]) -> JsonObject | None:
    """The answer to a node's request: the message of the next node, or kept here where no node took it up."""
    if 'response' in node.facts:
        return cast('JsonObject', node.facts['response'])
    if node.then:
        return node.then[0]
    taker = next(dropwhile(_asked_nothing, later), None)
    return taker.message if taker and taker.kind in TAKES_RESPONSE and node.raised is None else None


def _asked_nothing(node: Node) -> bool:
    """Whether a node is one that was run again and gave what it gave before."""
    return node.kind == 'ModelRequestNode' and node.message is None and node.raised is None


def assembled(stream: Sequence[JsonObject]) -> list[JsonObject]:
    """Put parts together from the events of a stream, as far as they came, in their order."""
    parts: dict[int, JsonObject] = {}
    for entry in stream:
        index = cast('int', entry.get('index'))
        if entry.get('event_kind') in {'part_start', 'part_end'}:
            parts[index] = cast('JsonObject', entry['part'])
        elif entry.get('event_kind') == 'part_delta' and index in parts:
            parts[index] = _applied(parts[index], cast('JsonObject', entry['delta']))
    return [parts[index] for index in sorted(parts)]


# -- helpers


def _applied(part: JsonObject, delta: JsonObject) -> JsonObject:
    """A part with a delta applied, as in pydantic-ai 1.38."""
    changed = {**part}
    if delta['part_delta_kind'] == 'tool_call':
        changed['tool_name'] = f'{part["tool_name"]}{delta["tool_name_delta"] or ""}'
        changed['args'] = _joined(part['args'], delta['args_delta'])
        changed['tool_call_id'] = delta['tool_call_id'] or part['tool_call_id']
    else:
        changed['content'] = f'{part["content"]}{delta["content_delta"] or ""}'
        for key, name in (('signature', 'signature_delta'), ('provider_name', 'provider_name')):
            if delta.get(name) is not None:
                changed[key] = delta[name]
    if delta.get('provider_details'):  # not in every version
        details = cast('JsonObject', part.get('provider_details') or {})
        changed['provider_details'] = {**details, **cast('JsonObject', delta['provider_details'])}
    return changed


def _joined(args: Json, delta: Json) -> Json:
    if isinstance(args, dict) or isinstance(delta, dict):
        return {**cast('JsonObject', args or {}), **cast('JsonObject', delta or {})}
    return args if delta is None else f'{args or ""}{delta}'
