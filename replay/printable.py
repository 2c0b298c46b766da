"""Text of unknown origin made safe to show: cassettes hold what models and tools said, terminals obey what they read.

Control characters, direction overrides and characters that are invisible on purpose are written as escapes, so that
what stands on the screen is what stands in the file.
"""

import re

_CONTROL = '\x00-\x08\x0b-\x1f\x7f-\x9f'
_DIRECTION = '\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069'
_INVISIBLE = '\u200b\u2060-\u2064\ufeff\ud800-\udfff\U000e0000-\U000e007f'
_UNSAFE = re.compile(f'[{_CONTROL}{_DIRECTION}{_INVISIBLE}]')
_NAMED = {'\n': '\\n', '\r': '\\r', '\t': '\\t'}


def printable(text: str) -> str:
    """Make a text one safe line: newlines and tabs become escapes too.

    Args:
        text: Text of unknown origin.

    Returns:
        The text with newlines, tabs, controls and direction marks spelt out as in a string literal.
    """
    return _UNSAFE.sub(_escape, text).replace('\n', '\\n').replace('\t', '\\t')


def printable_lines(text: str) -> list[str]:
    """Make a text safe lines, divided at newlines; tabs stay.

    Args:
        text: Text of unknown origin.

    Returns:
        At least one line, none of which holds a newline.
    """
    return [_UNSAFE.sub(_escape, line) for line in text.split('\n')]


def shortened(text: str, *, limit: int) -> str:
    """Cut a line that is too long and say by how much.

    Args:
        text: One line.
        limit: Most characters that are kept of it.

    Returns:
        The line itself if it fits, else its beginning and the number of characters left out.
    """
    if len(text) <= limit:
        return text
    return f'{text[:limit]}... ({len(text) - limit} more chars)'


def _escape(found: re.Match[str]) -> str:
    char = found[0]
    code = ord(char)
    if char in _NAMED:
        return _NAMED[char]
    return f'\\x{code:02x}' if code < 0x100 else f'\\u{code:04x}' if code < 0x10000 else f'\\U{code:08x}'
