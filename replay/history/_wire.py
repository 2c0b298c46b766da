"""Messages that somebody kept, brought to the shape of the wire table: as loading them in pydantic-ai 1.38 would.

Old field names are renamed, missing fields get their usual value, keys come in wire order, times in wire spelling. What
cannot be repaired is refused with its JSON path; what had to be assumed is told in a sentence.
"""

from datetime import datetime
from typing import NoReturn, cast
from uuid import NAMESPACE_URL, uuid5

from replay.canon import Json, JsonObject
from replay.errors import HistoryInvalid, NotSupported, Where
from replay.logical import wire_time
from replay.shapes import Shape, Table

RENAMED = {
    'response': {'vendor_details': 'provider_details', 'vendor_id': 'provider_response_id'},
    'usage': {'request_tokens': 'input_tokens', 'response_tokens': 'output_tokens'},
}
"""Names of earlier versions, and what they are called now."""

COMPUTED = {'usage': frozenset({'requests', 'total_tokens'})}
"""Fields of earlier versions that say nothing of their own."""

_TEXTS = frozenset({'tool_name', 'tool_call_id', 'id', 'signature', 'provider_name', 'dynamic_ref', 'instructions',
                    'run_id', 'model_name', 'provider_url', 'provider_response_id', 'finish_reason'})  # fmt: skip
_OBJECTS = frozenset({'provider_details'})
_ARRAYS_TOO = frozenset({'user-prompt', 'retry-prompt'})
"""Parts whose content may be an array."""
_RETRY = frozenset({'content', 'tool_name', 'tool_call_id', 'timestamp'})
"""What a retry prompt takes over from what 2.x writes for it."""
_GO_WITHOUT_SAYING: tuple[Json, ...] = (None, 0, 'complete', 'success')
"""Values of fields of later versions that say no more than their absence."""
_TEXT_PARTS = frozenset({'system-prompt', 'text', 'thinking'})
"""Parts whose content is text."""


