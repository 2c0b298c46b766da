"""Values minted in a run: ids, readings of a clock and random tokens, recognised by how they are written.

`pieces` cuts out of a text all that might be one, by looks alone, so that a text gives the same pieces wherever it
stands. Whether a piece was minted while a run was recorded is another question: `is_plausible` answers it, once, with
the real time of the recording at hand. Everything here is pure.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import cache
from itertools import pairwise
from math import inf
from typing import Literal, TypeAlias

from .finder import may_hold

Kind: TypeAlias = Literal['uuid', 'datetime', 'date', 'time', 'weekday', 'epoch', 'token', 'number']
"""What a minted value is. Its name in a cassette is the kind and a number: `uuid-1`."""

KINDS: tuple[Kind, ...] = ('uuid', 'datetime', 'date', 'time', 'weekday', 'epoch', 'token', 'number')
"""All of them."""

LASTING: frozenset[Kind] = frozenset({'uuid', 'epoch', 'token', 'number'})
"""Those that a program may as well have as a constant, and be asked about when that is edited."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a text that looks minted."""

    kind: Kind
    start: int
    end: int
    text: str
    shape: str
    """How it is written; only a value of the same shape may stand for it."""
    key: str
    """Equal for all spellings of one value."""
    moment: float | None = None
    """Of what tells an instant: seconds; for two of one shape their difference counts."""


# -- looks


_MONTHS = (
    'January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November',
    'December',
)  # fmt: skip
_DAYS = ('Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday')
_MONTH = f'(?P<month>{"|".join((*_MONTHS, *(month[:3] for month in _MONTHS)))})'
_DAY = r'(?P<day>0?[1-9]|[12][0-9]|3[01])'
_TH = r'(?P<th>st|nd|rd|th)?'
_YEAR = r'(?P<year>20[0-9]{2})'
_MM = r'(?P<mm>0[1-9]|1[0-2])'
_DD = r'(?P<dd>0[1-9]|[12][0-9]|3[01])'
_HOUR = r'(?P<hour>[01]?[0-9]|2[0-3])'
_MINUTE = r'(?P<minute>[0-5][0-9])'
_SECOND = r'(?P<second>[0-5][0-9])'
_FRACTION = r'(?:[.,](?P<fraction>[0-9]{1,9}))?'
_ZONE = r'(?: ?(?P<zone>Z\b|UTC\b|GMT\b|[+-][0-9]{2}:?[0-9]{2}))?'
_HALF = r'(?: ?(?P<half>[AaPp][Mm]\b|[ap]\.m\.))?'
_CLOCK = f'{_HOUR}:{_MINUTE}(?::{_SECOND}{_FRACTION})?'

# Name, kind and pattern, the longer ones before those that they begin with.
_CLOCK_LOOKS: tuple[tuple[str, Kind, str], ...] = (
    ('iso', 'datetime', f'{_YEAR}-{_MM}-{_DD}[T ]{_CLOCK}{_ZONE}'),
    ('basic', 'datetime', f'{_YEAR}{_MM}{_DD}T(?P<hour>[01][0-9]|2[0-3]){_MINUTE}{_SECOND}(?P<zone>Z)?'),
    ('asctime', 'datetime', f'{_MONTH} {{1,2}}{_DAY} {_CLOCK} {_YEAR}'),
    ('y-m-d', 'date', f'{_YEAR}-{_MM}-{_DD}'),
    ('y/m/d', 'date', f'{_YEAR}/{_MM}/{_DD}'),
    ('d month y', 'date', f'{_DAY}{_TH}(?: of)?[ -]{_MONTH}\\.?,?[ -]{_YEAR}'),
    ('month d y', 'date', f'{_MONTH}\\.? {_DAY}{_TH},? {_YEAR}'),
    ('n/n/y', 'date', f'(?P<mm>[0-3]?[0-9])/{_DAY}/{_YEAR}'),
    ('d.m.y', 'date', f'{_DAY}\\.(?P<mm>0?[1-9]|1[0-2])\\.{_YEAR}'),
    ('d month', 'date', f'{_DAY}{_TH}(?: of)? {_MONTH}'),
    ('month d', 'date', f'{_MONTH} {_DAY}{_TH}'),
    ('ymd', 'date', f'{_YEAR}{_MM}{_DD}'),
    ('time', 'time', f'{_CLOCK}{_HALF}{_ZONE}'),
    ('weekday', 'weekday', f'(?P<weekday>{"|".join((*_DAYS, *(day[:3] for day in _DAYS)))})'),
    ('seconds', 'epoch', r'(?P<epoch>1[0-9]{9}(?:\.[0-9]{1,9})?)'),
    ('milliseconds', 'epoch', r'(?P<epoch>1[0-9]{12})'),
)
_UUID = r'[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}'
_BEFORE, _AFTER = r'(?<![0-9A-Za-z])(?<![0-9][.:])', r'(?![0-9A-Za-z])(?![.:][0-9])'
_NAMED = re.compile(r'\(\?P<\w+>')


