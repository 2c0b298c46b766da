"""Errors as outcomes: written down so that the same class can be raised again.

A name in a cassette is compared with what is loaded, and never imported.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from inspect import signature
from typing import Any, cast

from pydantic_core import PydanticSerializationError, to_jsonable_python

from replay.canon import Json, JsonObject
from replay.cassette import Raised

_ROOTS = (Exception, BaseException, object)
_UNWRITABLE = (PydanticSerializationError, ValueError)
"""What is raised for what JSON cannot hold; bytes that are no text are told by a `ValueError`."""
_REST = '__dict__'
"""Key of the attributes that no constructor sets, among the arguments of an error."""
_EXTENSIBLE = 1 << 10
"""The flag of classes that may have subclasses, CPython's `Py_TPFLAGS_BASETYPE`."""


def raised(error: BaseException) -> Raised:
    """Write an error down.

    Its arguments are those of its constructor that it keeps as attributes of the same name and JSON can hold; under
    `__dict__` stand its attributes if making it again with these arguments would not bring them back.
    """
    kind = type(error)
    written = Raised(type=_name(kind), bases=_bases(kind), message=str(error), args=_arguments(error))
    attributes = _attributes(error)
    again = _constructed(kind, written)
    if attributes and (again is None or _attributes(again) != attributes):
        return replace(written, args={**written.args, _REST: attributes})
    return written


def rebuilt(raised: Raised) -> Exception:
    """Make an error again that was written down.

    Returns:
        An error of the same class with the same text and attributes; if the class is not loaded here, or no way is
        known to make one, one of a stand-in class of that name, below the class or the nearest of its bases that is
        loaded.
    """
    kind = _loaded(raised.type, raised.bases)
    error = None if kind is None else _made(kind, raised)
    if error is not None:
        return error
    lineage = (raised.type, *raised.bases)
    loaded = (found for name in lineage if (found := _loaded(name)) is not None)
    base = next((found for found in loaded if found.__flags__ & _EXTENSIBLE), Exception)
    module, _, name = raised.type.rpartition('.')

    def text(_: Exception) -> str:
        return raised.message

    stand_in = cast('type[Exception]', type(name, (base,), {'__str__': text, '__module__': module or 'builtins'}))
    return _bare(stand_in, raised)


