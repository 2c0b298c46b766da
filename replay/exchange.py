"""Which live value stands for which recorded one: what a replay of values minted in a run is told by.

A place of a request may differ from the recording where that has a minted value and the run has one of the same kind,
written in the same way. The two are bound to each other from then on. Ids, tokens and days are bound one to one.
Readings of a clock are not: they run at another pace in a replay, and two that were equal need not be so again.
Those in one text must be in the recorded order, though, and not much further apart.
A day that is not today's, give or take one, was not read off a clock now: it is a difference, such as a test that asks
for another date than the one it was recorded with.
What is written as recorded needs no binding: the outcomes that a replay feeds are.
An id or token that is known to be a constant was not minted: a test that asks for another one is a difference, too.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from itertools import combinations
from operator import is_
from typing import Any, Self, cast

from .canon import Json, JsonObject
from .cassette import Definition, Run
from .minted import LASTING, Piece, is_plausible, pattern_of, pieces, read_as

__all__ = ('Exchange', 'definition_fields', 'definition_with', 'respelt_definition', 'respelt_messages')


class Exchange:
    """Live and recorded values of the runs of one session.

    Args:
        recorded: Minted values as recorded.
        now: Reads the real clock that live days are held against; None: there are no live ones, or any will do.
        seen: Reads the clock that code sees, where that may be another: a test may have set it.
        changing: Those of the values that stood in instructions, several written alike in one run. They may have been
            told by their change from one request to the next, and be readings of a clock for all that they are far
            from its time.
        is_constant: Tells of a live value whether it is known not to be minted. Asked of what tells no day or time, or
            one to the second.
    """

    def __init__(
        self,
        recorded: Iterable[str] = (),
        *,
        now: Callable[[], datetime] | None = None,
        seen: Callable[[], datetime] | None = None,
        changing: Iterable[str] = (),
        is_constant: Callable[[Piece], bool] = lambda _: False,
    ) -> None:
        self._keys = {piece.key for value in recorded for piece in pieces(value)}
        self._now = now
        self._seen = seen
        self._changing = {piece.key for value in changing for piece in pieces(value) if piece.kind in _RUNNING}
        self._to_recorded: dict[str, str] = {}  # by keys
        self._to_live: dict[str, str] = {}
        self._is_constant = is_constant
        self._texts: dict[tuple[str, str], tuple[str, str]] = {}

    @classmethod
    def of(
        cls,
        runs: Iterable[Run],
        *,
        now: Callable[[], datetime] | None = None,
        seen: Callable[[], datetime] | None = None,
        is_constant: Callable[[Piece], bool] = lambda _: False,
    ) -> Self:
        """Make one for the minted values of recordings."""
        noted, changing = [str(one['value']) for run in runs for one in run.minted.values()], list[str]()
        for run in runs:
            told = [str(one['value']) for one in run.minted.values() if one['by'] == 'instructions']
            shapes = [piece.shape for value in told for piece in pieces(value)]
            changing += [value for value in told if any(shapes.count(piece.shape) > 1 for piece in pieces(value))]
        return cls(noted, now=now, seen=seen, changing=changing, is_constant=is_constant)

    def __bool__(self) -> bool:
        """Whether there is any minted value, so that looking for them may help."""
        return bool(self._keys)

    @property
    def bound(self) -> bool:
        """Whether any value stands for another."""
        return bool(self._to_recorded)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Recorded ids, tokens, numbers and epochs with the live ones that stand for them, as they were met."""
        return [texts for (old, new), texts in self._texts.items() if self._to_recorded.get(new) == old]

    def stands_for(self, recorded: str) -> bool:
        """Whether any value came in the place of a recorded one."""
        return any(piece.key in self._to_live for piece in pieces(recorded))

    def respelt(self, recorded: Json, live: Json) -> Json:
        """Put recorded values in the place of live ones, wherever the rest of a text is as recorded.

        Args:
            recorded: What was recorded.
            live: What came at the same place now.

        Returns:
            `live` itself if nothing was to be changed in it. Texts that differ otherwise stay as they are.
        """
        if not self._keys:
            return live
        if isinstance(recorded, dict) and isinstance(live, dict):
            found = {key: self.respelt(recorded[key], one) if key in recorded else one for key, one in live.items()}
            return live if all(found[key] is live[key] for key in live) else found
        if isinstance(recorded, list) and isinstance(live, list):
            items = [self.respelt(*pair) for pair in zip(recorded, live, strict=False)] + live[len(recorded) :]
            return live if all(map(is_, items, live)) else items
        if isinstance(recorded, str) and isinstance(live, str):
            return recorded if recorded != live and self._bind_text(recorded, live) else live
        if _is_number(recorded) and _is_number(live) and type(recorded) is type(live):
            return recorded if recorded != live and self._bind_text(repr(recorded), repr(live)) else live
        return live

    def tried(self, recorded: Json, live: Json) -> Json:
        """What `respelt` would give. Nothing is bound."""
        bound = self._to_recorded, self._to_live
        try:
            return self.respelt(recorded, live)
        finally:
            self._to_recorded, self._to_live = bound

    def to_recorded(self, value: Json) -> Json:
        """Write all bound values as they were recorded, wherever they stand: results of tools that run live.

        Returns:
            The value itself if no value stands for another.
        """
        return self._exchanged(value, 0) if self._to_recorded else value

    def as_noted(self, value: str) -> str:
        """Write a minted value by itself as it was recorded. It was noted, so a weekday is one of a reading."""
        return self._exchanged_text(value, 0, dated=True)

    def to_live(self, value: Json) -> Json:
        """Write all bound values as they are now: arguments for tools that run live."""
        return self._exchanged(value, 1)

    def _exchanged(self, value: Json, side: int) -> Json:
        if isinstance(value, dict):
            return {cast('str', self._exchanged(key, side)): self._exchanged(one, side) for key, one in value.items()}
        if isinstance(value, list):
            return [self._exchanged(one, side) for one in value]
        if isinstance(value, str):
            return self._exchanged_text(value, side)
        if _is_number(value):
            return _number_like(value, self._exchanged_text(repr(value), side))
        return value

    def _exchanged_text(self, text: str, side: int, *, dated: bool = False) -> str:
        known = (self._to_recorded, self._to_live)[side]
        if not known:
            return text
        found = [(piece, key) for piece in pieces(text) if (key := known.get(piece.key)) is not None]
        dated = dated or any(piece.kind in {'date', 'datetime'} for piece, _ in found)
        for piece, key in reversed(found):
            if dated or piece.kind != 'weekday':  # alone, a Friday may well be another one than today
                text = f'{text[: piece.start]}{_spelt_like(piece, key)}{text[piece.end :]}'
        return text

    def _bind_text(self, recorded: str, live: str) -> bool:
        """Whether a live text is the recorded one up to minted values; if so, these are bound."""
        spans = [piece for piece in pieces(recorded) if piece.key in self._keys]
        if not spans:
            return False
        found = _template(recorded, tuple(spans)).fullmatch(live)
        if found is None:
            return False
        pairs: list[tuple[Piece, Piece]] = []
        for old, text in zip(spans, found.groups(), strict=True):
            new = read_as(text, old.shape)
            if new is None:
                return False
            pairs.append((old, new))
        changed = [(old, new) for old, new in pairs if old.text != new.text]
        return _is_one_to_one(pairs) and all(self._is_minted(*pair) for pair in changed) and self._bind(changed)

    def _is_minted(self, old: Piece, new: Piece) -> bool:
        """Whether a value may have been minted now: a day was read off the clock, and an id is no constant."""
        if old.kind in LASTING and self._to_recorded.get(new.key) != old.key and self._is_constant(new):
            return False
        if self._now is None or new.kind not in _OF_A_DAY or old.key in self._changing:
            return True
        if is_plausible(new, now=self._now(), near_clock=True):
            return True
        return self._seen is not None and _is_of_one_day(old, new) and is_plausible(new, now=self._seen())

    def _bind(self, pairs: list[tuple[Piece, Piece]]) -> bool:
        """Bind all of them, or none."""
        to_recorded, to_live = self._to_recorded, self._to_live
        self._to_recorded, self._to_live = dict(to_recorded), dict(to_live)
        if _in_pace(pairs) and all(self._bind_pair(old, new) for old, new in pairs):
            return True
        self._to_recorded, self._to_live = to_recorded, to_live
        return False

    def _bind_pair(self, old: Piece, new: Piece) -> bool:
        if old.kind not in _RUNNING and (
            self._to_recorded.get(new.key, old.key) != old.key or self._to_live.get(old.key, new.key) != new.key
        ):
            return False
        self._to_recorded[new.key] = old.key
        self._to_live[old.key] = new.key
        if old.kind in LASTING:
            self._texts[old.key, new.key] = (old.text, new.text)
        return True


