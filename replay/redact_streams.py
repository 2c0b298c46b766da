"""Streams redacted: a secret that came in pieces is one stand-in in one piece, and no partial text shows a part of it.

Texts are redacted whole, as they stand in the finished parts, and cut anew: a cut that falls inside of a secret is left
out, so that the deltas around it are one.
"""

import re
from collections import deque
from collections.abc import Iterator
from typing import cast

from .canon import Json, JsonObject
from .redact import STAND_IN, Redactor
from .streams import TEXT_FIELDS, Stream

__all__ = ('redacted_stream',)


def redacted_stream(stream: Stream, redactor: Redactor) -> Stream:
    """Redact what passed of a streamed response.

    Returns:
        The stream itself if it holds no secret.
    """
    texts = {index: deque(_texts(stream, index, redactor)) for index in _indexes(stream)}
    entries: list[Json] = [*stream]
    if redactor.json(entries) is entries and not any(text.spans for found in texts.values() for text in found):
        return stream
    return tuple(_Cutter(stream, redactor, texts).entries())


class _Cutter:
    """Cuts the texts of a stream anew.

    Args:
        stream: What passed.
        redactor: What knows secrets.
        texts: What came of each part, by its index, in the order in which parts of that index began.
    """

    def __init__(self, stream: Stream, redactor: Redactor, texts: dict[int, deque['_Text']]) -> None:
        self._stream = stream
        self._redactor = redactor
        self._coming = texts
        self._texts: dict[int, _Text] = {}

    def entries(self) -> Iterator[JsonObject]:
        """Give the entries of the redacted stream."""
        for entry in self._stream:
            kind = entry.get('event_kind')
            index = cast('int', entry.get('index'))
            if kind == 'part_start':
                self._texts[index] = self._coming[index].popleft()
            text = self._texts.get(index)
            if kind == 'part_start' and text is not None:
                yield self._start(entry, text)
            elif kind == 'part_delta' and text is not None:
                yield from self._delta(entry, text)
            else:
                yield self._redacted(entry)

    def _start(self, event: JsonObject, text: '_Text') -> JsonObject:
        part = cast('JsonObject', event['part'])
        field = TEXT_FIELDS.get(cast('str', part['part_kind']), '')
        begun = part.get(field)
        redacted = self._redacted(part)
        if isinstance(begun, str):
            redacted = {**redacted, field: text.take(begun) or ''}
        return {**event, 'part': redacted}

    def _delta(self, event: JsonObject, text: '_Text') -> Iterator[JsonObject]:
        delta = cast('JsonObject', event['delta'])
        piece = _piece_of(delta)
        redacted = self._redacted(delta)
        cut = None if piece is None else text.take(piece)
        if cut is not None:
            redacted = {**redacted, _field_of(delta): cut}
        if cut is not None or piece is None:
            yield {**event, 'delta': redacted}

    def _redacted(self, value: JsonObject) -> JsonObject:
        return cast('JsonObject', self._redactor.json(value))


class _Text:
    """The text of a part: as it came, redacted, and which place of the one is which of the other.

    Args:
        text: The whole text.
        redactor: What knows secrets.
        whole: Whether it ended; else it may have been cut inside of a secret.
    """

    def __init__(self, text: str, redactor: Redactor, *, whole: bool) -> None:
        self._text = text
        self._redacted = redactor.text(text)
        if not whole and (cut := redactor.unfinished(text)) is not None:
            self._redacted = redactor.text(text[: cut[0]]) + cut[1]
        self.spans = _spans(text, self._redacted)
        self._came = 0
        self._given = 0

    def take(self, piece: str) -> str | None:
        """Take a piece that came.

        Returns:
            What of the redacted text goes with it; None if it ends inside of a secret, which the next piece ends.
        """
        self._came += len(piece)
        place = self._place(self._came)
        if place is None:
            return None
        given, self._given = self._given, max(place, self._given)
        return self._redacted[given : self._given]

    def _place(self, came: int) -> int | None:
        for begin, end, new_begin, new_end in self.spans:
            if came <= begin:
                return new_begin - (begin - came)
            if came < end:
                return None
            if came == end:
                return new_end
        return len(self._redacted) - (len(self._text) - came)


def _spans(text: str, redacted: str) -> list[tuple[int, int, int, int]]:
    """Where secrets are, and where their stand-ins, in order: begin and end of each in both texts.

    What is between stand-ins is the same in both; if it is not, because a rule changed more, all of the text is one.
    """
    if text == redacted:
        return []
    pattern = '(.+?)'.join(map(re.escape, STAND_IN.split(redacted)))
    found = re.fullmatch(pattern, text, re.DOTALL)
    if found is None:
        return [(0, len(text), 0, len(redacted))]
    stand_ins = [match.span() for match in STAND_IN.finditer(redacted)]
    return [(*found.span(number), *span) for number, span in enumerate(stand_ins, 1)]


def _indexes(stream: Stream) -> set[int]:
    return {cast('int', entry['index']) for entry in stream if entry.get('event_kind') == 'part_start'}


def _texts(stream: Stream, index: int, redactor: Redactor) -> Iterator[_Text]:
    """What came, all in all, of each part that began under an index."""
    came: str | None = None
    ended = 'over' in stream[-1]
    whole = ended
    for entry in stream:
        kind = entry.get('event_kind')
        if entry.get('index') != index:
            continue
        if kind == 'part_start':
            if came is not None:
                yield _Text(came, redactor, whole=whole)
            came, whole = _text_of(cast('JsonObject', entry['part'])), ended
        elif kind == 'part_delta' and came is not None:
            came += _piece_of(cast('JsonObject', entry['delta'])) or ''
        elif kind == 'part_end':
            whole = True
    yield _Text(came or '', redactor, whole=whole)


def _piece_of(delta: JsonObject) -> str | None:
    piece = delta.get(_field_of(delta))
    return piece if isinstance(piece, str) else None


def _field_of(delta: JsonObject) -> str:
    return 'args_delta' if delta['part_delta_kind'] == 'tool_call' else 'content_delta'


def _text_of(part: JsonObject) -> str:
    value = part.get(TEXT_FIELDS.get(cast('str', part['part_kind']), ''))
    return value if isinstance(value, str) else ''