class Wire:
    """Brings messages to the shape of a table.

    Args:
        table: The shapes.
        source: Name of the history, for errors.
        assumed: Sentences about what had to be assumed; added to.
    """

    def __init__(self, table: Table, source: str, assumed: list[str]) -> None:
        self._table = table
        self._source = source
        self._assumed = assumed
        self._time: Json = None
        """The latest time that a message had."""

    def message(self, value: Json, path: str) -> JsonObject:
        """Bring one message to its shape.

        Raises:
            HistoryInvalid: If it cannot be a message.
            NotSupported: If its kind, or that of a part, is not known.
        """
        found = self._object(value, path)
        kind = found.get('kind')
        shape = self._table.messages.get(kind) if isinstance(kind, str) else None
        if shape is None:
            self._unknown('message', kind, tuple(self._table.messages), f'{path}.kind')
        found = self._renamed(found, 'response', path) if kind == 'response' else found
        if kind == 'response':
            found = {**found, 'usage': self._usage(found.get('usage'), f'{path}.usage')}
        if isinstance(found.get('timestamp'), str):
            self._time = self._moment(found['timestamp'], f'{path}.timestamp')
        elif kind == 'request':
            found = {**found, 'timestamp': None}
        parts = found.get('parts')
        if not isinstance(parts, list):
            self.refuse('parts are missing' if parts is None else 'parts are no array', f'{path}.parts')
        shapes = self._table.request_parts if kind == 'request' else self._table.response_parts
        wide = [self._part(part, shapes, f'{path}.parts[{index}]') for index, part in enumerate(parts)]
        return self._shaped(shape, {**found, 'parts': cast('Json', wide)}, path)

    def refuse(self, headline: str, path: str, *, expected: str | None = None, got: str | None = None) -> NoReturn:
        """Raise `HistoryInvalid` with a JSON path."""
        raise HistoryInvalid(
            headline,
            expected=expected,
            got=got,
            where=Where(cassette=self._source, field=path),
            next=('hand in what all_messages_json() gave, unchanged',),
        )

    def _part(self, value: Json, shapes: object, path: str) -> JsonObject:
        part = self._retry(self._object(value, path), path)
        kind = part.get('part_kind')
        known = cast('dict[str, Shape]', shapes)
        shape = known.get(kind) if isinstance(kind, str) else None
        if shape is None:
            self._unknown('part', kind, tuple(known), f'{path}.part_kind')
        content = part.get('content')
        fits = not isinstance(content, str | list | dict) if kind in _ARRAYS_TOO else not isinstance(content, str)
        if (kind in _TEXT_PARTS or kind in _ARRAYS_TOO) and fits:
            self.refuse(f'content of a {kind} part', f'{path}.content', expected='text', got=_short(content))
        if 'args' in part and not isinstance(part['args'], str | dict | None):
            self.refuse('arguments of a call', f'{path}.args', expected='text or an object', got=_short(part['args']))
        return self._shaped(shape, part, path)

    def _retry(self, part: JsonObject, path: str) -> JsonObject:
        """Read what pydantic_ai 2.x writes for a retry prompt as one: it tells those of tools from the others."""
        of_tool = part.get('part_kind') == 'tool-return' and part.get('outcome') == 'retried'
        if not of_tool and part.get('part_kind') != 'retry-feedback':
            return part
        self._assumed.append(f'{path}: a {part["part_kind"]} part that asks for a retry was read as a retry-prompt')
        told = {key: item for key, item in part.items() if key in _RETRY and item is not None}
        return {'tool_call_id': f'pyd_ai_{uuid5(NAMESPACE_URL, path).hex}', **told, 'part_kind': 'retry-prompt'}

    def _usage(self, value: Json, path: str) -> JsonObject:
        if value is None:
            value = {}
        renamed = self._renamed(self._object(value, path), 'usage', path)
        usage: JsonObject = {
            key: item for key, item in renamed.items() if key not in COMPUTED['usage'] and item is not None
        }
        shaped = self._shaped(self._table.usage, usage, path)
        for key, item in shaped.items():
            if type(item) is not (dict if key == 'details' else int):
                self.refuse('usage', f'{path}.{key}', expected='a whole number', got=_short(item))
        return shaped

    def _renamed(self, value: JsonObject, kind: str, path: str) -> JsonObject:
        names = RENAMED[kind]
        if value.keys().isdisjoint(names):
            return value
        old = ', '.join(name for name in value if name in names)
        self._assumed.append(f'{path}: older field names ({old}) were read under their present names')
        return {names.get(key, key): item for key, item in value.items()}

    def _shaped(self, shape: Shape, value: JsonObject, path: str) -> JsonObject:
        """Put the keys in wire order, with usual values for those that are missing."""
        surplus = [key for key, item in value.items() if key not in shape.keys and item not in _GO_WITHOUT_SAYING]
        if surplus:
            self._assumed.append(f'{path}: fields that 1.38 does not know were left out: {", ".join(surplus)}')
        return {key: self._value(shape, value, key, path) for key in shape.keys}

    def _value(self, shape: Shape, value: JsonObject, key: str, path: str) -> Json:
        if key not in value:
            return self._missing(shape, key, path)
        item = value[key]
        if key == 'timestamp' and (item is not None or 'instructions' not in shape.keys):  # only requests may lack it
            return self._moment(item, f'{path}.{key}')
        optional = item is None and (key in shape.usual or key == 'run_id')
        if key in _TEXTS and not optional and not isinstance(item, str):
            self.refuse(f'{key} is no text', f'{path}.{key}', expected='text', got=_short(item))
        if key in _OBJECTS and not optional and not isinstance(item, dict):
            self.refuse(f'{key} is no object', f'{path}.{key}', expected='an object', got=_short(item))
        return item

    def _missing(self, shape: Shape, key: str, path: str) -> Json:
        if key in shape.usual:
            usual = shape.usual[key]
            return {} if usual == {} else usual
        if key == 'run_id':
            return None
        if key != 'timestamp' or self._time is None:
            self.refuse(f'{key} is missing', f'{path}.{key}', expected=key, got='nothing')
        self._assumed.append(f'{path}: has no timestamp; taken from the message around or before it')
        return self._time

    def _moment(self, value: Json, path: str) -> str:
        """Spell a time as messages do."""
        try:
            moment = datetime.fromisoformat(cast('str', value))
        except (TypeError, ValueError):
            self.refuse('no time', path, expected='YYYY-MM-DDTHH:MM:SSZ', got=_short(value))
        return wire_time(moment)

    def _object(self, value: Json, path: str) -> JsonObject:
        if not isinstance(value, dict):
            self.refuse('no object', path, expected='an object', got=_short(value))
        return value

    def _unknown(self, what: str, kind: Json, known: tuple[str, ...], path: str) -> NoReturn:
        if not isinstance(kind, str):
            self.refuse(f'a {what} without a kind', path, expected=f'one of {", ".join(known)}', got=_short(kind))
        raise NotSupported(
            f'unknown kind of {what} {kind!r}',
            expected=f'one of {", ".join(known)}',
            got=kind,
            where=Where(cassette=self._source, field=path),
        )


def _short(value: Json) -> str:
    """A value for an error, cut where it gets long."""
    text = repr(value)
    return text if len(text) <= 60 else f'{text[:57]}...'
