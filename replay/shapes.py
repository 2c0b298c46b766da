"""Wire tables: which keys a message, a part or a content item has, in which order, and which values go without saying.

A table is data, one for each library version whose messages differ; versions between share one of them or are written
whole. A key with no usual value is always written,
unless the codec can derive it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import cast

from .canon import Json, JsonObject

FULL = 'full'
"""Name in place of a table's: messages stand in the file whole."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The keys of one kind of object."""

    keys: tuple[str, ...]
    """All keys, in wire order."""
    usual: Mapping[str, Json]
    """Values that are left out, by key."""
    extra: tuple[str, ...] = ()
    """Keys that stand behind the others where there is something to say, in wire order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The shapes of one library version."""

    name: str
    messages: Mapping[str, Shape]
    """By `kind`."""
    request_parts: Mapping[str, Shape]
    """By `part_kind`."""
    response_parts: Mapping[str, Shape]
    """By `part_kind`."""
    items: Mapping[str, Shape]
    """Content of a user prompt or a file, by `kind`."""
    usage: Shape


def _shape(keys: str, *extra: str, **usual: Json) -> Shape:
    """A shape from its keys in order; those with a trailing `?` are usually null, `extra` ones may be missing."""
    names = tuple(key.rstrip('?') for key in keys.split())
    nulls: JsonObject = {key[:-1]: None for key in keys.split() if key.endswith('?')}
    return Shape(names, nulls | usual, extra)


def _url(kind: str) -> Shape:
    return _shape('url force_download vendor_metadata? kind media_type identifier', kind=kind, force_download=False)


PYDANTIC_AI_1_38 = Table(
    name='pydantic-ai 1.38',
    messages={
        'request': _shape('parts timestamp instructions? kind run_id metadata?', kind='request'),
        'response': _shape(
            'parts usage model_name? timestamp kind provider_name? provider_url? provider_details? '
            'provider_response_id? finish_reason? run_id metadata?',
            kind='response',
        ),
    },
    request_parts={
        'system-prompt': _shape('content timestamp dynamic_ref? part_kind', part_kind='system-prompt'),
        'user-prompt': _shape('content timestamp part_kind', part_kind='user-prompt'),
        'tool-return': _shape('tool_name content tool_call_id metadata? timestamp part_kind', part_kind='tool-return'),
        'retry-prompt': _shape('content tool_name? tool_call_id timestamp part_kind', part_kind='retry-prompt'),
    },
    response_parts={
        'text': _shape('content id? provider_details? part_kind', part_kind='text'),
        'thinking': _shape('content id? signature? provider_name? provider_details? part_kind', part_kind='thinking'),
        'tool-call': _shape('tool_name args? tool_call_id id? provider_details? part_kind', part_kind='tool-call'),
        'builtin-tool-call': _shape(
            'tool_name args? tool_call_id id? provider_details? provider_name? part_kind',
            part_kind='builtin-tool-call',
        ),
        'builtin-tool-return': _shape(
            'tool_name content tool_call_id metadata? timestamp provider_name? provider_details? part_kind',
            part_kind='builtin-tool-return',
        ),
        'file': _shape('content id? provider_name? provider_details? part_kind', part_kind='file'),
    },
    items={
        'image-url': _url('image-url'),
        'audio-url': _url('audio-url'),
        'document-url': _url('document-url'),
        'video-url': _url('video-url'),
        'binary': _shape('data media_type vendor_metadata? kind identifier', kind='binary'),
        'cache-point': _shape('kind ttl', kind='cache-point', ttl='5m'),
    },
    usage=_shape(
        'input_tokens cache_write_tokens cache_read_tokens output_tokens input_audio_tokens '
        'cache_audio_read_tokens output_audio_tokens details',
        input_tokens=0,
        cache_write_tokens=0,
        cache_read_tokens=0,
        output_tokens=0,
        input_audio_tokens=0,
        cache_audio_read_tokens=0,
        output_audio_tokens=0,
        details={},
    ),
)
"""Messages of pydantic-ai 1.38 and of agentrun."""


def _changed(table: Table, name: str, **kinds: Mapping[str, Shape]) -> Table:
    """The table of another version: what it has in addition or in another shape.

    Args:
        table: The table that most of it comes from.
        name: Name of the version.
        kinds: By field of the table, what is not as there.
    """
    merged = {field: {**getattr(table, field), **shapes} for field, shapes in kinds.items() if field != 'usage'}
    usage = kinds['usage']['usage'] if 'usage' in kinds else table.usage
    return replace(table, name=name, usage=usage, **merged)


