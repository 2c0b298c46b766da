"""Wire tables: which keys a message, a part or a content item has, in which order, and which values go without saying.

A table is data, one for each library version whose messages differ; versions between share one of them or are written
whole. A key with no usual value is always written,
unless the codec can derive it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

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


def _shape(keys: str, **usual: Json) -> Shape:
    """A shape from its keys in order; those with a trailing `?` are usually null."""
    names = tuple(key.rstrip('?') for key in keys.split())
    nulls: JsonObject = {key[:-1]: None for key in keys.split() if key.endswith('?')}
    return Shape(names, nulls | usual)


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
            part_kind='tool-return',
            outcome='success',
        ),
    },
    response_parts={
        'text': _shape('content id? provider_name? provider_details? citations? part_kind', part_kind='text'),
        'compaction': _shape(
            'content id? provider_name? provider_details? metadata? part_kind', part_kind='compaction'
        ),
    },
    usage={
        'usage': _shape(
            'input_tokens cache_write_tokens cache_write_1h_tokens cache_read_tokens output_tokens '
            'output_reasoning_tokens input_audio_tokens cache_audio_read_tokens output_audio_tokens audio_seconds '
            'details cost?',
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
