"""Streams made short: the cuts at which a finished part came in pieces, and back.

Nearly all of a stream follows from the finished response, so that its short form, the line of a cassette, says where
the parts were cut. What follows from nothing stands there as it was.
"""

from collections.abc import Sequence
from typing import cast

from .canon import Json, JsonObject, dumps
from .shapes import PYDANTIC_AI_1_38, TABLES
from .streams import ENDINGS, STATE, TEXT_FIELDS, Stream, assembled, has_ending

__all__ = ('pack_stream', 'unpack_stream')

_NAMED = ('model_name', 'timestamp', 'provider_name', 'provider_url')
"""Fields that are known when a stream opens, as a rule."""


def pack_stream(stream: Stream, response: JsonObject | None) -> list[Json]:
    """Make the line of a stream.

    Args:
        stream: What passed.
        response: The response that came of it; None if none did.

    Returns:
        The short form if it brings the stream back byte for byte, else all that passed.
    """
    try:
        line = _Packer(stream, _finished(stream, response), response).packed()
        if dumps([*unpack_stream(line, response)]) == dumps([*stream]):
            return line
    except ValueError:
        pass
    return [{'whole': True}, *stream]


def unpack_stream(line: Sequence[Json], response: JsonObject | None) -> Stream:
    """Bring a stream back from its line.

    Args:
        line: What `pack_stream` made.
        response: The response that came of it; None if none did.

    Raises:
        ValueError: If it is no such line, in words.
    """
    entries = list(line)
    if entries and entries[0] == {'whole': True}:
        return tuple(_object(entry) for entry in entries[1:])
    parts = cast('list[JsonObject]', response['parts']) if response is not None else []
    if response is None and entries and isinstance(entries[0], dict) and 'parts' in entries[0]:
        parts = [_object(part) for part in _array(_object(entries.pop(0))['parts'])]
    try:
        return tuple(_Unpacker(parts, response).unpacked(entries))
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f'an entry lacks what it needs, or holds something else: {error!r}') from None


class _Packer:
    """Writes a line, entry by entry."""

    def __init__(self, stream: Stream, parts: list[JsonObject], response: JsonObject | None) -> None:
        self._stream = stream
        self._parts = parts
        self._response = response
        self._line: list[Json] = []
        self._state = _usual_state(response)
        self._course = _Course(response)
        self._open: JsonObject | None = None  # the entry that more cuts of its part may be added to

    def packed(self) -> list[Json]:
        """Write it all."""
        if self._response is None:
            self._line.append({'parts': [*self._parts]})
        for place, entry in enumerate(self._stream):
            match entry.get('event_kind'):
                case 'part_start':
                    self._start(entry)
                case 'part_delta':
                    self._delta(entry)
                case 'part_end':
                    self._named('end', entry, self._end(place))
                case 'final_result':
                    self._named('final', entry, self._course.final())
                case _:
                    self._change(entry)
        if self._line and self._line[-1] == {'over': True}:
            self._line.pop()
        return [_closed(entry) for entry in self._line]

    def _start(self, event: JsonObject) -> None:
        index, part = cast('int', event['index']), cast('JsonObject', event['part'])
        again = index in self._course.at
        finished = self._finished(index, part)
        usual = None if finished is None else self._course.start_event(index, part)
        self._course.start(index, part)
        if finished is None or usual != event:
            self._put(event)
        elif part == finished:
            self._course.at[index] = len(_text_of(finished))
            self._put({'part': index, **({'start': {}} if again else {})})
        else:
            self._start_of(index, part, finished, again=again)

    def _start_of(self, index: int, part: JsonObject, finished: JsonObject, *, again: bool) -> None:
        """Write a start that is the beginning of its finished part."""
        whole, begun = _text_of(finished), _text_of(part)
        length = len(begun) if whole.startswith(begun) else 0
        self._course.at[index] = length
        others = _differing(part, _head(finished, length))
        entry: JsonObject = {'part': index, 'cuts': []}
        if length:
            entry['from'] = length
        if others or again:
            entry['start'] = others
        self._put(entry)
        self._open = entry

    def _finished(self, index: int, part: JsonObject) -> JsonObject | None:
        """The part that a part became, if it can be told from it."""
        found = self._parts[index] if 0 <= index < len(self._parts) else None
        return found if found is not None and tuple(found) == tuple(part) else None

    def _delta(self, event: JsonObject) -> None:
        index, delta = cast('int', event['index']), cast('JsonObject', event['delta'])
        finished = self._parts[index] if 0 <= index < len(self._parts) and index in self._course.at else None
        if finished is None or _event_of_delta(index, delta) != event:
            self._put(event)
            return
        token, usual, taken = _cut(finished, delta, self._course.at[index])
        if tuple(usual) != tuple(delta):
            self._put(event)
            return
        self._course.at[index] += taken
        self._cut(index, token, {key: value for key, value in delta.items() if value != usual[key]})

    def _cut(self, index: int, token: str, others: JsonObject) -> None:
        entry = self._open
        if entry is None or entry['part'] != index or (entry['cuts'] and entry.get('as', {}) != others):
            entry = cast('JsonObject', {'part': index, 'cuts': []})
            self._put(entry)
            self._open = entry
        if others:
            entry['as'] = others
        cast('list[Json]', entry['cuts']).append(token)

    def _end(self, place: int) -> JsonObject | None:
        index = self._course.last
        if index is None or index >= len(self._parts):
            return None
        later = (entry for entry in self._stream[place:] if entry.get('event_kind') == 'part_start')
        following = next(later, None)
        kind = None if following is None else cast('JsonObject', following['part'])['part_kind']
        return self._course.end_event(index, self._parts[index], kind)

    def _named(self, name: str, event: JsonObject, usual: JsonObject | None) -> None:
        self._put(name if usual == event else event)

    def _change(self, entry: JsonObject) -> None:
        """Write what changed in the state of the response; the state on opening only where it is unusual."""
        opening = not self._line or (self._response is None and len(self._line) == 1)
        changed = {key: value for key, value in entry.items() if key not in ENDINGS}
        short: JsonObject = {key: value for key, value in entry.items() if key in ENDINGS}
        known: list[str] = []
        for key, value in changed.items():
            if value == self._state.get(key):
                continue
            if key == 'usage':
                short[key] = _differing(cast('JsonObject', value), cast('JsonObject', self._state[key]))
            elif self._response is not None and value == self._response.get(key):
                known.append(key)
            else:
                short[key] = value
        self._state.update(changed)
        if known:
            short['known'] = ' '.join(known)
        if short or not opening:
            self._put(short)

    def _put(self, entry: Json) -> None:
        self._line.append(entry)
        self._open = None