PYDANTIC_AI_1_15 = _changed(
    PYDANTIC_AI_1_38,
    'pydantic-ai 1.15',
    messages={
        'request': _shape('parts instructions? kind run_id', kind='request'),
        'response': _shape(
            'parts usage model_name? timestamp kind provider_name? provider_details? provider_response_id? '
            'finish_reason? run_id',
            kind='response',
        ),
    },
    response_parts={
        'text': _shape('content id? part_kind', part_kind='text'),
        'thinking': _shape('content id? signature? provider_name? part_kind', part_kind='thinking'),
        'tool-call': _shape('tool_name args? tool_call_id id? part_kind', part_kind='tool-call'),
        'builtin-tool-call': _shape(
            'tool_name args? tool_call_id id? provider_name? part_kind', part_kind='builtin-tool-call'
        ),
        'builtin-tool-return': _shape(
            'tool_name content tool_call_id metadata? timestamp provider_name? part_kind',
            part_kind='builtin-tool-return',
        ),
        'file': _shape('content id? provider_name? part_kind', part_kind='file'),
    },
)
"""Messages of pydantic-ai 1.15."""

PYDANTIC_AI_1_107 = _changed(
    PYDANTIC_AI_1_38,
    'pydantic-ai 1.107',
    messages={
        'request': _shape('parts timestamp instructions? kind run_id conversation_id? metadata?', kind='request'),
        'response': _shape(
            'parts usage model_name? timestamp kind provider_name? provider_url? provider_details? '
            'provider_response_id? finish_reason? run_id conversation_id? metadata? state',
            kind='response',
            state='complete',
        ),
    },
    request_parts={
        'tool-return': _shape(
            'tool_name content tool_call_id tool_kind? metadata? timestamp outcome part_kind',
            part_kind='tool-return',
            outcome='success',
        ),
    },
    response_parts={
        'text': _shape('content id? provider_name? provider_details? part_kind', part_kind='text'),
        'tool-call': _shape(
            'tool_name args? tool_call_id tool_kind? id? provider_name? provider_details? part_kind',
            part_kind='tool-call',
        ),
        'builtin-tool-call': _shape(
            'tool_name args? tool_call_id tool_kind? id? provider_name? provider_details? part_kind',
            part_kind='builtin-tool-call',
        ),
        'builtin-tool-return': _shape(
            'tool_name content tool_call_id tool_kind? metadata? timestamp outcome provider_name? provider_details? '
            'part_kind',
            part_kind='builtin-tool-return',
            outcome='success',
        ),
        'compaction': _shape('content id? provider_name? provider_details? part_kind', part_kind='compaction'),
    },
    items={
        'text-content': _shape('content metadata? kind', kind='text-content'),
        'uploaded-file': _shape(
            'file_id provider_name vendor_metadata? kind media_type identifier', kind='uploaded-file'
        ),
    },
)
"""Messages of pydantic-ai 1.107."""

_SPEECH = 'speaker transcript? audio? interrupted_at_ms?{} id? provider_name? provider_details? part_kind'
_SPOKEN = _shape(_SPEECH.format(''), part_kind='speech')
_TIMED = _shape(_SPEECH.format(' timestamps?'), part_kind='speech')
_COMPACTION = _shape('content id? provider_name? provider_details? metadata? part_kind', part_kind='compaction')

PYDANTIC_AI_2_33 = _changed(
    PYDANTIC_AI_1_107,
    'pydantic-ai 2.33',
    messages={
        'request': _shape(
            'parts timestamp instructions? kind run_id conversation_id? metadata? state',
            kind='request',
            state='complete',
        ),
    },
    request_parts={
        'speech': _SPOKEN,
        'tool-availability-delta': _shape('tools_added tool_call_id? part_kind', part_kind='tool-availability-delta'),
    },
    response_parts={'speech': _SPOKEN},
    usage={
        'usage': _shape(
            'input_tokens cache_write_tokens cache_read_tokens output_tokens input_audio_tokens '
            'cache_audio_read_tokens output_audio_tokens details cost?',
            **PYDANTIC_AI_1_38.usage.usual,
        ),
    },
)
"""Messages of pydantic-ai 2.33."""

