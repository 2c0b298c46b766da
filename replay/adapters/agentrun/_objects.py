"""Objects that JSON does not bring back as they were: what has to be noted to make them again, and making them.

Standard types get a tag each, by path. What else a tool returns comes back through the annotation of its return, whose
name is the tag: it is compared, never imported. A recorded run is given the same restored objects as its replays, so
that both see equal ones, whatever could be restored.
"""

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from math import inf, isfinite, isnan, nan
from typing import Any, TypeVar, cast
from uuid import UUID

from pydantic import BaseModel, TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic_core import PydanticSerializationError, ValidationError, to_json

from replay.canon import Json, JsonObject, dumps

__all__ = ('NotFitting', 'canonical', 'is_named', 'name_of', 'restored', 'same', 'types_of')

_Item = TypeVar('_Item')


class NotFitting(ValueError):  # noqa: N818  # a finding, which the caller makes an error of
    """Recorded content that an annotation does not take."""


class _Sorted(set[_Item]):
    """A set whose items come in one order, whatever the hash seed."""

    def __iter__(self) -> Iterator[_Item]:
        return iter(sorted(super().__iter__(), key=_order))


class _FrozenSorted(frozenset[_Item]):
    """The same, frozen."""

    def __iter__(self) -> Iterator[_Item]:
        return iter(sorted(super().__iter__(), key=_order))


_SETS: Mapping[type, type] = {set: _Sorted, frozenset: _FrozenSorted, _Sorted: _Sorted, _FrozenSorted: _FrozenSorted}
_TAGS: Mapping[type, str] = {
    datetime: 'datetime',
    date: 'date',
    time: 'time',
    timedelta: 'timedelta',
    Decimal: 'decimal',
    UUID: 'uuid',
    bytes: 'bytes',
    tuple: 'tuple',
    _Sorted: 'set',
    _FrozenSorted: 'frozenset',
}
_READERS: Mapping[str, Callable[[Any], Any]] = {
    'datetime': datetime.fromisoformat,
    'date': date.fromisoformat,
    'time': time.fromisoformat,
    'timedelta': lambda text: TypeAdapter(timedelta).validate_python(text),
    'decimal': Decimal,
    'uuid': UUID,
    'bytes': base64.urlsafe_b64decode,
    'tuple': tuple,
    'set': _Sorted,
    'frozenset': _FrozenSorted,
    'nan': lambda _: nan,
    'inf': lambda _: inf,
    '-inf': lambda _: -inf,
}
_CONFIG: Any = {'ser_json_bytes': 'base64', 'val_json_bytes': 'base64'}
_PLAIN = frozenset({str, int, bool, type(None)})


def canonical(value: Any) -> Any:
    """The value with sets whose order does not depend on the hash seed, copied as far as it holds any."""
    kind = cast('type[Any]', type(value))
    if kind in _PLAIN or kind is float:
        return value
    if kind is dict:
        return {key: canonical(item) for key, item in cast('dict[Any, Any]', value).items()}
    if kind in {list, tuple}:
        return cast('Any', kind)(map(canonical, value))
    return _SETS[kind](map(canonical, value)) if kind in _SETS else value


def types_of(value: Any, content: Json, annotation: Any, *, path: str) -> JsonObject:
    """Say what has to be noted so that `restored` makes a value again.

    Args:
        value: The value, `canonical`.
        content: Its wire JSON.
        annotation: What the tool says that it returns; `Any` if that is unknown.
        path: Where the content stands.

    Returns:
        Tags by path; those of its standard types alone if no annotation restores the whole.
    """
    marks: JsonObject = {}
    whole = _mark(value, content, path, marks)
    if not whole and annotation is not Any:
        named: JsonObject = {path: name_of(annotation)}
        if named[path] not in _READERS and _holds(value, content, named, annotation, path):
            return named
    return marks if _dumped(restored(content, marks, Any, path=path)) == dumps(content) else {}


def restored(content: Json, types: Mapping[str, Json], annotation: Any, *, path: str) -> Any:
    """Make a value again.

    Args:
        content: Its wire JSON; copied.
        types: As `types_of` gave them.
        annotation: As for `types_of`.
        path: Where the content stands.

    Raises:
        NotFitting: If the content is none that the annotation or a tag takes.
    """
    name = types.get(path)
    if name is not None and name not in _READERS:
        return content if annotation is Any else _validated(content, annotation)
    try:
        return _made(content, types, path)
    except (ValueError, ArithmeticError, TypeError) as error:
        raise NotFitting(str(error)) from None