def _unnamed(pattern: str) -> str:
    return _NAMED.sub('(?:', pattern)


_BY_NAME: Mapping[str, tuple[Kind, str]] = {name: (kind, pattern) for name, kind, pattern in _CLOCK_LOOKS}

_TOKEN_SETS: Mapping[str, str] = {
    'hex': '[0-9a-f]',
    'HEX': '[0-9A-F]',
    'base36': '[0-9a-z]',
    'BASE36': '[0-9A-Z]',
    'base62': '[0-9A-Za-z_-]',
    'digits': '[0-9]',
}
"""Characters of tokens by the name of their shape, the most special first."""

_LEAST = 12  # characters of a token; shorter ones are words and numbers too often


@cache
def _looks() -> re.Pattern[str]:
    """All looks in one pattern, made on first use."""
    clock = '|'.join(f'(?:{_unnamed(pattern)})' for _, _, pattern in _CLOCK_LOOKS)
    return re.compile(f'{_BEFORE}(?:(?P<uuid>{_UUID})|(?P<clock>{clock})){_AFTER}|(?P<word>[0-9A-Za-z_-]{{{_LEAST},}})')


@cache
def _clock_look(name: str) -> re.Pattern[str]:
    return re.compile(_BY_NAME[name][1])


@cache
def _hints() -> str:
    """A pattern that matches in each text that holds a piece, and in few others: most texts hold none."""
    word = '[0-9A-Za-z_-]'
    with_digit = '|'.join(f'{word}{{{before}}}[0-9]{word}{{{_LEAST - 1 - before}}}' for before in range(_LEAST))
    months = f'(?:{"|".join(month[:3] for month in _MONTHS)})[a-z]*'
    days = '|'.join(day[:3] for day in _DAYS)
    return '|'.join((
        with_digit,  # tokens, and all but a few uuids
        '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-',
        '20[0-9]{2}',
        '[0-9]:[0-9]',
        '1[0-9]{9}',
        f'[0-9](?:st|nd|rd|th)?(?: of)?[ -]{months}',
        rf'{months}\.? {{1,2}}[0-9]',
        f'(?:{days})(?:[a-z]*day)?(?:[^0-9A-Za-z]|$)',
    ))  # fmt: skip


def pieces(text: str) -> Iterator[Piece]:
    """Cut out what might have been minted, from left to right; pieces do not overlap.

    Args:
        text: Any text of a message.
    """
    if len(text) < _SHORTEST or not may_hold(text, _hints()):
        return
    at = 0
    while found := _looks().search(text, at):
        piece = _READ[found.lastgroup or ''](found[0], found.start())
        if piece is not None:
            yield piece
        # A word may hold other looks inside of it (`id-2026-11-20`): look again behind its first hyphen.
        at = piece.end if piece is not None else _next_start(found)


_SHORTEST = 3
_SEPARATOR = re.compile('[-_]')


def _next_start(found: re.Match[str]) -> int:
    rest = _SEPARATOR.search(found[0], 1) if found.lastgroup == 'word' else None
    return found.start() + rest.end() if rest else found.end()


def _uuid(text: str, start: int) -> Piece:
    shape = 'UUID' if text.upper() == text and text.lower() != text else 'uuid'
    return Piece('uuid', start, start + len(text), text, shape, text.replace('-', '').lower())


def clock_piece(text: str, start: int = 0) -> Piece | None:
    """Read a text that is clock text as a whole.

    Returns:
        None if it is none, or no possible time (`2026-02-31`).
    """
    for name, kind, _ in _CLOCK_LOOKS:
        found = _clock_look(name).fullmatch(text)
        if found is not None:
            given = found.groupdict()
            try:
                moment = _moment(name, given)
            except ValueError:
                continue
            return Piece(kind, start, start + len(text), text, _clock_shape(name, given), text, moment)
    return None


def _clock_shape(name: str, given: Mapping[str, str | None]) -> str:
    """Look, and which of its optional pieces are there; names of months and days long or short."""
    there = [part for part in ('second', 'th', 'half', 'zone') if given.get(part)]
    names = [
        'short' for part in ('month', 'weekday') if (named := given.get(part)) and len(named) == _SHORTEST
        and named != 'May'
    ]  # fmt: skip
    return ' '.join([name, *there, *names])


