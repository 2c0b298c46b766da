"""Puts stand-ins in the place of secrets: `<secret:openai-key>`, `<secret:env STRIPE_KEY>`, `<secret:password>`.

Pure: text and JSON go in, the same comes out without its secrets. A stand-in is named by the variable, field or format
that the secret was found by, never by its value, and it bears no number. So a run that meets another key tomorrow is
written in the same way; a number would follow the order in which secrets appear, which is another one in a replay,
where what a tool returned is a stand-in already, and among runs that go at the same time. Stand-ins are left alone, so
that redacting twice is redacting once.
"""

import re
from base64 import b64encode, urlsafe_b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import is_
from typing import NamedTuple, TypeAlias, cast
from urllib.parse import quote, quote_plus

from .canon import Json, JsonObject, dumps, own, scalar
from .errors import ReplayError
from .finder import may_hold
from .redact_rules import COMMON, FIELDS, FORMATS, LOOSE_FIELDS, VARIABLES, Rule

__all__ = ('Redactor', 'UserRule', 'parse_rules')

UserRule: TypeAlias = tuple[str, str] | Callable[[str], str]
"""A name and a regular expression (its group `secret`, if it has one, is what is replaced), or a function of text."""

STAND_IN = re.compile(r'<secret:[^<>"\\\n]{1,100}>')
_NAME = re.compile(r'[A-Za-z0-9_.-]{1,60}')
_FILE_OF_STAND_IN = b64encode(b'<secret:').decode()[:10]
_SHORTEST = 8
"""Characters that the value of a variable has at least: shorter ones are words by chance."""

_FIELD_ENDS = (
    'authorization', 'key', 'secret', 'password', 'passwd', 'passphrase', 'token', 'cookie', 'auth', 'pwd',
    'credential', 'credentials',
)  # fmt: skip
_PAIR = re.compile(r'"([A-Za-z0-9_.-]{2,60})"(\s*:\s*)"((?:[^"\\]|\\.)*)"')
_INNER_PAIR = re.compile(r'(\\+)"([A-Za-z0-9_.-]{2,60})\1"(\s*:\s*)\1"([^"\\]*)\1"')
_ANCHORED: tuple[tuple[str, re.Pattern[str]], ...] = (
    *((anchor, rule.pattern) for rule in FORMATS for anchor in rule.anchors),
    *((f'{end}{mark}', pair) for end in _FIELD_ENDS for mark, pair in (('"', _PAIR), ('\\"', _INNER_PAIR))),
)


class _Value(NamedTuple):
    """A value that is a secret as it is."""

    spellings: tuple[str, ...]
    stand_in: str


