"""`replay prune`: cassettes of tests that are gone."""

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pydantic_core import from_json

from replay.cli._group import replay as command
from replay.names import cassette_name
from replay.store import Store
from tests.terminal import CHECKOUT, in_terminal
from tests.wide import asks, cassette, run, user

TESTS = """
import pytest

def test_kept(): pass

@pytest.mark.parametrize('anyio_backend', ['asyncio', 'trio'])
def test_on_loops(anyio_backend): pass

@pytest.mark.slow
def test_left_out(): pass
"""

KEPT = (
    'tests/test_a.py::test_kept',
    'tests/test_a.py::test_on_loops[asyncio]',
    'tests/test_a.py::test_left_out',
    'tests/test_skipped.py::test_unknown',
)
GONE = ('tests/test_a.py::test_gone', 'tests/test_removed.py::test_x')


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A project with tests, cassettes of theirs, and cassettes of tests that are gone."""
    monkeypatch.chdir(tmp_path)
    for name in ('CI', 'PYTEST_ADDOPTS'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('PYTHONPATH', str(CHECKOUT))
    monkeypatch.setenv('PYTEST_DISABLE_PLUGIN_AUTOLOAD', '1')
    (tmp_path / 'tests').mkdir()
    for name, text in {
        'tests/test_a.py': TESTS,
        'tests/test_skipped.py': 'import pytest\npytest.skip("no", allow_module_level=True)\n',
        'pytest.ini': '[pytest]\naddopts = -m "not slow"\nmarkers = slow\n',
    }.items():
        (tmp_path / name).write_text(text)
    found = Store('cassettes')
    recording = cassette(run(asks(user('x'))))
    for test in (*KEPT, *GONE):
        found.write(cassette_name(test), replace(recording, test=test))
    found.write(cassette_name(GONE[0]), replace(cassette(run(asks(user('y')))), test=GONE[0]), pending=True)
    found.write('imported', replace(recording, test=None))
    found.write('shared', replace(recording, test='tests/test_a.py::test_former_owner'))
    return found


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(command, ['prune', *arguments])


def kept(store: Store) -> bool:
    return store.names() == sorted([*map(cassette_name, KEPT), 'imported.json', 'shared.json'])


def test_orphans_are_removed_with_what_is_pending_and_doubtful_ones_stay(store: Store) -> None:
    result = invoke('--yes')
    assert (result.exit_code, result.stdout.splitlines()) == (
        0,
        [
            'cassettes/tests/test_a/test_gone.json   test tests/test_a.py::test_gone is gone',
            'cassettes/tests/test_a/test_gone.json.new   test tests/test_a.py::test_gone is gone',
            'cassettes/tests/test_removed/test_x.json   test tests/test_removed.py::test_x is gone',
            '3 removed',
        ],
    ), result.output
    assert kept(store)
    assert store.pending() == []
    assert not Path('cassettes/tests/test_removed').exists()
    again = invoke()
    assert (again.exit_code, again.stdout) == (0, 'no orphans below cassettes\n')


def test_a_dry_run_and_a_pipe_remove_nothing(store: Store) -> None:
    before = store.names()
    assert (invoke('--dry-run').exit_code, invoke('--dry-run').stdout.splitlines()[-1]) == (0, '3 not removed')
    result = invoke()
    assert (result.exit_code, result.stderr) == (1, 'next: replay prune --yes\n')
    told = from_json(invoke('--json').stdout)
    assert (len(told['orphans']), told['removed']) == (3, [])
    assert store.names() == before


def test_machines_remove_by_saying_so(store: Store) -> None:
    told = from_json(invoke('--json', '--yes').stdout)
    assert told['removed'] == told['orphans']
    assert kept(store)


@pytest.mark.parametrize(('key', 'code'), [('y', 0), ('n', 1)])
def test_a_person_is_asked(store: Store, tmp_path: Path, key: str, code: int) -> None:
    found, shown = in_terminal('-m', 'replay', 'prune', cwd=tmp_path, typed=f'{key}\n')
    assert found == code, shown
    assert 'Remove 3 files?' in shown
    assert kept(store) == (key == 'y')


def test_tests_that_cannot_be_collected_are_no_orphans(store: Store, tmp_path: Path) -> None:
    (tmp_path / 'tests/test_a.py').write_text('import nowhere\n')
    before = store.names()
    result = invoke('--yes')
    assert (result.exit_code, store.names()) == (2, before)
    assert 'nowhere' in result.stderr


def test_what_other_plugins_find_at_the_end_is_no_error_of_collecting(store: Store, tmp_path: Path) -> None:
    unused = 'def pytest_sessionfinish(session):\n    session.exitstatus = 1  # as for snapshots that no test uses\n'
    (tmp_path / 'conftest.py').write_text(unused)
    assert invoke('--yes').exit_code == 0
    assert kept(store)


def test_cassettes_of_a_file_that_failed_stay_where_collecting_goes_on(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'tests/test_a.py').write_text('import nowhere\n')
    monkeypatch.setenv('PYTEST_ADDOPTS', '--continue-on-collection-errors')
    assert invoke('--yes').stdout.splitlines()[-1] == '1 removed'
    assert cassette_name(KEPT[0]) in store.names()


def test_a_folder_whose_tests_are_all_gone_needs_no_pytest(tmp_path: Path) -> None:
    other = Store('others')
    other.write('gone/test_a', replace(cassette(run(asks(user('x')))), test='gone.py::test_a'))
    assert invoke('--dir', 'others', '--yes').stdout.splitlines()[-1] == '1 removed'


def test_damaged_cassettes_stay(store: Store) -> None:
    store.path(cassette_name(GONE[0])).write_text('{')
    assert 'test_gone.json   ' not in invoke('--dry-run').stdout
