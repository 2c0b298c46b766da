"""What pytest prints of replay: causes and a summary at the end, and the short line of each test that failed of it."""

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # in a session with workers this module is loaded whether a test needs the engine or not
    from .report import Note

NOTE = 'agent_run_replay'
"""Attribute of a test report that takes the note from a worker to the process that prints."""


def say(report: pytest.TestReport, note: 'Note', *, others: int = 0) -> None:
    """Let the short line of a failed test name what replay found."""
    crash = getattr(report.longrepr, 'reprcrash', None)
    if report.failed and note.problem is not None and crash is not None:
        from .report import short_line

        crash.message = short_line(note.problem, others=others)


class Reporter:
    """Gathers the notes of all tests, from all workers, and prints what they say together.

    Args:
        config: That of pytest.
        mode: Record mode of tests that do not say otherwise.
    """

    def __init__(self, config: pytest.Config, *, mode: str) -> None:
        self._config = config
        self._mode = mode
        self._runs: set[str] = set()  # ids of runs with workers
        self._found: dict[str, tuple[Note, pytest.TestReport]] = {}  # by test: the last time counts, if it is run again
        self._order: dict[str, int] = {}  # of tests that workers run, which end in any order

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the note of a report, if it has one; what a test was expected to fail with is no finding."""
        data = vars(report).get(NOTE)
        if data is not None:
            from .report import Note

            note = Note.from_data(data)
            self._found[report.nodeid] = (note if report.failed else replace(note, problem=None), report)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: 'pytest.TerminalReporter') -> Generator[None]:
        """Complete the short lines before pytest prints them, and report the causes below them."""
        shown = bool(self._found) and not self._config.option.no_summary
        groups = self._grouped() if shown else []
        yield
        if not shown:
            return
        from .report import cause_lines, section_title, summary_line

        kept = self._keep_causes(groups)
        verbose = self._config.get_verbosity() > 0
        if groups:
            terminalreporter.write_sep('=', section_title(groups))
        for number, notes in enumerate(groups, 1):
            for line in cause_lines(number, notes, sole=len(groups) == 1, verbose=verbose, kept=kept):
                terminalreporter.write_line(line)
        notes = [note for note, _ in self._found.values()]
        terminalreporter.write_line(summary_line(notes, mode=self._mode))

    def _keep_causes(self, groups: 'list[list[Note]]') -> bool:
        """Keep the tests of each cause for `replay record --cause N` and `replay rebind --cause N`.

        Returns:
            Whether they are kept: not without pytest's cache, and not if one of these commands runs the tests.
        """
        cache = getattr(self._config, 'cache', None)
        if cache is None or self._config.pluginmanager.hasplugin('replay.cli._recording'):
            return False
        cache.set('replay/causes', [[note.test for note in notes] for notes in groups])
        return True

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Note the order of the tests, so that the report is the same as without workers."""
        self._order = {test: place for place, test in enumerate(ids)}

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Let others record what a worker of xdist had claimed that is no longer there."""
        from .pytest_claims import give_up

        give_up(node.workerinput['testrunuid'], node.workerinput['workerid'])
        self._runs.add(node.workerinput['testrunuid'])

    def pytest_unconfigure(self) -> None:
        """Leave nothing behind of runs with workers."""
        if self._runs:
            from .pytest_claims import end

            for run in self._runs:
                end(run)

    def _grouped(self) -> 'list[list[Note]]':
        """Group the notes by cause; the first test of each says how many others there are."""
        from .report import causes

        last = len(self._order)
        inorder = sorted(self._found, key=lambda test: self._order.get(test, last))
        groups = causes(self._found[test][0] for test in inorder)
        others = {id(notes[0]): len(notes) - 1 for notes in groups}
        for note, report in self._found.values():
            if id(note) in others:
                say(report, note, others=others[id(note)])
        return groups
