"""pytest in a process of its own, told about test by test."""

import shlex
import subprocess
import sys
from ast import literal_eval
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, cast

from replay.errors import ReplayError
from replay.printable import printable_lines

from ._recording import MARK

__all__ = ('Collected', 'Event', 'Finished', 'Listed', 'Started', 'collect_tests', 'run_tests')

_STOPPED = {
    2: 'was interrupted',
    3: 'had an internal error',
    4: 'did not understand its arguments',
    5: 'found no tests',
}
"""Exit codes of pytest that are no result."""

SHOWN_LINES = 15
"""How many of the last lines of pytest's output an error shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """pytest has read its settings."""

    dir: Path
    """Folder of the accepted cassettes, as these settings have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """It is known which tests will run. Not told where workers run them."""

    tests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """The tests that there are, if they are only collected."""

    ids: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    """Files and folders that were skipped as a whole, so that their tests are not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """One test is over."""

    test: str
    """Its id."""
    passed: bool
    error: str | None
    """First line of its failure."""
    note: dict[str, Any] = field(default_factory=dict[str, Any])
    """What the plugin says about its cassette; empty if it ran without one."""


Event: TypeAlias = Started | Collected | Listed | Finished
"""What is told while tests run, in the order of the classes."""


def collect_tests(files: Sequence[str]) -> Listed:
    """Ask pytest which tests there are in some files; those that are left out by a marker or name are told too.

    Raises:
        ReplayError: If one of the files cannot be collected.
    """
    # To its end, which tells of errors: by 2. What else a plugin finds (unused snapshots), it tells by 1.
    events = list(run_tests(files, '--collect-only', codes=frozenset({0, 1, 5})))
    return next((event for event in events if isinstance(event, Listed)), Listed())


def run_tests(tests: Sequence[str], *options: str, codes: frozenset[int] = frozenset({0, 1})) -> Generator[Event]:
    """Run tests, and yield what becomes of them as it happens.

    Args:
        tests: Test ids, files or folders.
        options: Further arguments for pytest.
        codes: Exit codes of pytest that are results.

    Yields:
        A `Started`, a `Collected`, then a `Finished` for each test.

    Raises:
        ReplayError: If pytest stopped before it had run the tests.
    """
    # An installed plugin has the same name, so that naming it here loads it once.
    plugins = ('-p', 'replay.pytest_plugin', '-p', 'replay.cli._recording')
    command = [sys.executable, '-m', 'pytest', *plugins, '--color=no', '-q', *options, '--', *tests]
    # The arguments are test ids; no shell reads them.
    with subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding='utf-8',
        errors='replace',
    ) as process:
        said: list[str] = []
        started = False
        for line in cast('Any', process.stdout):
            before, mark, message = line.rstrip('\n').partition(MARK)
            said.append(before)
            if mark:
                started = True
                yield _message(message)
    if process.returncode not in codes or not started:
        raise _stopped(process.returncode, said, tests)


def _message(text: str) -> Event:
    told = cast('dict[str, Any]', literal_eval(text))
    if 'dir' in told:
        return Started(dir=Path(told['dir']))
    if 'ids' in told:
        return Listed(ids=tuple(told['ids']), skipped=tuple(told['skipped']))
    if 'tests' in told:
        return Collected(tests=told['tests'])
    return Finished(test=told['test'], passed=told['outcome'] == 'passed', error=told['error'], note=told['note'] or {})


def _stopped(code: int, said: list[str], tests: Sequence[str]) -> ReplayError:
    lines = [line for line in said if line.strip()][-SHOWN_LINES:]
    return ReplayError(
        f'pytest {_STOPPED.get(code, f"ended with code {code}")}',
        expected='tests that run',
        got='\n'.join(safe for line in lines for safe in printable_lines(line)) or 'no output',
        next=(f'pytest {shlex.join(tests)}',),
    )