PYDANTIC_AI_2_68 = _changed(
    PYDANTIC_AI_2_33,
    'pydantic-ai 2.68',
    messages={
        'response': _shape(
            'parts usage model_name? model_id? timestamp kind provider_name? provider_url? canonical_system? '
            'provider_details? provider_response_id? finish_reason? run_id conversation_id? metadata? workspace_ref? '
            'history_digest? failed_attempts? state',
            kind='response',
            state='complete',
        ),
    },
    request_parts={
        'system-prompt': _shape(
            'content timestamp dynamic_ref? context_id? scope metadata? part_kind',
            part_kind='system-prompt',
            scope='conversation',
        ),
        'tool-return': _shape(
            'tool_name content tool_call_id tool_kind? metadata? timestamp outcome retry? part_kind',
            'content_file_digests',
            part_kind='tool-return',
            outcome='success',
        ),
        'retry-feedback': _shape('content retry timestamp part_kind', part_kind='retry-feedback'),
        'speech': _TIMED,
        'compaction': _COMPACTION,
        'capability-load-delta': _shape('loaded tool_call_id? part_kind', part_kind='capability-load-delta'),
        'model-settings-delta': _shape('settings top_level part_kind', part_kind='model-settings-delta'),
        'instruction-delta': _shape('id content base_hash? part_kind', part_kind='instruction-delta'),
        'instruction-baseline': _shape('instructions part_kind', part_kind='instruction-baseline'),
    },
    response_parts={
        'text': _shape('content id? provider_name? provider_details? citations? part_kind', part_kind='text'),
        'compaction': _COMPACTION,
        'speech': _TIMED,
        'builtin-tool-return': _shape(
            'tool_name content tool_call_id tool_kind? metadata? timestamp outcome provider_name? provider_details? '
            'part_kind',
            'content_file_digests',
            part_kind='builtin-tool-return',
            outcome='success',
        ),
    },
    usage={
        'usage': _shape(
            'input_tokens cache_write_tokens cache_write_1h_tokens cache_read_tokens output_tokens '
            'output_reasoning_tokens input_audio_tokens cache_audio_read_tokens output_audio_tokens audio_seconds '
            'details cost?',
            'unmeasured_requests',
            cache_write_1h_tokens=0,
            output_reasoning_tokens=0,
            audio_seconds=0.0,
            **PYDANTIC_AI_1_38.usage.usual,
        ),
    },
)
"""Messages of pydantic-ai 2.68."""

TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (PYDANTIC_AI_1_38, PYDANTIC_AI_1_15, PYDANTIC_AI_1_107, PYDANTIC_AI_2_33, PYDANTIC_AI_2_68)
}
"""Every table that ships, by name; the one that is tried first stands first."""


def unknown_keys(writer: str, reader: str) -> Mapping[str, frozenset[str]]:
    """Say which keys messages of one version have that another one did not know.

    Args:
        writer: Table of the version that did not know them.
        reader: Table of the version that has them.

    Returns:
        Keys by kind of message and part, and of `usage`; none where a table is not known, or the tables are one.
    """
    if writer == reader or writer not in TABLES or reader not in TABLES:
        return {}
    old, new = _by_kind(TABLES[writer]), _by_kind(TABLES[reader])
    found = {kind: new[kind] - old.get(_BEFORE.get(kind, kind), old.get(kind, new[kind])) for kind in new}
    return {kind: keys for kind, keys in found.items() if keys}


_BEFORE: Mapping[str, str] = {'retry-feedback': 'retry-prompt'}
"""Kinds of parts that say what another kind said before."""


def _by_kind(table: Table) -> dict[str, frozenset[str]]:
    shapes = {**table.messages, **table.request_parts, **table.response_parts, 'usage': table.usage}
    return {kind: frozenset({*shape.keys, *shape.extra}) for kind, shape in shapes.items()}


def narrowed(message: JsonObject, unknown: Mapping[str, Collection[str]]) -> JsonObject:
    """A message without the keys that a library version does not know.

    Args:
        message: The message, which stays as it is.
        unknown: These keys, by kind of message and part.
    """
    given = cast('list[JsonObject]', message.get('parts', []))
    parts = [_without(part, unknown.get(str(part.get('part_kind')), ())) for part in given]
    found = {**_without(message, unknown.get(str(message.get('kind')), ())), 'parts': cast('Json', parts)}
    if isinstance(usage := message.get('usage'), dict):
        found['usage'] = _without(usage, unknown.get('usage', ()))
    return found


def _without(value: JsonObject, keys: Collection[str]) -> JsonObject:
    return {key: item for key, item in value.items() if key not in keys}
