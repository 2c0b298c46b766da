"""Dataclasses that are frozen for the type checker alone."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from replay.facts import fact


@fact
class Place:
    row: int
    column: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    row: int
    column: int = 0


def test_facts_with_the_same_values_are_equal_and_have_one_hash():
    assert Place(row=1) == Place(row=1, column=0)
    assert len({Place(row=1), Place(row=1), Place(row=2)}) == 2
    assert hash(Place(row=1)) == hash(Frozen(row=1))


def test_a_fact_is_made_by_keywords_alone():
    make: Any = Place
    with pytest.raises(TypeError, match='positional'):
        make(1)


def test_a_fact_takes_no_field_that_its_class_has_not():
    place: Any = Place(row=1)
    with pytest.raises(AttributeError):
        place.depth = 3
    assert not hasattr(place, '__dict__')


def test_a_changed_copy_leaves_a_fact_as_it_was():
    place = Place(row=1)
    assert replace(place, column=4) == Place(row=1, column=4)
    assert place == Place(row=1)