class Redactor:
    """Redacts text and JSON.

    Args:
        environ: Environment variables; values of those that look like secrets by their name are redacted.
        rules: Rules of the user, applied after the values of variables and before the formats.

    Raises:
        ReplayError: If a rule is none.
    """

    def __init__(self, environ: Mapping[str, str] | None = None, rules: Iterable[UserRule] = ()) -> None:
        given = list(rules)
        patterns = tuple(_checked(rule) for rule in given if not callable(rule))
        self._functions = tuple(rule for rule in given if callable(rule))
        self._rules = (*patterns, *FORMATS)
        self._any = bool(self._functions or patterns)
        self._known: dict[str, str] = {}
        self._values: tuple[_Value, ...] = ()
        self._spellings: tuple[str, ...] = ()
        self._last: tuple[bytes, bytes] = (b'', b'')
        self.learn(environ or {})

    @property
    def known(self) -> int:
        """How many values of variables are known; it only grows."""
        return len(self._known)

    def learn(self, environ: Mapping[str, str]) -> None:
        """Take on the values of environment variables, beside those that are known: a test may set and unset them."""
        names = sorted(filter(_is_secret_variable, environ), reverse=True)
        fresh = {value: name for name in names if _is_value(value := environ[name])}
        if fresh.keys() <= self._known.keys():
            return
        self._known = {**fresh, **self._known}
        longest_first = sorted(self._known, key=lambda value: (-len(value), value))
        self._values = tuple(
            _Value(_spellings(value), _stand_in(f'env {self._known[value]}')) for value in longest_first
        )
        self._spellings = tuple(spelling for value in self._values for spelling in value.spellings)
        self._last = (b'', b'')

    def text(self, text: str) -> str:
        """Redact a text.

        Returns:
            The text itself if it holds no secret.
        """
        if not self._may_hold(text):
            return text
        redacted = self._plain(text)
        for function in self._functions:
            redacted = _applied(function, redacted)
        return text if redacted == text else redacted

    def unfinished(self, text: str) -> tuple[int, str] | None:
        """Find the value of a variable that a text ends inside of, because more was to come.

        Returns:
            Where it begins, and its stand-in; None if there is none of which at least four characters are there.
        """
        for value in self._values:
            for spelling in value.spellings:
                for length in range(min(len(spelling) - 1, len(text)), 3, -1):
                    if text.endswith(spelling[:length]):
                        return len(text) - length, value.stand_in
        return None

    def json(self, value: Json) -> Json:
        """Redact all strings of a JSON value, and the keys of its objects.

        Returns:
            The value itself if it holds no secret; nothing is changed in place.
        """
        if isinstance(value, str):
            return self.text(value)
        if not isinstance(value, dict | list) or not self._may_hold(dumps(value).decode()):
            return value
        return self._walked(value)

    def clears(self, value: object) -> bool:
        """Whether a look at all of a value, a dataclass or JSON, shows that it holds no secret."""
        return not self._may_hold(dumps(cast('Json', value)).decode())

    def clears_text(self, text: str) -> bool:
        """Whether a text surely holds no secret: nothing that one begins with, however it goes on."""
        return not (self._any or may_hold(text, _ANCHORS) or any(spelling in text for spelling in self._spellings))

    def data(self, data: bytes) -> bytes:
        """Redact JSON as canonical bytes.

        Returns:
            The bytes themselves if they hold no secret.
        """
        if data is self._last[0]:
            return self._last[1]
        redacted = data
        if self._may_hold(data.decode()):
            value = own(data)
            found = self._walked(value)
            redacted = data if found is value else dumps(found)
        self._last = (data, redacted)
        return redacted

    def fields(self, value: Json, path: str) -> Iterator[tuple[str, str]]:
        """Find what would be redacted.

        Yields:
            Path of each place, and the stand-in that would stand there.
        """
        if self.json(value) is not value:
            yield from self._found(value, path)

    def lines(self, text: str) -> Iterator[tuple[int, str]]:
        """Find what formats and variables would redact in a written file.

        Yields:
            Number of each line, from 1, and the stand-in that would stand there.
        """
        if self._may_hold(text):
            for number, line in enumerate(text.split('\n'), 1):
                redacted = self._plain(line)
                if redacted != line:
                    yield number, named(redacted, line)

    # -- private

    def _may_hold(self, text: str) -> bool:
        """Look for secrets without taking a text apart, which is fast; JSON will do as well as what it stands for."""
        if self._any:
            return True
        if may_hold(text, _ANCHORS):
            lower = text.lower()
            for anchor, pattern in _ANCHORED:
                if anchor in lower and pattern.search(text):
                    return True
        return any(spelling in text for spelling in self._spellings)

    def _plain(self, text: str) -> str:
        """Redact by fields of JSON in the text, variables, rules and formats, in this order."""
        text = _PAIR.sub(_pair_redacted, text) if '"' in text else text
        text = _INNER_PAIR.sub(_inner_pair_redacted, text) if '\\"' in text else text
        for value in self._values:
            for spelling in value.spellings:
                if spelling in text:
                    text = _outside(text, lambda piece, spelled=spelling, by=value: piece.replace(spelled, by.stand_in))
        lower = text.lower()
        for rule in self._rules:
            if not rule.anchors or any(anchor in lower for anchor in rule.anchors):
                text = _outside(text, lambda piece, rule=rule: rule.pattern.sub(_replacer(rule), piece))
        return text

    def _walked(self, value: Json, field: str = '') -> Json:
        """Redact below a field; what does not change is kept as the same object."""
        if isinstance(value, str):
            return _stand_in(_label(field)) if field and _is_secret(field, value) else self.text(value)
        if isinstance(value, list):
            items = [self._walked(item, field) for item in value]
            return value if all(map(is_, items, value)) else items
        if isinstance(value, dict):
            return self._walked_object(value)
        return value

    def _walked_object(self, value: JsonObject) -> JsonObject:
        found: JsonObject = {}
        data = 'data' if value.get('kind') == 'binary' else None
        for key, item in value.items():
            name = new = self.text(key)
            ordinal = 1
            while name in found:  # two keys of an object that are secrets of one kind stay two
                ordinal += 1
                name = f'{new}#{ordinal}'
            found[name] = self._file(item) if key == data else self._walked(item, key)
        same = found.keys() == value.keys() and all(map(is_, found.values(), value.values()))
        return value if same else found

    def _file(self, data: Json) -> Json:
        """Redact a file in base64: one that holds a secret becomes one that holds the stand-in alone.

        With a stand-in in the middle, it would be no base64 any more, and nothing could read it.
        """
        redacted = self.text(data) if isinstance(data, str) else data
        return (
            data
            if redacted == data
            else urlsafe_b64encode(named(cast('str', redacted), cast('str', data)).encode()).decode()
        )

    def _found(self, value: Json, path: str, field: str = '') -> Iterator[tuple[str, str]]:
        if isinstance(value, dict):
            for key, item in value.items():
                redacted = self.text(key)
                if redacted != key:
                    yield f'a key of {path}', named(redacted, key)
                yield from self._found(item, f'{path}.{redacted}', key)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                yield from self._found(item, f'{path}[{index}]', field)
        elif isinstance(value, str):
            redacted = cast('str', self._walked(value, field))
            if redacted != value:
                yield path, named(redacted, value)