def _moment(name: str, given: Mapping[str, str | None]) -> float:
    """An instant as seconds; dates at midnight, times on one day, weekdays by their number.

    Raises:
        ValueError: If there is no such time.
    """
    if (epoch := given.get('epoch')) is not None:
        return float(epoch) / (1000 if name == 'milliseconds' else 1)
    if (weekday := given.get('weekday')) is not None:
        return next(index for index, day in enumerate(_DAYS) if day.startswith(weekday)) * 86400.0
    day = _numbers(given) if name == 'n/n/y' else _date(given) if name != 'time' else date(_NO_YEAR, 1, 1)
    return datetime.combine(day, _time(given)).replace(tzinfo=_zone(given.get('zone'))).timestamp()


def _date(given: Mapping[str, str | None]) -> date:
    named = given.get('month')
    month = next(i for i, name in enumerate(_MONTHS, 1) if name.startswith(named)) if named else int(given['mm'] or 0)
    return date(int(given.get('year') or _NO_YEAR), month, int(given.get('day') or given.get('dd') or 0))


def _numbers(given: Mapping[str, str | None]) -> date:
    """Read `11/20/2026` month first, and day first where that is the only way."""
    first, second, year = (int(given[part] or 0) for part in ('mm', 'day', 'year'))
    return date(year, first, second) if first <= _MONTHS_OF_YEAR else date(year, second, first)


_MONTHS_OF_YEAR = 12


def _time(given: Mapping[str, str | None]) -> time:
    if given.get('hour') is None:
        return time()
    hour, half = int(given['hour'] or 0), given.get('half')
    if half:
        if not 1 <= hour <= _NOON:
            raise ValueError(hour)
        hour = hour % _NOON + (_NOON if half[0] in 'pP' else 0)
    fraction = (given.get('fraction') or '0').ljust(6, '0')[:6]
    return time(hour, int(given['minute'] or 0), int(given.get('second') or 0), int(fraction))


_NOON = 12
_NO_YEAR = 2000
"""Year of what names none: it has a 29 February, and is long ago."""


def _zone(text: str | None) -> timezone:
    """The zone that is named; times without one are all read in the same one."""
    if text is None or text[0] not in '+-':
        return UTC
    digits = text[1:].replace(':', '')
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if text[0] == '-' else offset)


def _word(text: str, start: int) -> Piece | None:
    """A word as one token, else what stands before its first hyphen or underline."""
    first = _SEPARATOR.split(text, maxsplit=1)[0]
    return _token(text, start) or (_token(first, start) if _LEAST <= len(first) < len(text) else None)


def _token(text: str, start: int) -> Piece | None:
    for name, characters in _TOKEN_SETS.items():
        if re.fullmatch(f'{characters}+', text) and _LOOKS_RANDOM[name](text):
            kind: Kind = 'number' if name == 'digits' else 'uuid' if _is_uuid(name, text) else 'token'
            # Spellings of a uuid with and without hyphens are one value.
            key = text.lower() if name in {'hex', 'HEX'} else text
            return Piece(kind, start, start + len(text), text, f'{name} {len(text)}', key)
    return None


_UUID_DIGITS = re.compile('[0-9a-f]{12}[1-8][0-9a-f]{3}[89ab][0-9a-f]{15}')


def _is_uuid(name: str, text: str) -> bool:
    return name in {'hex', 'HEX'} and _UUID_DIGITS.fullmatch(text.lower()) is not None


def _mixed(text: str) -> bool:
    return not text.isdigit() and not text.isalpha()


def _changes(text: str) -> int:
    """How often a text goes over from one class of characters to another."""
    classes = ['0' if one.isdigit() else 'A' if one.isupper() else 'a' for one in text]
    return sum(one != other for one, other in pairwise(classes))


def _well_mixed(text: str) -> bool:
    """Whether capitals, small letters and digits alternate as they do in random text, and not as in names."""
    kinds = (any(map(str.isdigit, text)), any(map(str.isupper, text)), any(map(str.islower, text)))
    return all(kinds) and _changes(text) * 5 >= len(text) * 2


_LOOKS_RANDOM: Mapping[str, Callable[[str], bool]] = {
    'hex': _mixed,
    'HEX': _mixed,
    'base36': lambda text: _mixed(text) and _changes(text) > 1,
    'BASE36': lambda text: _mixed(text) and _changes(text) > 1,
    'base62': _well_mixed,
    'digits': str.isdigit,
}