def _name(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == 'builtins' else f'{kind.__module__}.{kind.__qualname__}'


def _arguments(error: BaseException) -> JsonObject:
    if isinstance(error, BaseExceptionGroup):
        group = cast('BaseExceptionGroup[BaseException]', error)
        return {'message': group.message, 'exceptions': [_as_json(raised(one)) for one in group.exceptions]}
    if isinstance(error, OSError) and error.filename is not None:
        places = [error.errno, error.strerror, error.filename, None, error.filename2]
        with suppress(*_UNWRITABLE):
            return {'args': to_jsonable_python(places if error.filename2 is not None else places[:3])}
    return _arguments_by_name(error)


def _arguments_by_name(error: BaseException) -> JsonObject:
    try:
        wanted = [name for name in signature(type(error)).parameters if name != 'args']
    except ValueError:  # built-in classes without a signature
        wanted = []
    names = [name for name in wanted if _has(error, name)]
    if (not names or names != wanted) and error.args != (str(error),):
        names.append('args')
    found: JsonObject = {}
    for name in names:
        with suppress(*_UNWRITABLE):
            found[name] = to_jsonable_python(getattr(error, name))
    return found


def _has(error: BaseException, name: str) -> bool:
    """Whether an attribute is there to be read; httpx's `request` raises a RuntimeError as long as it is not set."""
    try:
        getattr(error, name)
    except Exception:  # noqa: BLE001, a property may raise anything
        return False
    return True


def _attributes(error: BaseException) -> JsonObject:
    """What an error keeps beside its arguments, as far as JSON can hold it."""
    found: JsonObject = {}
    for name, value in vars(error).items():
        if not name.startswith('_') or name == '__notes__':
            with suppress(*_UNWRITABLE):
                found[name] = to_jsonable_python(value)
    return found


def _bases(kind: type[BaseException]) -> tuple[str, ...]:
    return tuple(_name(base) for base in kind.__mro__[1:] if base not in _ROOTS and not base.__name__.startswith('_'))


def _loaded(name: str, bases: tuple[str, ...] = ()) -> type[Exception] | None:
    """Find a loaded class by name; of several, one that has the bases.

    pydantic_ai 2.68 names classes that are both of a kind and of HTTP like the kind alone.
    """
    module, _, attribute = name.rpartition('.')
    found = getattr(sys.modules.get(module or 'builtins'), attribute, None)
    if isinstance(found, type):
        if not issubclass(found, Exception):
            return None
        if not bases or _bases(found) == bases:
            return found
        return next((kind for kind in _below(found) if _name(kind) == name and _bases(kind) == bases), found)
    if '.' not in name:
        return None
    inner = [kind for kind in _below(Exception) if _name(kind) == name]  # defined inside of a class or function
    return inner[-1] if inner else None


def _below(kind: type[Exception]) -> Iterator[type[Exception]]:
    for below in kind.__subclasses__():
        yield below
        yield from _below(below)


def _made(kind: type[Exception], raised: Raised) -> Exception | None:
    """Make an error of a class: by its constructor, or by hand where that gives something else."""
    attributes = cast('JsonObject', raised.args.get(_REST, {}))
    error = cast('Exception | None', _constructed(kind, raised))
    if error is not None and not attributes:
        return error
    with suppress(Exception):  # the class may make its text of anything
        bare = _bare(kind, raised)
        if attributes and str(bare) == raised.message:
            return bare
    return error


def _constructed(kind: type[BaseException], raised: Raised) -> BaseException | None:
    """Call a class in the ways that errors are usually made, and keep what has the recorded text."""
    named = {name: value for name, value in raised.args.items() if name not in {'args', _REST}}
    placed = cast('list[Json]', raised.args.get('args', []))
    makers: list[Callable[[], BaseException]] = [
        lambda: kind(*placed, **named),
        lambda: kind(*placed, **_taken(kind, named)),
        lambda: kind(*placed),
        lambda: kind(*map(_as_tuple, placed)),
        lambda: kind(raised.message),
    ]
    if _is_group(kind) and isinstance(raised.args.get('exceptions'), list):
        makers = [lambda: _group(kind, raised.args)]
    for make in makers:
        try:
            error = make()
            same = type(error) is kind and str(error) == raised.message
        except Exception:  # noqa: BLE001, S112, a constructor may do anything with arguments that are not its own
            continue
        if same:
            return error
    return None


def _taken(kind: type[BaseException], named: JsonObject) -> JsonObject:
    """Those arguments that the class takes: the version that wrote them may have had more."""
    return {name: value for name, value in named.items() if name in signature(kind).parameters}


def _as_tuple(value: Json) -> Any:
    """A list as the tuple that it may have been: the key of a `KeyError` is one now and then."""
    return tuple(map(_as_tuple, value)) if isinstance(value, list) else value


def _is_group(kind: type[BaseException]) -> bool:
    return issubclass(kind, BaseExceptionGroup)


def _group(kind: type[BaseException], args: JsonObject) -> BaseException:
    inner = [rebuilt(_from_json(one)) for one in cast('list[JsonObject]', args['exceptions'])]
    return cast('Any', kind)(args['message'], inner)


def _bare(kind: type[Exception], raised: Raised) -> Exception:
    """Make an error without its constructor, and set what is known of it."""
    placed = cast('list[Json]', raised.args.get('args', []))
    if _is_group(kind):
        group = raised.args if isinstance(raised.args.get('exceptions'), list) else {}
        inner = [rebuilt(_from_json(one)) for one in cast('list[JsonObject]', group.get('exceptions', []))]
        return cast('Any', kind).__new__(kind, group.get('message', raised.message), inner or [Exception()])
    error = kind.__new__(kind, *(placed or [raised.message]))
    rest = cast('JsonObject', raised.args.get(_REST, {}))
    for name, value in {**raised.args, **rest}.items():
        if name != _REST:
            with suppress(AttributeError):  # a property without a setter, of a version that works it out
                setattr(error, name, tuple(placed) if name == 'args' else value)
    return error


def _as_json(raised: Raised) -> JsonObject:
    written: JsonObject = {'type': raised.type, 'message': raised.message}
    if raised.bases:
        written['bases'] = [*raised.bases]
    if raised.args:
        written['args'] = raised.args
    return written


def _from_json(written: JsonObject) -> Raised:
    return Raised(
        type=cast('str', written['type']),
        message=cast('str', written['message']),
        bases=tuple(cast('list[str]', written.get('bases', []))),
        args=cast('JsonObject', written.get('args', {})),
    )