class _Unpacker:
    """Reads a line, entry by entry."""

    def __init__(self, parts: list[JsonObject], response: JsonObject | None) -> None:
        self._parts = parts
        self._response = response
        self._state = _usual_state(response)
        self._course = _Course(response)
        self._stream: list[JsonObject] = []
        self._ended: JsonObject | None = None  # the end that has yet to be told what kind of part comes after it

    def unpacked(self, line: list[Json]) -> list[JsonObject]:
        """Read it all."""
        rest = line
        opening = dict(self._state)
        if rest and isinstance(rest[0], dict) and _is_state(rest[0]):
            opening.update(self._changes(rest[0]))
            rest = rest[1:]
        self._state = opening
        self._stream.append(dict(opening))
        for entry in rest:
            if isinstance(entry, dict):
                self._entry(entry)
            elif entry == 'end':
                self._stream.append(self._end())
            elif entry == 'final':
                self._stream.append(self._final())
            else:
                raise ValueError(f'{entry!r} is no entry of a stream')
        if not has_ending(self._stream):
            self._stream.append({'over': True})
        return self._stream

    def _entry(self, entry: JsonObject) -> None:
        if 'event_kind' in entry:
            self._stream.append(entry)
            if entry['event_kind'] == 'part_start':
                self._started(cast('int', entry['index']), cast('JsonObject', entry['part']))
        elif 'part' in entry:
            self._cuts(entry)
        elif _is_state(entry) or not entry.keys().isdisjoint(ENDINGS):
            endings: JsonObject = {key: entry[key] for key in ENDINGS if key in entry}
            changes = self._changes({key: value for key, value in entry.items() if key not in endings})
            self._state.update(changes)
            self._stream.append({**changes, **endings})
        else:
            raise ValueError(f'{entry!r} is no entry of a stream')

    def _cuts(self, entry: JsonObject) -> None:
        index = entry['part']
        if not entry.keys() <= _CUT_KEYS or type(index) is not int or index < 0:
            raise ValueError(f'{entry!r} tells of no part')
        part = self._parts[index]
        if index not in self._course.at or 'start' in entry:
            begun = self._begin(index, part, entry)
            self._stream.append(self._course.start_event(index, begun))
            self._started(index, begun)
            self._course.at[index] = len(_text_of(part)) if _is_whole(entry) else cast('int', entry.get('from', 0))
        others = _object(entry.get('as', {}))
        for token in cast('str', entry.get('cuts', '')).split():
            delta, taken = _delta(part, token, self._course.at[index])
            self._course.at[index] += taken
            self._stream.append(_event_of_delta(index, {**delta, **others}))

    def _begin(self, index: int, part: JsonObject, entry: JsonObject) -> JsonObject:
        length = entry.get('from', 0)
        if type(length) is not int or not 0 <= length <= len(_text_of(part)):
            raise ValueError(f'part {index} cannot begin with {length!r} characters')
        return part if _is_whole(entry) else {**_head(part, length), **_object(entry.get('start', {}))}

    def _started(self, index: int, part: JsonObject) -> None:
        if self._ended is not None:
            self._ended['next_part_kind'] = part['part_kind']
            self._ended = None
        self._course.start(index, part)

    def _end(self) -> JsonObject:
        if self._course.last is None:
            raise ValueError('a part ends before one has begun')
        self._ended = self._course.end_event(self._course.last, self._parts[self._course.last], None)
        return self._ended

    def _final(self) -> JsonObject:
        final = self._course.final()
        if final is None:
            raise ValueError('a result begins before a part has')
        return final

    def _changes(self, short: JsonObject) -> JsonObject:
        """The fields of the state that an entry changes, in wire order."""
        named = cast('str', short.get('known', '')).split()
        if not set(named) | (short.keys() - {'known'}) <= set(STATE) or (named and self._response is None):
            raise ValueError(f'{short!r} tells of no state')
        response = self._response or {}
        found: JsonObject = {}
        for key in STATE:
            if key == 'usage' and key in short:
                found[key] = {**cast('JsonObject', self._state[key]), **_object(short[key])}
            elif key in short or key in named:
                found[key] = short[key] if key in short else response[key]
        return found


