"""Whether a pattern matches anywhere in a text."""

import pytest

from replay.finder import may_hold

PATTERN = r'sk-[a-z]{4}|token-\d{3}'


@pytest.mark.parametrize('text', ['sk-abcd', 'It is token-123, they say.', 'first line\nsk-abcd\n', 'é😀 sk-abcd'])
def test_a_text_in_which_one_of_the_alternatives_matches_may_hold_it(text: str):
    assert may_hold(text, PATTERN)


@pytest.mark.parametrize('text', ['', 'sk-', 'token-12', 'SK-ABCD', 'first\nsecond é😀'])
def test_a_text_in_which_none_matches_does_not(text: str):
    assert not may_hold(text, PATTERN)


def test_a_text_with_half_of_a_surrogate_pair_may_hold_anything():
    assert may_hold('nothing\ud83d', PATTERN)


def test_each_pattern_is_looked_for_by_itself():
    assert [may_hold('sk-abcd', pattern) for pattern in (PATTERN, 'rose', 'abc', PATTERN)] == [True, False, True, True]
