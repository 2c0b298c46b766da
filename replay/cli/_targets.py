"""Which tests a command runs: those that are named, that own a cassette, or that one cause has failed in."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import click

from replay.canon import CanonError, loads
from replay.errors import CassetteNotFound, ReplayError, Where
from replay.names import PENDING, SUFFIX
from replay.store import read_bytes, read_cassette

from ._files import cassette_at, cassettes_in, shown_path
from ._project import project

__all__ = ('apart', 'cause_option', 'of_cause', 'owners_of', 'refuse_in_ci')

_TO_SEE = 'pytest     reports the causes of failed tests, with numbers'


def cause_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option `--cause`."""
    text = 'The tests of this cause, numbered as in the report of the last run of pytest.'
    return click.option('--cause', type=click.IntRange(min=1), metavar='N', help=text)(command)


def apart(given: Sequence[str]) -> tuple[list[str], list[str]]:
    """Tell what a person named from the options for pytest that stand behind it, after `--`: from the first dash on."""
    first = next((place for place, one in enumerate(given) if one.startswith('-')), len(given))
    return list(given[:first]), list(given[first:])


def owners_of(targets: Sequence[str], folder: Path) -> list[str]:
    """Turn what a person named into what pytest takes: a cassette stands for the test that owns it.

    Args:
        targets: Paths of cassettes, and whatever names tests to pytest; none means all cassettes of `folder`.
        folder: The folder of cassettes.

    Raises:
        ReplayError: If a cassette cannot be read or belongs to no test.
    """
    if targets:
        return list(
            dict.fromkeys(_owner(cassette_at(target)) if _is_cassette(target) else target for target in targets)
        )
    found = [read_cassette(path) for path in cassettes_in((), folder)]
    here = project().here
    tests = list(dict.fromkeys(here(cassette.test) for cassette in found if cassette.test))
    if not tests:
        raise ReplayError(
            'no test owns a cassette here',
            expected=f'cassettes below {shown_path(folder)} that tests have recorded',
            got=f'{len(found)} cassettes of no test',
            next=('replay record TEST   records the cassette of a test', 'replay record --dir FOLDER'),
        )
    return tests


def _is_cassette(target: str) -> bool:
    return target.endswith((SUFFIX, f'{SUFFIX}{PENDING}'))


def _owner(path: Path) -> str:
    test = read_cassette(path).test
    if test is None:
        raise ReplayError(
            'no test owns this cassette',
            expected='a cassette that a test has recorded',
            got='one that was imported, or recorded outside of tests',
            where=Where(cassette=shown_path(path)),
            next=('replay run MODULE:AGENT PROMPT --cassette FILE --record rewrite',),
        )
    return project().here(test)


def of_cause(number: int) -> list[str]:
    """Find the tests that one cause has failed in, in the last run of pytest.

    Args:
        number: Number of the cause in the report, from 1.

    Raises:
        ReplayError: If the last run had no such cause, or pytest keeps no cache.
    """
    known = _causes()
    if number > len(known):
        raise ReplayError(
            f'no cause {number}',
            expected=f'a number from 1 to {len(known)}' if known else 'a run of pytest that replay found causes in',
            got=str(number) if known else 'none in the last one',
            next=(_TO_SEE,),
        )
    here = project().here
    return [here(test) for test in known[number - 1]]


def _causes() -> list[list[str]]:
    """The tests of each cause, as the plugin has left them in the cache of pytest."""
    path = project().cache / 'v/replay/causes'
    try:
        found = loads(read_bytes(path))
    except CassetteNotFound:
        raise ReplayError(
            'no causes are known',
            expected='a run of pytest before this, with its cache',
            got=f'no file {shown_path(path)}',
            next=(_TO_SEE,),
        ) from None
    except CanonError:
        found = None
    if not isinstance(found, list) or not all(isinstance(cause, list) for cause in found):
        raise ReplayError(
            'the causes cannot be read', expected='lists of test ids', where=Where(cassette=str(path)), next=(_TO_SEE,)
        )
    return [[str(test) for test in cast('list[Any]', cause)] for cause in found]


def refuse_in_ci(command: str, *, allowed: bool) -> None:
    """Refuse to record in CI unless that was asked for, as the plugin would refuse each test by itself.

    Raises:
        ReplayError: If this is CI.
    """
    if os.environ.get('CI', '').lower() not in {'', '0', 'false'} and not allowed:
        raise ReplayError(
            'nothing is recorded in CI',
            expected='a person who looks at what was recorded',
            got='the environment variable CI',
            next=(f'replay {command} --record-in-ci ...',),
        )