class _Course:
    """How far a stream has come: which parts have begun, and how much of each is there.

    Args:
        response: The response that comes of it, if one does.
    """

    def __init__(self, response: JsonObject | None) -> None:
        self._response = response
        self.at: dict[int, int] = {}
        """Characters of each part that has begun, by index."""
        self.last: int | None = None
        """Index of the part that began last."""
        self._part: JsonObject | None = None

    def start(self, index: int, part: JsonObject) -> None:
        """A part begins."""
        self.at[index] = 0
        self.last, self._part = index, part

    def start_event(self, index: int, part: JsonObject) -> JsonObject:
        """The event of a start that comes now."""
        kind = None if self._part is None else self._part['part_kind']
        system = _system(part, self._response)
        return {'index': index, 'part': part, 'previous_part_kind': kind, **system, 'event_kind': 'part_start'}

    def end_event(self, index: int, part: JsonObject, following: Json) -> JsonObject:
        """The event of the end of a part."""
        system = _system(part, self._response)
        return {'index': index, 'part': part, 'next_part_kind': following, **system, 'event_kind': 'part_end'}

    def final(self) -> JsonObject | None:
        """The event that says that the result has begun, after the part that began last."""
        if self._part is None:
            return None
        call = self._part if self._part['part_kind'] == 'tool-call' else {}
        name, call_id = call.get('tool_name'), call.get('tool_call_id')
        return {'tool_name': name, 'tool_call_id': call_id, 'event_kind': 'final_result'}


# -- helpers

_NOTHING_USED: JsonObject = {key: value for table in TABLES.values() for key, value in table.usage.usual.items()}
_CUT_KEYS = frozenset({'part', 'from', 'start', 'cuts', 'as'})


def _usual_state(response: JsonObject | None) -> JsonObject:
    """The state of a response when it opens, unless it is told."""
    named = response or {}
    counted = cast('JsonObject', named.get('usage') or PYDANTIC_AI_1_38.usage.usual)
    usage: JsonObject = {key: _NOTHING_USED.get(key, 0) for key in counted}
    known = STATE if response is None else [key for key in STATE if key in response]
    return {key: usage if key == 'usage' else named.get(key) if key in _NAMED else None for key in known}


def _is_state(entry: JsonObject) -> bool:
    return bool(entry) and entry.keys() <= {*STATE, 'known'}


def _finished(stream: Stream, response: JsonObject | None) -> list[JsonObject]:
    return assembled(stream) if response is None else cast('list[JsonObject]', response['parts'])


def _text_of(part: JsonObject) -> str:
    """What of a part comes in pieces."""
    value = part.get(TEXT_FIELDS.get(cast('str', part['part_kind']), ''))
    return value if isinstance(value, str) else ''


