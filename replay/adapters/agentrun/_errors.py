"""Errors as outcomes: written down so that the same class can be raised again."""

import sys
from contextlib import suppress
from inspect import signature
from typing import cast

from pydantic_core import PydanticSerializationError, to_jsonable_python

from replay.canon import Json, JsonObject
from replay.cassette import Raised

_ROOTS = (Exception, BaseException, object)


def raised(error: BaseException) -> Raised:
    """Write an error down.

    Its arguments are those of its constructor that it keeps as attributes of the same name and JSON can hold.
    """
    kind = type(error)
    bases = tuple(_name(base) for base in kind.__mro__[1:] if base not in _ROOTS and not base.__name__.startswith('_'))
    return Raised(type=_name(kind), bases=bases, message=str(error), args=_arguments(error))


def rebuilt(raised: Raised) -> Exception:
    """Make an error again that was written down.

    Returns:
        An error of the same class with the same text; if the class is not loaded here, or nothing is known that its
        constructor takes, one of a stand-in class of that name, below the class or the nearest of its bases that is
        loaded. A name in a cassette is compared with what is loaded, and never imported.
    """
    kind = _loaded(raised.type)
    error = None if kind is None else _made(kind, raised)
    if error is not None:
        return error
    lineage = (raised.type, *raised.bases)
    base = next((found for name in lineage if (found := _loaded(name)) is not None), Exception)
    module, _, name = raised.type.rpartition('.')

    def text(_: Exception) -> str:
        return raised.message

    stand_in = cast('type[Exception]', type(name, (base,), {'__str__': text, '__module__': module}))
    again = stand_in.__new__(stand_in, raised.message)
    for attribute, value in raised.args.items():
        setattr(again, attribute, tuple(cast('list[Json]', value)) if attribute == 'args' else value)
    return again


def _name(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == 'builtins' else f'{kind.__module__}.{kind.__qualname__}'


def _arguments(error: BaseException) -> JsonObject:
    try:
        wanted = [name for name in signature(type(error)).parameters if name != 'args']
    except ValueError:  # built-in classes without a signature
        wanted = []
    names = [name for name in wanted if hasattr(error, name)]
    if (not names or names != wanted) and error.args != (str(error),):
        names.append('args')
    found: JsonObject = {}
    for name in names:
        with suppress(PydanticSerializationError):
            found[name] = to_jsonable_python(getattr(error, name))
    return found


def _loaded(name: str) -> type[Exception] | None:
    module, _, attribute = name.rpartition('.')
    found = getattr(sys.modules.get(module or 'builtins'), attribute, None)
    return found if isinstance(found, type) and issubclass(found, Exception) else None


def _made(kind: type[Exception], raised: Raised) -> Exception | None:
    """Call the class in the ways that errors are usually made, and keep what has the recorded text."""
    named = {name: value for name, value in raised.args.items() if name != 'args'}
    placed = cast('list[Json]', raised.args.get('args', []))
    for make in (lambda: kind(*placed, **named), lambda: kind(*placed), lambda: kind(raised.message)):
        try:
            error = make()
        except Exception:  # noqa: BLE001, S112, a constructor may do anything with arguments that are not its own
            continue
        if str(error) == raised.message:
            return error
    return None
