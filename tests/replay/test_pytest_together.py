"""The plugin together with others, with workers, and where tests share names or cassettes. Each run is a process."""

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[2]

APP = """
from pathlib import Path
from agentrun import Agent
from agentrun.messages import ModelResponse, TextPart
from agentrun.models.function import FunctionModel

def script(messages, info):
    with Path(__file__).with_name('log.txt').open('a') as log:
        print('model', file=log)
    return ModelResponse(parts=[TextPart(f'It is {messages[-1].parts[-1].content}.')])

agent = Agent(FunctionModel(script), name='trip')
"""

CONFTEST = 'import pathlib, sys\nsys.path.insert(0, str(pathlib.Path(__file__).parent))\n'

MANY = """
import asyncio
import unittest
import pytest
from app import agent

class TestTrip:
    @pytest.fixture
    async def answer(self):
        return (await agent.run('Rome')).output

    @pytest.mark.anyio
    async def test_fixture_method(self, answer, agent_run_replay):
        assert answer == 'It is Rome.'

@pytest.mark.anyio
async def test_both_loops(agent_run_replay):
    assert (await agent.run('Paris')).output == 'It is Paris.'

@pytest.mark.agent_run_replay(cassette='shared/oslo')
@pytest.mark.parametrize('number', [1, 2, 3])
def test_shared(number):
    assert agent.run_sync('Oslo').output == 'It is Oslo.'

@pytest.mark.parametrize('city', ['Bonn', 'bonn', 'a/b', 'x' * 300])
def test_city(city, agent_run_replay):
    assert agent.run_sync(city).output == f'It is {city}.'

@pytest.mark.agent_run_replay
class TestUnit(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.answer = (await agent.run('Kiel')).output

    async def test_unit(self):
        assert self.answer == 'It is Kiel.'
"""
CASSETTES = 8


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / 'app.py').write_text(APP)
    (tmp_path / 'conftest.py').write_text(CONFTEST)
    (tmp_path / 'pytest.ini').write_text('[pytest]\nasyncio_default_fixture_loop_scope = function\n')
    return tmp_path


def put(project: Path, name: str, text: str) -> None:
    path = project / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text))


