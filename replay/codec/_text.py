"""Strings that read better as something else: long text as its lines, arguments sent as JSON text as that JSON."""

from typing import cast

from replay import canon
from replay.canon import CanonError, Json, JsonObject

LONG = 80
"""Strings longer than this that hold a newline are written as lines."""

ARGS_FORMS = ('args', 'args_json', 'args_json_spaced')
"""Keys under which the arguments of a call stand."""


def pack_long(fields: JsonObject) -> JsonObject:
    """Write long strings as lines: those of the object itself and of the objects one level inside it.

    A key of data that ends in `|` has each of these doubled, so that an odd number always means lines.
    """
    packed: JsonObject = {}
    for key, value in fields.items():
        if _is_long(value):
            packed[f'{key}|'] = _lines(value)
        else:
            packed[key] = _pack_data(value) if type(value) is dict else value
    return packed


def unpack_long(fields: JsonObject) -> JsonObject:
    """Undo `pack_long`.

    Raises:
        ValueError: If what stands for lines is no array of strings.
    """
    plain: JsonObject = {}
    for key, value in fields.items():
        if key.endswith('|'):
            plain[key[:-1]] = join_lines(key, value)
        else:
            plain[key] = unpack_data(value) if isinstance(value, dict) else value
    return plain


def unpack_data(data: JsonObject) -> JsonObject:
    """Undo `pack_long` for an object one level inside.

    Raises:
        ValueError: If what stands for lines is no array of strings.
    """
    for key in data:
        if key.endswith('|'):
            break
    else:  # as a rule, and a generator here would cost more than all the rest
        return data
    plain: JsonObject = {}
    for key, value in data.items():
        pipes = len(key) - len(key.rstrip('|'))
        name = key[: len(key) - pipes + pipes // 2]
        plain[name] = join_lines(key, value) if pipes % 2 else value
    return plain


def join_lines(key: str, lines: Json) -> str:
    """Put the lines of a long string together.

    Args:
        key: Key under which they stand, for the error.
        lines: Array of strings.

    Raises:
        ValueError: If it is something else.
    """
    if not isinstance(lines, list) or not lines or not all(isinstance(line, str) for line in lines):
        raise ValueError(f'{canon.scalar(key)} holds no lines of text')
    return '\n'.join(cast('list[str]', lines))


def pack_args(args: Json) -> tuple[str, Json]:
    """Find the most readable form of a call's arguments that brings back exactly what was sent.

    Returns:
        Key (one of `ARGS_FORMS`) and value.
    """
    if not isinstance(args, str):
        return 'args', args
    try:
        value = canon.loads(args)
    except CanonError:
        return 'args', args
    if not isinstance(value, dict):
        return 'args', args
    if canon.dumps(value).decode() == args:
        return 'args_json', value
    return ('args_json_spaced', value) if canon.spaced(value) == args else ('args', args)


def unpack_args(form: str, value: Json) -> Json:
    """Undo `pack_args`."""
    if form == 'args_json':
        return canon.dumps(value).decode()
    return canon.spaced(value) if form == 'args_json_spaced' else value


def _pack_data(data: JsonObject) -> JsonObject:
    packed: JsonObject = {}
    for key, value in data.items():
        name = key + '|' * (len(key) - len(key.rstrip('|')))
        if _is_long(value):
            packed[f'{name}|'] = _lines(value)
        else:
            packed[name] = value
    return packed


def _is_long(value: Json) -> bool:
    return isinstance(value, str) and len(value) > LONG and '\n' in value


def _lines(value: Json) -> list[Json]:
    return list[Json](cast('str', value).split('\n'))
