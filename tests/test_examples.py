"""The examples run as they stand, in a copy, so that they leave nothing behind."""

import shutil
from pathlib import Path

import pytest

from replay.store import Store
from tests.terminal import CHECKOUT, in_pipe

PLUGIN = ('-p', 'replay.pytest_plugin', '-p', 'no:cacheprovider')
"""The checkout need not be installed."""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A project that holds nothing but the examples."""
    shutil.copytree(CHECKOUT / 'examples', tmp_path / 'examples', ignore=shutil.ignore_patterns('__pycache__'))
    return tmp_path


def test_the_first_replay_gives_equal_bytes_and_runs_each_tool_once(copy: Path) -> None:
    done = in_pipe('-W', 'error', 'examples/first_replay.py', cwd=copy)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ''
    assert done.stdout.count('(get_weather runs: Paris)') == 1
    assert done.stdout.count('   Sunny, 21 degrees. Ticket T-1-36.') == 2
    assert '   UserPromptNode\n   ModelRequestNode\n   CallToolsNode\n   ModelRequestNode\n' in done.stdout
    assert ' bytes of messages: equal.\n' in done.stdout
    assert 'Requests to the model while replaying: 0.\n' in done.stdout


def test_the_first_replay_needs_nothing_beyond_the_base_install(copy: Path) -> None:
    program = (
        'import runpy, sys\n'
        'for name in ("click", "rich", "pytest", "trio", "griffe", "griffelib"): sys.modules[name] = None\n'
        'sys.path.insert(0, "examples"); sys.argv = ["first_replay.py"]\n'
        'runpy.run_path("examples/first_replay.py", run_name="__main__")'
    )
    done = in_pipe('-c', program, cwd=copy)
    assert done.returncode == 0, done.stderr
    assert 'equal.' in done.stdout


def test_the_example_tests_replay_what_is_committed() -> None:
    done = in_pipe('-m', 'pytest', *PLUGIN, 'examples/test_trip.py', cwd=CHECKOUT)
    assert done.returncode == 0, done.stdout
    assert 'replay: none mode, 2 cassettes: 2 played, 0 differ, 0 unplayed, 0 recorded, 0 live requests' in done.stdout


def test_the_example_tests_recorded_anew_give_what_is_committed(tmp_path: Path) -> None:
    folder = f'--replay-dir={tmp_path}'
    done = in_pipe('-m', 'pytest', *PLUGIN, 'examples/test_trip.py', folder, '--replay-record=once', cwd=CHECKOUT)
    assert done.returncode == 0, done.stdout
    committed, recorded = Store(CHECKOUT / 'cassettes'), Store(tmp_path)
    names = recorded.names()
    assert len(names) == 2
    for name in names:
        assert recorded.read(name).runs == committed.read(name).runs
