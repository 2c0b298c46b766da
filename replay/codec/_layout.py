"""Lay a document out for reading in a pull request: short things on one line, one member a line where they are not.

Where the layout is a matter of place and not of length, the document says so by the type of its containers.
"""

from typing import cast

from replay.canon import Json, JsonObject, scalar, spaced

WIDTH = 100
"""Columns that a line with an array or object on it may fill."""

_STEP = '  '


class Broken(list[Json]):
    """An array that always stands one member a line."""


class Lines(list[Json]):
    """An array each of whose members is always one line, however long."""


class Line(JsonObject):
    """An object that is always one line, however long."""


def render(document: JsonObject) -> str:
    """Write a document as text.

    Returns:
        Lines ended by newlines, indented by two spaces a level.
    """
    lines: list[str] = []
    _put(lines, '', document, depth=0, last=True)
    return '\n'.join(lines) + '\n'


def _put(lines: list[str], head: str, value: Json, *, depth: int, last: bool) -> None:
    """Append the lines of one value, `head` (its key) before it and a comma after it unless it is the last."""
    indent = _STEP * depth
    tail = '' if last else ','
    room = WIDTH - len(indent) - len(head) - len(tail)
    if depth and _one_line(value, room):  # the document itself never: its seal has a line of its own
        lines.append(f'{indent}{head}{spaced(value)}{tail}')
        return
    if isinstance(value, dict):
        members = [(f'{scalar(key)}: ', item) for key, item in value.items()]
        brackets = '{}'
    else:
        members = [('', item) for item in cast('list[Json]', value)]
        brackets = '[]'
    lines.append(f'{indent}{head}{brackets[0]}')
    final = len(members) - 1
    for index, (key, item) in enumerate(members):
        if isinstance(value, Lines):
            lines.append(f'{indent}{_STEP}{spaced(item)}{"" if index == final else ","}')
        else:
            _put(lines, key, item, depth=depth + 1, last=index == final)
    lines.append(f'{indent}{brackets[1]}{tail}')


def _one_line(value: Json, room: int) -> bool:
    """Whether a value stands on the line that has begun."""
    if not isinstance(value, list | dict) or not value or isinstance(value, Line):
        return True
    return _left(value, room) >= 0


def _left(value: Json, room: int) -> int:
    """Columns left in `room` after a value; negative as soon as it is clear that it does not fit."""
    if isinstance(value, Broken | Lines) and value:
        return -1
    if isinstance(value, dict):
        room -= 2 * max(len(value), 1)
        for key, item in value.items():
            room = _left(item, room - len(scalar(key)) - 2) if room >= 0 else room
        return room
    if isinstance(value, list):
        room -= 2 * max(len(value), 1)
        for item in value:
            room = _left(item, room) if room >= 0 else room
        return room
    if isinstance(value, str) and len(value) > room:
        return -1
    return room - len(scalar(value))
