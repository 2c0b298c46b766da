"""Text of unknown origin on a terminal."""

import pytest

from replay.printable import printable, printable_lines, shortened


@pytest.mark.parametrize(
    ('raw', 'shown'),
    [
        ('plain \u00e9 \u65e5 \U0001f600', 'plain \u00e9 \u65e5 \U0001f600'),
        ('a\nb\tc\rd', 'a\\nb\\tc\\rd'),
        ('\x1b[31mred', '\\x1b[31mred'),
        ('\x00\x7f\x9b', '\\x00\\x7f\\x9b'),
        ('\u202etxt', '\\u202etxt'),
        ('\ufeff\ud800', '\\ufeff\\ud800'),
        ('\U000e0041', '\\U000e0041'),
        ('family \U0001f468\u200d\U0001f469', 'family \U0001f468\u200d\U0001f469'),
    ],
)
def test_what_a_terminal_would_obey_is_spelt_out(raw: str, shown: str) -> None:
    assert printable(raw) == shown


def test_lines_keep_their_tabs_and_lose_their_escapes() -> None:
    assert printable_lines('a\tb\n\x1b]0;x\x07') == ['a\tb', '\\x1b]0;x\\x07']


def test_a_long_line_says_what_was_left_out() -> None:
    assert shortened('abc', limit=3) == 'abc'
    assert shortened('abcdef', limit=2) == 'ab... (4 more chars)'
