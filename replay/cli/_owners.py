"""Which cassettes are of tests that are gone, as pytest knows them.

An orphan names a test that pytest does not find, in a file that pytest has collected or that is gone. Whatever leaves a
doubt is none: a cassette of no test, one that several tests may share by name, one in a file that was skipped.
"""

from collections.abc import Iterable, Mapping

from replay.names import cassette_name

from ._project import project
from ._pytest import Listed, collect_tests

__all__ = ('orphaned',)


def orphaned(tests: Mapping[str, str | None]) -> set[str]:
    """Find the cassettes whose tests are gone; pytest collects the files that they name.

    Args:
        tests: The test of each cassette by its name, with `.json`; None for one of no test.

    Returns:
        Names.

    Raises:
        ReplayError: If pytest cannot collect a file that should have some of the tests.
    """
    owned = {name: test for name, test in tests.items() if test and cassette_name(test) == name}
    found = _collected(test.partition('::')[0] for test in owned.values())
    there, skipped = set(map(cassette_name, found.ids)), tuple(found.skipped)
    return {name for name, test in owned.items() if name not in there and not test.startswith(skipped)}


def _collected(files: Iterable[str]) -> Listed:
    """Ask for the tests of those files that are there."""
    here = project()
    there = sorted(file for file in set(files) if (here.root / file).is_file())
    return collect_tests([here.here(file) for file in there]) if there else Listed()
