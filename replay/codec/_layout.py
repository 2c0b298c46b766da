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
    # The document itself never stands on one line: its seal has a line of its own.
    text = _on_one_line(value, WIDTH - len(indent) - len(head) - len(tail)) if depth else None
    if text is not None:
        lines.append(f'{indent}{head}{text}{tail}')
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


def _on_one_line(value: Json, room: int) -> str | None:
    """The text of a value that stands on the line that has begun; None if it does not."""
    if not isinstance(value, list | dict) or not value or isinstance(value, Line):
        return spaced(value)
    if _is_broken(value, room):
        return None
    text = spaced(value)
    return text if len(text) <= room else None


def _is_broken(value: Json, room: int) -> bool:
    """Whether an array in a value always stands one member a line, or there are too many members for one line."""
    if isinstance(value, dict):
        return 2 * len(value) > room or any(_is_broken(one, room) for one in value.values())
    if not isinstance(value, list) or not value:
        return False
    return isinstance(value, Broken | Lines) or 2 * len(value) > room or any(_is_broken(one, room) for one in value)