def _head(part: JsonObject, length: int) -> JsonObject:
    """A part as it begins: some characters of its text, no signature."""
    field = TEXT_FIELDS.get(cast('str', part['part_kind']))
    if field is None:
        return part
    begun = _text_of(part)[:length]
    head: JsonObject = {**part, field: begun if field == 'content' else begun or None}
    if part['part_kind'] == 'thinking':
        head.update(signature=None, provider_name=None)
    return head


def _is_whole(entry: JsonObject) -> bool:
    return entry.keys().isdisjoint({'from', 'cuts'}) and not entry.get('start')


def _delta(part: JsonObject, token: str, at: int) -> tuple[JsonObject, int]:
    """Make the delta of a cut.

    Returns:
        The delta, and how many characters it takes.
    """
    signed, count = token.endswith('s'), token.removesuffix('s')
    if count != '-' and not (count.isascii() and count.isdigit()):
        raise ValueError(f'{token!r} is no cut')
    text = _text_of(part)
    length = 0 if count == '-' else int(count)
    if at + length > len(text):
        raise ValueError(f'a cut of {length} characters where {len(text) - at} are left')
    piece = None if count == '-' else text[at : at + length]
    kind = cast('str', part['part_kind'])
    if kind == 'text':
        delta: JsonObject = {'content_delta': piece, **_provided(part), 'part_delta_kind': 'text'}
    elif kind == 'thinking':
        delta = {
            'content_delta': piece,
            'signature_delta': part['signature'] if signed else None,
            **_provided(part),
            'provider_name': part['provider_name'] if signed else None,
            'part_delta_kind': 'thinking',
        }
    else:
        delta = {
            'tool_name_delta': None,
            'args_delta': piece,
            'tool_call_id': part['tool_call_id'],
            **_provided(part),
            'part_delta_kind': 'tool_call',
        }
    return delta, length


_PROVIDED = {
    'provider_name': 'provider_name', 'provider_details': 'provider_details', 'citations': 'citations_delta',
}  # fmt: skip


def _provided(part: JsonObject) -> JsonObject:
    """What a delta says of its provider, usually nothing; not every version has both fields."""
    unnamed = 'tool_name' in part and 'tool_kind' not in part  # before 1.107, built-in calls alone name a provider
    return {name: None for key, name in _PROVIDED.items() if key in part and not (unnamed and key == 'provider_name')}


def _cut(part: JsonObject, delta: JsonObject, at: int) -> tuple[str, JsonObject, int]:
    """Find the cut that comes nearest to a delta.

    Returns:
        The cut, the delta that it stands for, and how many characters it takes.
    """
    piece = delta.get('args_delta' if delta['part_delta_kind'] == 'tool_call' else 'content_delta')
    fits = isinstance(piece, str) and _text_of(part).startswith(piece, at)
    token = str(len(cast('str', piece))) if fits else '-'
    signature = delta.get('signature_delta')
    if signature is not None and signature == part.get('signature'):
        token += 's'
    usual, taken = _delta(part, token, at)
    return token, usual, taken


def _event_of_delta(index: int, delta: JsonObject) -> JsonObject:
    return {'index': index, 'delta': delta, 'event_kind': 'part_delta'}


def _system(part: JsonObject, response: JsonObject | None) -> JsonObject:
    """What an event of a part says of the provider's system, in versions where it does."""
    if response is None or 'canonical_system' not in response:
        return {}
    provider = part.get('provider_name')
    same = provider is not None and provider == response.get('provider_name')
    return {'canonical_system': response['canonical_system'] if same else None}


def _differing(value: JsonObject, usual: JsonObject) -> JsonObject:
    return {key: item for key, item in value.items() if key not in usual or item != usual[key]}


def _closed(entry: Json) -> Json:
    """An entry with its cuts as one text, which is left out where the entry tells by itself that it has none."""
    if not isinstance(entry, dict) or 'part' not in entry or 'event_kind' in entry:
        return entry
    cuts = cast('list[str]', entry.get('cuts', []))
    closed: JsonObject = {key: entry[key] for key in ('part', 'from', 'start', 'as') if key in entry}
    if cuts or ('cuts' in entry and entry.keys().isdisjoint({'from', 'start'})):
        closed['cuts'] = ' '.join(cuts)
    return closed


def _object(value: Json) -> JsonObject:
    if not isinstance(value, dict):
        raise ValueError(f'{value!r} is no object')  # noqa: TRY004, a fault of the text
    return value


def _array(value: Json) -> list[Json]:
    if not isinstance(value, list):
        raise ValueError(f'{value!r} is no array')  # noqa: TRY004, a fault of the text
    return value