_READ: Mapping[str, Callable[[str, int], Piece | None]] = {'uuid': _uuid, 'clock': clock_piece, 'word': _word}


# -- what was minted


def is_plausible(piece: Piece, *, now: datetime, near_clock: bool = False) -> bool:
    """Whether a piece was minted when a run was recorded, as far as looks can tell.

    Args:
        piece: A piece of what the model is sent.
        now: The real time, with a zone, in which people there are.
        near_clock: Whether other clock text stands in the same text; names of days count only there.
    """
    match piece.kind:
        case 'uuid':
            return True
        case 'token':
            return _NAME.fullmatch(piece.text) is None
        case 'number':
            return False
        case 'weekday':
            return near_clock and _days_apart(piece, now) <= 1
        case 'time':
            return _is_time_of(piece, now)
        case _:
            return _days_apart(piece, now) <= 1


_NAME = re.compile('[a-z]*(?:[_-]?[A-Z][a-z]+)*[_-]?[A-Z]?[0-9]+')
"""A name of code with a number behind it: `getUserByIdV2`. One random text of 12 characters in 300 looks the same."""


def _days_apart(piece: Piece, now: datetime) -> float:
    moment = piece.moment or 0.0
    if piece.kind == 'weekday':
        apart = (int(moment) // 86400 - now.weekday()) % 7
        return min(apart, 7 - apart)
    then = datetime.fromtimestamp(moment, UTC).date()
    if then.year == _NO_YEAR:
        years = (now.year - 1, now.year, now.year + 1)
        days = [then.replace(year=year) for year in years if _exists(then, year)]
        return min((abs((day - now.date()).days) for day in days), default=inf)  # a leap day, in none of them
    days = [then]
    if piece.shape == 'n/n/y' and then.day <= _MONTHS_OF_YEAR:  # may as well be the day first
        days.append(then.replace(month=then.day, day=then.month))
    return min(abs((day - now.astimezone(UTC).date()).days) for day in days)


def _exists(day: date, year: int) -> bool:
    return (day.month, day.day) != (2, 29) or (year % 4 == 0 and (year % 100 != 0 or year % 400 == 0))


def _is_time_of(piece: Piece, now: datetime) -> bool:
    """Whether a time of day is now: here or in UTC, or, where it has seconds, in any zone that there is."""
    moment = piece.moment or 0.0
    readings = [now.timetz(), now.astimezone(UTC).timetz()]
    apart = [(reading.hour * 3600 + reading.minute * 60 + reading.second - moment) % 86400 for reading in readings]
    if 'second' in piece.shape:
        apart = [value % 900 for value in apart]
        return any(min(value, 900 - value) <= _SLACK for value in apart)
    return any(min(value, 86400 - value) <= _SLACK for value in apart)


_SLACK = 150
"""Seconds between the reading of a clock and the request that tells it."""


def piece_of(value: str, kind: str) -> Piece | None:
    """Read a minted value that a cassette names.

    Args:
        value: The text.
        kind: What the cassette says it is.

    Returns:
        None if it is not written as such a value is.
    """
    found = list(pieces(value))
    if len(found) == 1 and found[0].text == value and found[0].kind == kind:
        return found[0]
    return None


@cache
def pattern_of(shape: str) -> str:
    """A regular expression, without groups, of all that is written like a value of this shape."""
    name, _, size = shape.partition(' ')
    if name.lower() == 'uuid':
        return _UUID
    if name in _TOKEN_SETS and size.isdecimal():
        return f'(?<![0-9A-Za-z]){_TOKEN_SETS[name]}{{{size}}}(?![0-9A-Za-z])'
    look = max((look for look in _BY_NAME if shape == look or shape.startswith(f'{look} ')), key=len)
    return f'{_BEFORE}(?:{_unnamed(_BY_NAME[look][1])}){_AFTER}'


def read_as(text: str, shape: str) -> Piece | None:
    """Read a text as a value of a shape, whatever else it may look like.

    Returns:
        None if it is written otherwise.
    """
    name, _, size = shape.partition(' ')
    if name.lower() == 'uuid':
        found = next(iter(pieces(text)), None)
        return found if found is not None and found.text == text and found.shape == shape else None
    if name in _TOKEN_SETS and size.isdecimal():
        key = text.lower() if name in {'hex', 'HEX'} else text
        return Piece('token', 0, len(text), text, shape, key)
    piece = clock_piece(text)
    return piece if piece is not None and piece.shape == shape else None
