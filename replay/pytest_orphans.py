"""Orphans of a suite of tests: judged when all of it was collected, by whichever processes did that.

The part of the plugin that is loaded if orphans are not ignored. Whatever leaves a doubt is no orphan: a cassette of no
test, one of a file that was not collected and is there.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from .errors import NameRefused, rows_text
from .names import cassette_name, checked_name
from .orphans import Orphan, orphans_of
from .printable import printable
from .redact import Redactor, UserRule
from .store import Store

__all__ = ('OrphanJudge', 'is_gone', 'owned_names', 'whole')

_FACTS = 'replay_suite'
"""Key under which a worker tells what it has collected."""

_NARROWING = ('keyword', 'markexpr', 'deselect', 'lf', 'collectonly', 'ignore', 'ignore_glob')
"""Options by which tests are left out. What an ini file always leaves out counts too: it was not collected."""


class OrphanJudge:
    """A plugin that learns what was collected and, where pytest reports, judges at the end.

    Args:
        config: That of pytest.
        verdict: What orphans make of the session: `warn` or `fail`.
        dir: Folder of the cassettes.
        redact: Rules of the user for what is a secret, which is in no name of a cassette.
    """

    def __init__(self, config: pytest.Config, *, verdict: str, dir: Path, redact: Sequence[UserRule]) -> None:
        self.found: list[Orphan] = []
        self._config = config
        self._verdict = verdict
        self._dir = dir
        self._redactor = Redactor(os.environ, redact)
        self._files: set[str] = set()
        self._partly = False
        self._suites: list[Mapping[str, Any]] = []
        self._used: set[str] = set()

    # -- what was collected, here or by a worker

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note which files were collected, and whether any could not be."""
        self._partly = self._partly or report.failed
        if report.passed:
            self._files.add(report.nodeid)

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Note that not all tests are there."""
        self._partly = self._partly or bool(items)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note which cassettes the tests own, and tell it where pytest reports."""
        facts = {
            'names': sorted(owned_names(session.items, self._redactor)),
            'tests': sorted({self._redactor.text(item.nodeid) for item in session.items}),
            'files': sorted(self._files),
            'partly': self._partly,
        }
        told = getattr(self._config, 'workeroutput', None)
        if told is not None:
            told[_FACTS] = facts
        elif session.items:
            self._suites.append(facts)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:  # noqa: ARG002, part of the hook of xdist
        """Take what a worker has collected."""
        facts = getattr(node, 'workeroutput', {}).get(_FACTS)
        if facts is not None:
            self._suites.append(facts)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note which cassette a test used, whoever chose its name."""
        note = vars(report).get('agent_run_replay')
        if note is not None:
            self._used.add(str(self._config.rootpath / note['cassette']))

    # -- the end

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Judge, and let the session fail if it is to."""
        ended = session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}
        if hasattr(self._config, 'workerinput') or not ended or not self._is_whole():
            return
        names = {name for suite in self._suites for name in suite['names']}
        store = Store(self._dir)
        self.found = [
            orphan
            for orphan in orphans_of(store, owned=names, is_gone=self._is_gone)
            if str(Path(orphan.path)) not in self._used
        ]
        if self.found and self._verdict == 'fail':
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: 'pytest.TerminalReporter') -> None:
        """Name the orphans, and what to type."""
        if not self.found:
            return
        number = len(self.found)
        failed = ' (failed by --replay-orphans=fail)' if self._verdict == 'fail' else ''
        root = f'{self._config.rootpath.as_posix()}/'
        names = '\n'.join(f'{one.path.removeprefix(root)}  of {one.test}' for one in self.found)
        terminalreporter.write_line(
            f'replay: no test owns {number} {"cassette" if number == 1 else "cassettes"}{failed}'
        )
        rows = [
            ('orphans', names),
            ('next', 'replay move OLD NEW     if a test was renamed\nreplay prune     removes them'),
        ]
        for line in rows_text(rows):
            terminalreporter.write_line(printable(line))

    def _is_whole(self) -> bool:
        partly = any(suite['partly'] for suite in self._suites)
        return bool(self._suites) and not partly and whole(self._config)

    def _is_gone(self, test: str) -> bool:
        """Whether a test was not collected although its file was, or its file is gone."""
        if any(test in suite['tests'] for suite in self._suites):
            return False
        file = test.partition('::')[0]
        return any(file in suite['files'] for suite in self._suites) or not (self._config.rootpath / file).exists()


def owned_names(items: Iterable[pytest.Item], redactor: Redactor) -> set[str]:
    """Names of the cassettes that tests own: by their ids, or as their markers say.

    Args:
        items: The tests.
        redactor: What takes secrets out of ids.
    """
    names: set[str] = set()
    for item in items:
        names.add(cassette_name(redactor.text(item.nodeid)))
        for mark in item.iter_markers('agent_run_replay'):
            if 'cassette' in mark.kwargs:
                with suppress(NameRefused):  # the test itself is told
                    names.add(checked_name(str(mark.kwargs['cassette'])))
    return names


def is_gone(test: str, items: Sequence[pytest.Item]) -> bool:
    """Whether a test is gone, as far as some collected tests tell: their modules are at hand, other files need be gone.

    Args:
        test: Its id.
        items: Tests of the session, not all of them perhaps.
    """
    file, *path = test.partition('[')[0].split('::')
    one = next((item for item in items if item.nodeid.startswith(f'{file}::')), None)
    if one is None:
        return bool(items) and not (items[0].config.rootpath / file).exists()
    found = getattr(one, 'module', None)
    if found is None:  # no tests of Python
        return False
    for name in path:
        found = getattr(found, name, None)
    return found is None


def whole(config: pytest.Config) -> bool:
    """Whether pytest was asked for all tests there are: no selection, no path narrower than where tests are."""
    if any(getattr(config.option, name, None) for name in _NARROWING):
        return False
    if config.args_source == config.ArgsSource.TESTPATHS:
        return True
    here = config.invocation_params.dir
    given = [(here / arg).resolve() for arg in config.args if '::' not in arg]
    roots = [path for glob in config.getini('testpaths') for path in config.rootpath.glob(glob)] or [config.rootpath]
    return all(any(root.resolve().is_relative_to(arg) for arg in given) for root in roots)
