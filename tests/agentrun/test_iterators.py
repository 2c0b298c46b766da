"""Async iterators as classes: over like generators, grouped by time without waiting for anything."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from agentrun import _iterators
from agentrun._iterators import Grouped, Once, Steps, Then

pytestmark = pytest.mark.anyio


class Clock:
    """Stands in for the clock: an item that is a number lets that many seconds pass before it comes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(_iterators, 'monotonic', lambda: self.now)

    async def items(self, *pauses: float) -> AsyncIterator[float]:
        for pause in pauses:
            self.now += pause
            yield pause


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.mark.parametrize(
    ('pauses', 'groups'),
    [
        ([], []),
        ([0, 0, 0], [[0, 0, 0]]),
        ([1, 1, 1], [[1], [1], [1]]),
        ([0.25, 0.25, 0.25], [[0.25, 0.25], [0.25]]),
        ([0, 1, 0, 0, 0.5], [[0, 1], [0, 0, 0.5]]),
    ],
)
async def test_an_item_closes_its_group_if_that_has_been_open_for_the_interval(
    clock: Clock, pauses: list[float], groups: list[list[float]]
):
    assert [group async for group in Grouped(clock.items(*pauses), 0.5)] == groups


async def test_without_an_interval_each_item_is_a_group(clock: Clock):
    assert [group async for group in Grouped(clock.items(0, 0), None)] == [[0], [0]]


async def test_an_interval_of_nothing_groups_nothing(clock: Clock):
    assert [group async for group in Grouped(clock.items(0, 0), 0)] == [[0], [0]]


async def test_a_negative_interval_is_refused(clock: Clock):
    with pytest.raises(ValueError, match=r'`debounce_by` must be None or seconds, at least 0, not -1\.'):
        Grouped(clock.items(), -1)


async def test_something_is_done_once_at_the_end_of_other_items():
    done: list[str] = []

    async def do() -> None:
        done.append('done')

    items = Then(Once('item'), do)
    assert (await anext(items), done) == ('item', [])
    assert [item async for item in items] == []
    assert [item async for item in items] == []
    assert done == ['done']


async def test_what_is_done_at_the_end_may_fail_without_a_context():
    async def fail() -> None:
        raise ValueError('failed')

    with pytest.raises(ValueError, match='failed') as caught:
        [item async for item in Then(Once('item'), fail)]
    assert caught.value.__context__ is None


class Failing(Steps[Any]):
    async def _step(self) -> Any:
        raise ValueError('failed')


async def test_an_iterator_is_over_once_it_has_failed():
    items = Failing()
    with pytest.raises(ValueError, match='failed'):
        await anext(items)
    assert [item async for item in items] == []


async def test_an_iterator_that_was_closed_gives_nothing_more():
    items = Once('item')
    await items.aclose()
    assert [item async for item in items] == []