def parse_rules(lines: Sequence[str]) -> list[UserRule]:
    """Read rules from lines `NAME = regular expression`; empty lines are left out.

    Raises:
        ReplayError: If a line is none.
    """
    rules: list[UserRule] = []
    for line in filter(None, map(str.strip, lines)):
        name, equals, pattern = line.partition('=')
        if not equals:
            raise _refused(f'{line!r} has no "="', line)
        rules.append((name.strip(), pattern.strip()))
        _checked(rules[-1])
    return rules


def has_stand_in(text: str) -> bool:
    """Whether a text holds a stand-in."""
    return text.startswith(_FILE_OF_STAND_IN) or ('<secret:' in text and STAND_IN.search(text) is not None)


def named(redacted: str, text: str) -> str:
    """Name what was redacted: the stand-ins that a text had not before, in order of appearance."""
    before, after = Counter(STAND_IN.findall(text)), Counter(STAND_IN.findall(redacted))
    found = [stand_in for stand_in, count in after.items() if count > before[stand_in]]
    return ', '.join(found) or 'what a rule of yours replaces'


# -- helpers


_ANCHORS = '(?i:{})'.format(
    '|'.join(dict.fromkeys(re.sub(r'([^a-z0-9_"/:= ~-])', r'\\\1', anchor) for anchor, _ in _ANCHORED))
)
"""Matches a text that holds any of the anchors."""


def _stand_in(name: str) -> str:
    return f'<secret:{name}>'


def _replacer(rule: Rule) -> Callable[[re.Match[str]], str]:
    group: int | str = 'secret' if 'secret' in rule.pattern.groupindex else 0
    stand_in = _stand_in(rule.name)

    def replaced(found: re.Match[str]) -> str:
        begin, end = found.start(group) - found.start(), found.end(group) - found.start()
        return found[0] if begin == end else f'{found[0][:begin]}{stand_in}{found[0][end:]}'

    return replaced


