"""Objects that JSON does not bring back as they were: what has to be noted to make them again, and making them.

Standard types get a tag each, by path. What else a tool returns comes back through the annotation of its return, whose
name is the tag: it is compared, never imported. A recorded run is given the same restored objects as its replays, so
that both see equal ones, whatever could be restored.
"""

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import copy
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
    """A set whose items come in one order, whatever the hash seed; shown as a plain one."""

    def __iter__(self) -> Iterator[_Item]:
        return iter(sorted(super().__iter__(), key=_order))

    def __repr__(self) -> str:
        return f'{{{", ".join(map(repr, self))}}}'


class _FrozenSorted(frozenset[_Item]):
    """The same, frozen."""

    def __iter__(self) -> Iterator[_Item]:
        return iter(sorted(super().__iter__(), key=_order))

    def __repr__(self) -> str:
        return f'frozenset({{{", ".join(map(repr, self))}}})'


_STEADY = frozenset({int, float, bool, Decimal, UUID, timedelta})
"""Types whose hashes are the same in every process. A set of others comes in another order in each."""


def _as_set(items: Iterable[Any]) -> set[Any]:
    """A plain set where it comes in the order wanted by itself, in every process; else one that sorts."""
    found = sorted(items, key=_order)
    plain = set(found)
    return plain if _is_steady(found) and list(map(id, plain)) == list(map(id, found)) else _Sorted(found)


def _as_frozenset(items: Iterable[Any]) -> frozenset[Any]:
    found = sorted(items, key=_order)
    plain = frozenset(found)
    return plain if _is_steady(found) and list(map(id, plain)) == list(map(id, found)) else _FrozenSorted(found)


def _is_steady(items: Sequence[Any]) -> bool:
    return len(items) <= 1 or all(type(item) in _STEADY and item == item for item in items)  # noqa: PLR0124, no nan


_SETS: Mapping[type, Callable[[Iterable[Any]], Any]] = {
    set: _as_set,
    frozenset: _as_frozenset,
    _Sorted: _as_set,
    _FrozenSorted: _as_frozenset,
}
_TAGS: Mapping[type, str] = {
    datetime: 'datetime',
    date: 'date',
    time: 'time',
    timedelta: 'timedelta',
    Decimal: 'decimal',
    UUID: 'uuid',
    bytes: 'bytes',
    tuple: 'tuple',
    set: 'set',
    frozenset: 'frozenset',
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
    'set': _as_set,
    'frozenset': _as_frozenset,
    'nan': lambda _: nan,
    'inf': lambda _: inf,
    '-inf': lambda _: -inf,
}
_CONFIG: Any = {'ser_json_bytes': 'base64', 'val_json_bytes': 'base64'}
_PLAIN = frozenset({str, int, bool, type(None)})


def canonical(value: Any) -> Any:
    """The value with sets whose order does not depend on the hash seed, copied as far as it holds any.

    Those inside of models and dataclasses included; other objects stay as they are.
    """
    kind = cast('type[Any]', type(value))
    if kind in _PLAIN or kind is float:
        return value
    if kind is dict:
        return {key: canonical(item) for key, item in cast('dict[Any, Any]', value).items()}
    if kind in {list, tuple}:
        return cast('Any', kind)(map(canonical, value))
    if kind in _SETS:
        return _SETS[kind](map(canonical, value))
    return _with_canonical_fields(value) if isinstance(value, BaseModel) or is_dataclass(value) else value


def _with_canonical_fields(value: Any) -> Any:
    fields = {name: (item, canonical(item)) for name, item in _fields(value).items()}
    changed = {name: now for name, (was, now) in fields.items() if not _is_alike(was, now)}
    if not changed or isinstance(value, type):
        return value
    found = copy(value)
    for name, item in changed.items():
        object.__setattr__(found, name, item)
    return found


def _is_alike(was: Any, now: Any) -> bool:
    """Whether a value had nothing to be changed: no set is in it."""
    return was is now or not _has_set(was)


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
    if kind in _PLAIN:
        return bool(one == other)
    if kind is float:
        return one == other or (isnan(one) and isnan(other))
    if kind is dict:
        return list(one) == list(other) and all(map(same, one.values(), other.values()))
    if kind in {list, tuple}:
        return len(one) == len(other) and all(map(same, one, other))
    if is_dataclass(one):
        names = one.__dataclass_fields__
        return all(same(getattr(one, name, None), getattr(other, name, None)) for name in names)
    if isinstance(one, BaseModel):
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
        return same(value, found) and _dumped(found) == dumps(content)
    return False


def _validated(content: Json, annotation: Any) -> Any:
    try:
        return canonical(_adapter(annotation).validate_json(dumps(content)))
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
        return len(cast('set[Any]', value)) > 1 or any(map(_has_set, cast('set[Any]', value)))
    if isinstance(value, dict):
        return any(map(_has_set, cast('dict[Any, Any]', value).values()))
    if isinstance(value, list | tuple):
        return any(map(_has_set, cast('list[Any]', value)))
    return (isinstance(value, BaseModel) or is_dataclass(value)) and _has_set(_fields(value))


def _dumped(value: Any) -> bytes | None:
    with suppress(PydanticSerializationError):
        return to_json(value, bytes_mode='base64', inf_nan_mode='null')
    return None


def _order(item: Any) -> tuple[float, bytes]:
    """Numbers by size, all else behind them by its JSON."""
    number = item if isinstance(item, int | float) and isfinite(item) else inf
    return number, to_json(item, bytes_mode='base64', fallback=repr)