def name_of(annotation: Any) -> str:
    """The name of an annotation, without modules: `list[Weather]`."""
    text = annotation.__name__ if isinstance(annotation, type) and '[' not in repr(annotation) else repr(annotation)
    return re.sub(r'(?:[\w<>]+\.)+', '', text)


def is_named(tag: Json) -> bool:
    """Whether a tag is the name of an annotation."""
    return tag is not None and tag not in _READERS


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal and of equal types, deep down."""
    kind = cast('type[Any]', type(one))
    if kind is not type(other):
        return False
    if kind is float:
        return one == other or (isnan(one) and isnan(other))
    if kind is dict:
        return list(one) == list(other) and same(list(one.values()), list(other.values()))
    if kind in {list, tuple}:
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, BaseModel) or is_dataclass(one):
        return same(_fields(one), _fields(other))
    return bool(one == other)


def _fields(value: Any) -> dict[str, Any]:
    names: dict[str, Any] | None = getattr(value, '__dataclass_fields__', None)
    if names is None:
        return dict(cast('dict[str, Any]', vars(value)))
    return {name: getattr(value, name, None) for name in names}


def _mark(value: Any, content: Json, path: str, marks: JsonObject) -> bool:
    """Tag standard types; tells whether nothing else is among them."""
    kind = cast('type[Any]', type(value))
    if kind in _PLAIN:
        return True
    if kind is float:
        if not isfinite(value):
            marks[path] = 'nan' if isnan(value) else 'inf' if value > 0 else '-inf'
        return True
    if kind is dict:
        fields = cast('JsonObject', content)
        found = [type(key) is str and _mark(item, fields[key], _below(path, key), marks) for key, item in value.items()]
        return all(found)
    tag = _TAGS.get(kind)
    if kind is not list and tag is None:
        return False
    if tag is not None:
        marks[path] = tag
    if not isinstance(content, list):
        return True
    found = [_mark(item, content[index], _below(path, str(index)), marks) for index, item in enumerate(value)]
    return all(found)  # each is to be marked


def _made(content: Json, types: Mapping[str, Json], path: str) -> Any:
    value: Any = content
    if isinstance(content, dict):
        value = {key: _made(item, types, _below(path, key)) for key, item in content.items()}
    elif isinstance(content, list):
        value = [_made(item, types, _below(path, str(index))) for index, item in enumerate(content)]
    name = types.get(path)
    return value if name is None else _READERS[cast('str', name)](value)


def _below(path: str, key: str) -> str:
    return f'{path}/{key.replace("~", "~0").replace("/", "~1")}'


def _holds(value: Any, content: Json, types: JsonObject, annotation: Any, path: str) -> bool:
    """Whether a value comes back through an annotation, and dumps as it did."""
    with suppress(NotFitting):
        found = restored(content, types, annotation, path=path)
        return same(value, found) and not _has_set(found) and _dumped(found) == dumps(content)
    return False


def _validated(content: Json, annotation: Any) -> Any:
    try:
        return _adapter(annotation).validate_json(dumps(content))
    except TypeError:  # an annotation without a hash
        raise NotFitting(f'{annotation!r} cannot be told from others') from None
    except (ValidationError, PydanticSchemaGenerationError, PydanticUserError, NameError) as error:
        raise NotFitting(str(error)) from None


@cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(annotation, config=_CONFIG)
    except PydanticUserError:  # a model has a configuration of its own
        return TypeAdapter(annotation)


def _has_set(value: Any) -> bool:
    """Whether a value holds a set, whose order in JSON would depend on the hash seed."""
    if isinstance(value, set | frozenset):
        return len(cast('set[Any]', value)) > 1
    if isinstance(value, dict):
        return any(map(_has_set, cast('dict[Any, Any]', value).values()))
    if isinstance(value, list | tuple):
        return any(map(_has_set, cast('list[Any]', value)))
    return (isinstance(value, BaseModel) or is_dataclass(value)) and _has_set(_fields(value))


def _dumped(value: Any) -> bytes | None:
    with suppress(PydanticSerializationError):
        return to_json(value, bytes_mode='base64', inf_nan_mode='null')
    return None


def _order(item: Any) -> bytes:
    return to_json(item, bytes_mode='base64', fallback=repr)