def _outside(text: str, redact: Callable[[str], str]) -> str:
    """Redact what stands between stand-ins."""
    if '<secret:' not in text:
        return redact(text)
    kept = [*STAND_IN.findall(text), '']
    return ''.join(redact(piece) + stand_in for piece, stand_in in zip(STAND_IN.split(text), kept, strict=True))


def _pair_redacted(found: re.Match[str]) -> str:
    key, between, value = found.groups()
    return f'"{key}"{between}"{_stand_in(_label(key))}"' if _is_secret(key, value) else found[0]


def _inner_pair_redacted(found: re.Match[str]) -> str:
    escape, key, between, value = found.groups()
    if not _is_secret(key, value):
        return found[0]
    return f'{escape}"{key}{escape}"{between}{escape}"{_stand_in(_label(key))}{escape}"'


def _label(field: str) -> str:
    """The field as a stand-in names it, in one spelling."""
    return field.lower().replace('-', '_').replace('.', '_')


def _is_secret(field: str, value: str) -> bool:
    """Whether a text is a secret because of the name of its field."""
    name = _label(field)
    if len(value) < 4 or value.lower() in COMMON or STAND_IN.fullmatch(value):
        return False
    if FIELDS.search(name):
        return True
    return LOOSE_FIELDS.search(name) is not None and _looks_random(value)


def _looks_random(value: str) -> bool:
    return (
        len(value) >= 12
        and not any(map(str.isspace, value))
        and any(map(str.isdigit, value))
        and any(map(str.isalpha, value))
        and '<secret:' not in value
    )


@lru_cache(maxsize=1024)
def _is_secret_variable(name: str) -> bool:
    return VARIABLES.search(name.upper()) is not None


def _is_value(value: str) -> bool:
    return len(value.strip()) >= _SHORTEST and value.strip().lower() not in COMMON and len(set(value.strip())) > 3


def _spellings(value: str) -> tuple[str, ...]:
    """A value as text, in JSON, in JSON inside JSON, in a URL, in a form, and in base64 wherever it stands there."""
    value = value.strip()
    once = scalar(value)[1:-1]
    urls = (quote(value), quote(value, safe=''), quote_plus(value))
    return tuple(dict.fromkeys((value, once, scalar(once)[1:-1], *urls, *_in_base64(value))))


def _in_base64(value: str) -> Iterator[str]:
    """What of a value's base64 is the same whatever stands before and after it, in both alphabets."""
    data = value.encode('utf-8', 'surrogatepass')
    for before in range(3):
        encoded = b64encode(bytes(before) + data).decode()
        told = encoded[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
        yield told
        yield told.translate(_URL_SAFE)


_URL_SAFE = str.maketrans('+/', '-_')


def _applied(function: Callable[[str], str], text: str) -> str:
    redacted = cast('object', function(text))
    if not isinstance(redacted, str):
        raise _refused(f'{function!r} gave {type(redacted).__name__}', 'a function that does not return text')
    return redacted


def _checked(rule: object) -> Rule:
    """Compile a rule of the user."""
    try:
        name, pattern = cast('tuple[str, str]', rule)
        compiled = re.compile(pattern)
    except re.error as error:
        raise _refused(f'{error.pattern!r} is no regular expression: {error}', repr(rule)) from None
    except (TypeError, ValueError):
        raise _refused(f'{rule!r} is no rule', repr(rule)) from None
    if not _NAME.fullmatch(name):
        raise _refused(f'{name!r} cannot name a rule', name)
    if compiled.search(''):
        raise _refused(f'the expression of rule {name!r} matches nothing at all, so it would match everywhere', pattern)
    return Rule(name, compiled, ())


def _refused(headline: str, got: str) -> ReplayError:
    return ReplayError(
        f'redact: {headline}',
        expected='NAME = REGEX, of letters, digits, "_", "." and "-" and a regular expression; or a function of text',
        got=got,
        next=('write it as, for instance: ticket = TICKET-[0-9]{6}',),
    )
