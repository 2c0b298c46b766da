"""Cassettes that no test owns, and the one among them that a renamed test has left behind."""

from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass

from .adapters import Started
from .errors import ReplayError
from .places import begins_alike
from .store import Store

__all__ = ('Orphan', 'orphans_of', 'plays_the_same')


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphan:
    """A cassette whose test is gone."""

    name: str
    """Name of the cassette, with `.json`."""
    path: str
    """Where it is, with forward slashes."""
    test: str
    """Id of the test that recorded it."""


def orphans_of(store: Store, *, owned: Collection[str], is_gone: Callable[[str], bool]) -> Iterator[Orphan]:
    """Find the cassettes that no test owns. Those of no test at all, and those that cannot be read, are none.

    Args:
        store: Where the cassettes are.
        owned: Names of those that tests own, with `.json`; they are not read.
        is_gone: Whether the test of an id is certainly not there any more.

    Yields:
        Sorted by name, read one by one.
    """
    for name in store.names():
        if name in owned:
            continue
        with suppress(ReplayError):
            test = store.read(name).test
            if test is not None and is_gone(test):
                yield Orphan(name=name, path=store.path(name).as_posix(), test=test)


def plays_the_same(store: Store, orphan: Orphan, agent: str, started: Started) -> bool:
    """Whether the first run of an orphan is the one that starts: equal agent, prompt and history."""
    runs = store.read(orphan.name).runs
    return bool(runs) and runs[0].agent == agent and started.within is None and begins_alike(runs[0], started)
