"""Canonical JSON: the one door through which this package turns data into bytes and back.

Writing is compact, keeps the order of keys and spells numbers as pydantic does: these are the bytes of
`all_messages_json()`. Reading is strict. The parser of pydantic-core stops at a depth of 200 before anything large is
built and refuses NaN, control characters, lone surrogates and text after the end. It tells nothing of keys that are
written twice; where counting them leaves a doubt, the parser of the standard library reads the text again, which does.
"""

import json  # noqa: TID251  # this module is the door
import re
from hashlib import sha256
from math import isinf
from typing import Any, TypeAlias, cast

import pydantic_core

Json: TypeAlias = 'dict[str, Json] | list[Json] | str | int | float | bool | None'
"""Anything that JSON can hold. Objects keep the order of their keys."""

JsonObject: TypeAlias = dict[str, Json]
"""A JSON object."""

MAX_DEPTH = 200
"""Levels of arrays and objects inside each other that are read."""

_APART = re.compile(r'"[ \t\r\n]+:')
"""A key that is apart from its colon."""

_PLACE = re.compile(r' at line (\d+) column (\d+)$')


class CanonError(ValueError):
    """A text that is no strict JSON.

    Args:
        cause: `empty`, `truncated`, `binary`, `syntax`, `number`, `duplicate-key` or `too-deep`.
        reason: What is wrong, in words.
        line: Line of the text, from 1, if it is known.
        column: Column of the text, from 1, if it is known.
    """

    def __init__(self, cause: str, reason: str, *, line: int | None = None, column: int | None = None) -> None:
        place = '' if line is None else f' at line {line} column {column}'
        super().__init__(f'{reason}{place}')
        self.cause = cause
        self.reason = reason
        self.line = line
        self.column = column


def dumps(value: Json) -> bytes:
    """Write a value as canonical JSON: compact UTF-8, keys in their order, numbers as pydantic spells them.

    Raises:
        CanonError: `syntax`, if a string holds half of a surrogate pair, which no UTF-8 can hold.
    """
    try:
        return pydantic_core.to_json(value)
    except pydantic_core.PydanticSerializationError as error:
        raise CanonError('syntax', f'cannot be written as JSON: {error}') from None


def digest(value: Json) -> str:
    """SHA-256 of the canonical bytes, as 64 hex digits."""
    return sha256(dumps(value)).hexdigest()


def scalar(value: str | float | None) -> str:
    """Write one string, number, truth value or null, spelled as in `dumps`."""
    if isinstance(value, str):
        return json.encoder.encode_basestring(value)
    if value is None:
        return 'null'
    if isinstance(value, bool):
        return 'true' if value else 'false'
    return str(value) if isinstance(value, int) else pydantic_core.to_json(value).decode()


def spaced(value: Json) -> str:
    """Write a value on one line with a space after each comma and colon, otherwise as `dumps` does."""
    text = _spaced(value)
    return _spaced_with_exponents(value) if _EXPONENT.search(text) else text


_spaced = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(', ', ': ')).encode
_EXPONENT = re.compile(r'[0-9]e[+-]?[0-9]|NaN|Infinity')
"""What may be a number that this encoder spells otherwise than `dumps`, or as well a piece of a string."""


def _spaced_with_exponents(value: Json) -> str:
    if isinstance(value, dict):
        return f'{{{", ".join([f"{scalar(key)}: {_spaced_with_exponents(item)}" for key, item in value.items()])}}}'
    if isinstance(value, list):
        return f'[{", ".join([_spaced_with_exponents(item) for item in value])}]'
    return scalar(value)


def loads(data: str | bytes) -> Json:
    """Read strict JSON.

    Args:
        data: The whole text; bytes are UTF-8 without a byte order mark.

    Raises:
        CanonError: If it is empty, cut off, no UTF-8, no JSON, nested deeper than `MAX_DEPTH`, holds a key twice in
            one object, NaN, an infinity, or a number that is too large for a float.
    """
    text = _decode(data) if isinstance(data, bytes) else data
    if not text.strip():
        raise CanonError('empty', 'no text')
    try:
        value = pydantic_core.from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise _explained(str(error)) from None
    if not _says_all(text, value):
        _check_again(text)
    return cast('Json', value)


def own(data: bytes) -> Json:
    """Read JSON that a library wrote a moment ago in this process, once and without the checks that files need."""
    return cast('Json', pydantic_core.from_json(data))


def _says_all(text: str, value: object) -> bool:
    """Whether what was read from a text surely is all of it: it has as many keys, and no number became infinite.

    Written anew, each text of it has as many quotes that a colon follows as before, each key has one, and what was
    lost with a key that stood twice lacks them. That holds where no key is apart from its colon, and no character is
    written by its number; other texts are read again.
    """
    if '\\u' in text or _APART.search(text):
        return False
    written = pydantic_core.to_json(value)
    return text.count('":') == written.count(b'":') and b'Infinity' not in written


def _check_again(text: str) -> None:
    """Look for keys that stand twice and for numbers that became infinite: the first parser tells of neither.

    The second parser builds nothing: it hands pairs and floats to two lists, without a call into Python.
    """
    objects: list[list[tuple[str, Any]]] = []
    floats: list[str] = []
    json.loads(text, object_pairs_hook=objects.append, parse_float=floats.append)
    if sum(map(len, objects)) != sum(map(len, map(dict, objects))):
        keys = next(keys for pairs in objects if len(set(keys := [key for key, _ in pairs])) != len(keys))
        twice = next(key for index, key in enumerate(keys) if key in keys[:index])
        raise CanonError('duplicate-key', f'the key {scalar(twice)} stands twice in one object')
    if any(map(isinf, map(float, floats))):
        raise CanonError('number', 'a number too large for a float')


def _decode(data: bytes) -> str:
    try:
        return data.decode('utf-8')
    except UnicodeDecodeError as error:
        raise CanonError('binary', f'no UTF-8 text: byte 0x{data[error.start]:02x} at offset {error.start}') from None


def _explained(reason: str) -> CanonError:
    """Tell the kinds of failure of the first parser apart."""
    found = _PLACE.search(reason)
    line, column = (int(found[1]), int(found[2])) if found else (None, None)
    words = _PLACE.sub('', reason)
    if 'recursion limit' in words:
        return CanonError('too-deep', f'nested deeper than {MAX_DEPTH} levels', line=line, column=column)
    if words.startswith('EOF'):
        return CanonError('truncated', 'the text stops in the middle', line=line, column=column)
    cause = 'number' if 'number' in words else 'syntax'
    return CanonError(cause, words, line=line, column=column)