def alone(project: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run pytest with no other plugins than those that run asynchronous tests, and workers: quicker by half."""
    return run(project, '-p', 'anyio', '-p', 'xdist', *options, PYTEST_DISABLE_PLUGIN_AUTOLOAD='1')


def run(project: Path, *options: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run pytest with every plugin that is installed."""
    (project / 'log.txt').unlink(missing_ok=True)
    hidden = {'CI', 'PYTEST_XDIST_WORKER', 'PYTEST_ADDOPTS', 'PYTEST_XDIST_TESTRUNUID'}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    command = [sys.executable, '-m', 'pytest', '-p', 'replay.pytest_plugin', '--import-mode=importlib', *options]
    return subprocess.run(
        command,
        cwd=project,
        env={**environment, 'PYTHONPATH': str(ROOT), **more},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def asked(project: Path) -> int:
    log = project / 'log.txt'
    return len(log.read_text().split()) if log.exists() else 0


def files(project: Path) -> dict[str, bytes]:
    folder = project / 'cassettes'
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


@pytest.mark.parametrize('mode', ['once', 'rewrite'])
def test_workers_give_the_same_files_and_ask_the_model_no_more_often(mode: str, project: Path):
    pytest.importorskip('xdist', reason='pytest-xdist is not installed')
    put(project, 'test_many.py', MANY)
    first = alone(project, f'--replay-record={mode}')
    assert first.returncode == 0, first.stdout
    assert asked(project) == CASSETTES
    expected = files(project)
    assert len(expected) == CASSETTES
    for path in expected:
        (project / 'cassettes' / path).unlink()
    together = alone(project, f'--replay-record={mode}', '-n2')
    assert together.returncode == 0, together.stdout
    assert asked(project) == CASSETTES
    assert files(project) == expected
    played = alone(project, '-n2')
    assert f'{CASSETTES} played, 0 differ, 0 unplayed, 0 recorded, 0 live requests' in played.stdout
    assert asked(project) == 0


def test_a_cassette_that_tests_share_is_owned_by_the_same_test_whichever_records_it(project: Path):
    put(project, 'test_many.py', MANY)
    alone(project, '--replay-record=once', 'test_many.py::test_shared[3]')
    first = files(project)['shared/oslo.json']
    assert b'"test": "test_many.py::test_shared[3]"' in first
    (project / 'cassettes/shared/oslo.json').unlink()
    alone(project, '--replay-record=once', 'test_many.py::test_shared[3]', 'test_many.py::test_shared[1]')
    assert b'"test": "test_many.py::test_shared[1]"' in files(project)['shared/oslo.json']


@pytest.mark.parametrize('mode', ['importlib', 'prepend', 'append'])
def test_tests_of_one_name_in_two_folders_have_a_cassette_each_in_every_import_mode(mode: str, project: Path):
    for folder, city in (('a', 'Paris'), ('b', 'Rome')):
        put(project, f'{folder}/__init__.py', '')
        text = f"from app import agent\ndef test_trip(agent_run_replay):\n    agent.run_sync('{city}')\n"
        put(project, f'{folder}/test_trip.py', text)
    assert alone(project, '--replay-record=once', f'--import-mode={mode}').returncode == 0
    assert sorted(files(project)) == ['a/test_trip/test_trip.json', 'b/test_trip/test_trip.json']
    assert alone(project, f'--import-mode={mode}').returncode == 0
    assert asked(project) == 0


def test_other_plugins_of_recordings_and_snapshots_may_be_there(project: Path):
    for name in ('pytest_recording', 'syrupy', 'inline_snapshot', 'pytest_asyncio'):
        pytest.importorskip(name, reason=f'{name} is not installed')
    put(
        project,
        'test_clash.py',
        """
        import pytest
        from app import agent
        from inline_snapshot import snapshot as inline

        @pytest.mark.vcr
        @pytest.mark.block_network
        @pytest.mark.asyncio
        async def test_vcr(agent_run_replay):
            assert (await agent.run('Bonn')).output == inline('It is Bonn.')

        def test_syrupy(agent_run_replay, snapshot):
            agent.run_sync('Paris')
            assert agent_run_replay.node_kinds == snapshot
        """,
    )
    said = run(project, '--replay-record=once', '--snapshot-update')
    assert said.returncode == 0, said.stdout + said.stderr
    assert sorted(files(project)) == ['test_clash/test_syrupy.json', 'test_clash/test_vcr.json']
    played = run(project, '--record-mode=none', '--block-network')
    assert played.returncode == 0, played.stdout + played.stderr
    assert asked(project) == 0


def test_tests_in_any_order_give_the_same_files(project: Path):
    pytest.importorskip('pytest_randomly', reason='pytest-randomly is not installed')
    put(project, 'test_many.py', MANY)
    run(project, '--replay-record=once', '-p', 'no:randomly')
    expected = files(project)
    for seed in ('1', '2'):
        said = run(project, '--replay-record=rewrite', '-p', 'no:cacheprovider', f'--randomly-seed={seed}')
        assert said.returncode == 0, said.stdout
        assert files(project) == expected


def test_a_worker_that_dies_gives_up_what_it_was_recording(project: Path):
    pytest.importorskip('xdist', reason='pytest-xdist is not installed')
    put(
        project,
        'test_dies.py',
        """
        import os, time
        import pytest
        from pathlib import Path
        from app import agent

        @pytest.mark.agent_run_replay(cassette='one')
        @pytest.mark.parametrize('number', range(4))
        def test_dies(number):
            agent.run_sync('Paris')
            died = Path(__file__).with_name('died')
            if not died.exists():
                died.touch()
                os._exit(3)
        """,
    )
    said = alone(project, '-n2', '--replay-record=once')
    assert '1 failed, 3 passed' in said.stdout
    assert list(files(project)) == ['one.json']