_RUNNING = frozenset({'datetime', 'time', 'epoch'})
"""Kinds whose readings go on while a run runs, at another pace live than in a replay."""

_OF_A_DAY = frozenset({'date', 'datetime', 'epoch', 'weekday'})
"""Kinds that tell a day, so that how far they are from now can be told. A time of day alone may be of any zone."""

_SLOWER = 60.0
"""Seconds by which a replay may be slower than the recording between two readings of one text."""


def _is_one_to_one(pairs: list[tuple[Piece, Piece]]) -> bool:
    """Whether each value of a text stands for one value of the other, those that are written alike included."""
    bound = {(old.key, new.key) for old, new in pairs if old.kind not in _RUNNING}
    return len(bound) == len({old for old, _ in bound}) == len({new for _, new in bound})


def _in_pace(pairs: list[tuple[Piece, Piece]]) -> bool:
    """Whether the readings of a clock, and the dates, in one text stand to each other as the recorded ones do."""
    readings = [(old, new) for old, new in pairs if old.kind in {'datetime', 'epoch'} or _is_whole_date(old)]
    for (old, new), (next_old, next_new) in combinations(readings, 2):
        here = (next_new.moment or 0.0) - (new.moment or 0.0)
        there = (next_old.moment or 0.0) - (old.moment or 0.0)
        if old.shape == next_old.shape and (here * there < 0 or abs(here) > abs(there) + _SLOWER):
            return False
    return True


