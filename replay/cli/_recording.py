"""Loaded into the pytest that `replay record` starts: tells the parent what becomes of each test, as it happens.

Each message is one line behind a mark that no test prints, written where pytest writes, so that it works on every
platform and with workers: a literal of Python in ASCII, which any terminal's encoding and any text survive.
"""

from collections.abc import Sequence
from typing import Any

import pytest

__all__ = ('MARK', 'NOTE')

MARK = '\x1ereplay-record '
"""Stands before each message for the parent; before it on the line may be what pytest shows of its progress."""

NOTE = 'agent_run_replay'
"""Attribute of a test report under which the plugin leaves what replay says about the test."""


def pytest_sessionstart(session: pytest.Session) -> None:
    """Say where the accepted cassettes stand."""
    _tell(session.config, {'dir': str(session.config.rootpath / session.config.getini('replay_dir'))})


def pytest_collection_finish(session: pytest.Session) -> None:
    """Say how many tests there are; all of them by name, if they are only collected."""
    if session.config.option.collectonly:
        items = [*session.items, *_DESELECTED]
        _tell(session.config, {'ids': [item.nodeid for item in items], 'skipped': list(_SKIPPED)})
    else:
        _tell(session.config, {'tests': len(session.items)})


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Remember tests that exist and are left out."""
    _DESELECTED.extend(items)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Remember what was skipped as a whole, or could not be collected, so that nobody knows its tests."""
    if not report.passed:
        _SKIPPED.append(report.nodeid)


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Say what became of a test once its call is over, or if it never got there."""
    if report.when == 'call' or not report.passed:
        _tell(
            _CONFIG[0],
            {
                'test': report.nodeid,
                'outcome': report.outcome,
                'error': _first_line(report),
                'note': vars(report).get(NOTE),
            },
        )


_CONFIG: list[pytest.Config] = []
_DESELECTED: list[pytest.Item] = []
_SKIPPED: list[str] = []


def pytest_configure(config: pytest.Config) -> None:
    """Remember where to write."""
    _CONFIG[:] = [config]


def _first_line(report: pytest.TestReport) -> str | None:
    """What a failed test says of its failure in one line."""
    if not report.failed:
        return None
    crash = getattr(report.longrepr, 'reprcrash', None)
    text = str(getattr(crash, 'message', None) or report.longrepr)
    return text.strip().split('\n', maxsplit=1)[0]


def _tell(config: pytest.Config, message: dict[str, Any]) -> None:
    reporter: Any = config.pluginmanager.getplugin('terminalreporter')
    if reporter is not None:  # a worker has none; its controller tells
        reporter.write_line(MARK + ascii(message))