def _is_of_one_day(old: Piece, new: Piece) -> bool:
    """Whether two instants are of one day: a clock may go on from where a test has set it, to the same each time."""
    return new.kind in _RUNNING and (old.moment or 0.0) // 86400 == (new.moment or 0.0) // 86400


def _is_whole_date(piece: Piece) -> bool:
    """Whether it is a date with its year: without that the day after 31 December comes before it."""
    return piece.kind == 'date' and _YEAR.search(piece.text) is not None


_YEAR = re.compile('20[0-9]{2}')


@lru_cache(maxsize=256)
def _template(recorded: str, spans: tuple[Piece, ...]) -> re.Pattern[str]:
    made: list[str] = []
    at = 0
    for piece in spans:
        made += [re.escape(recorded[at : piece.start]), f'({pattern_of(piece.shape)})']
        at = piece.end
    return re.compile(''.join([*made, re.escape(recorded[at:])]), re.DOTALL)


def _spelt_like(piece: Piece, key: str) -> str:
    """Spell the value of a key as another piece is spelt; only uuids and hexadecimal tokens have several spellings."""
    name = piece.shape.partition(' ')[0]
    if name.lower() == 'uuid':
        key = '-'.join((key[:8], key[8:12], key[12:16], key[16:20], key[20:]))
    return key.upper() if name in {'UUID', 'HEX'} else key


def _number_like(value: Json, text: str) -> Json:
    """The number that a text writes, if it is one of the type of another; that one if not."""
    if isinstance(value, float):
        return float(text)
    return int(text) if text.isdecimal() else value


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def respelt_definition(exchange: Exchange, recorded: Definition | None, live: Definition) -> Definition:
    """Put recorded values into instructions, settings, tools and outputs.

    Returns:
        `recorded` itself if the two are equal then, `live` itself if nothing was to be changed.
    """
    if recorded is None or recorded is live:
        return live
    fields = {name: exchange.respelt(_field(recorded, name), _field(live, name)) for name in _FIELDS}
    if all(value == _field(live, name) for name, value in fields.items()):
        return live
    found = definition_with(live, fields)
    return recorded if found == recorded else found


def definition_with(definition: Definition, fields: Mapping[str, Json]) -> Definition:
    """A definition with other fields, as JSON has them."""
    given: dict[str, Any] = {**fields, 'builtin_tools': tuple(cast('list[JsonObject]', fields['builtin_tools']))}
    return replace(definition, **given)


def definition_fields(definition: Definition) -> dict[str, Json]:
    """The fields of a definition in which values may be minted, as JSON, by name."""
    return {name: _field(definition, name) for name in _FIELDS}


_FIELDS = ('instructions', 'settings', 'tools', 'builtin_tools', 'output')


def _field(definition: Definition, name: str) -> Json:
    value = getattr(definition, name)
    return list(cast('tuple[Json, ...]', value)) if isinstance(value, tuple) else cast('Json', value)


def respelt_messages(exchange: Exchange, recorded: list[JsonObject], live: list[JsonObject]) -> list[JsonObject]:
    """Put recorded values into messages that are compared from their ends: the last one with the last one."""
    skipped = max(len(live) - len(recorded), 0)
    pairs = zip(recorded[max(len(recorded) - len(live), 0) :], live[skipped:], strict=True)
    return [*live[:skipped], *(cast('JsonObject', exchange.respelt(old, new)) for old, new in pairs)]
