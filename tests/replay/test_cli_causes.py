"""Causes of the last run of pytest: `record --cause`, `rebind`; and `drift`, which asks models and writes nothing."""

from pathlib import Path
from shutil import copytree

import pytest
from click.testing import CliRunner, Result
from pydantic_core import from_json, to_json

from replay.cli._group import replay as command
from replay.store import Store
from tests.terminal import CHECKOUT, in_pipe

APP = """
from agentrun import Agent
from agentrun.messages import ModelResponse, TextPart, ToolCallPart
from agentrun.models.function import FunctionModel

def plan(messages, info):
    if len(messages) == 1:
        return ModelResponse(parts=[ToolCallPart('look', {})])
    return ModelResponse(parts=[TextPart('Fine.')])

agent = Agent(FunctionModel(plan), name='looker', instructions='Be brief.')

@agent.tool_plain
def look() -> int:
    return 1
"""

TESTS = """
import app

def test_one(agent_run_replay):
    assert app.agent.run_sync('Look').output == 'Fine.'

def test_two(agent_run_replay):
    app.agent.run_sync('Look twice')

def test_three(agent_run_replay):
    app.agent.run_sync('Another prompt')

def test_plain():
    pass
"""


@pytest.fixture(scope='module')
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose tests are recorded; each test gets a copy."""
    folder = tmp_path_factory.mktemp('recorded')
    (folder / 'app.py').write_text(APP)
    (folder / 'test_app.py').write_text(TESTS)
    (folder / 'pytest.ini').write_text('[pytest]\npythonpath = .\nreplay_dir = tapes\n')
    result = run_pytest('--replay-record=once', folder=folder)
    assert '4 passed' in result, result
    return folder


@pytest.fixture(autouse=True)
def store(recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A project whose tests are recorded."""
    for name in ('CI', 'PYTEST_ADDOPTS'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('PYTHONPATH', str(CHECKOUT))
    monkeypatch.setenv('PYTEST_DISABLE_PLUGIN_AUTOLOAD', '1')
    monkeypatch.setenv('PYTHONDONTWRITEBYTECODE', '1')
    monkeypatch.chdir(tmp_path)
    copytree(recorded, tmp_path, dirs_exist_ok=True)
    return Store('tapes')


def run_pytest(*options: str, folder: Path | None = None) -> str:
    command = ('-m', 'pytest', '-q', '-p', 'replay.pytest_plugin', *options)
    return in_pipe(
        *command, cwd=folder or Path.cwd(), PYTEST_DISABLE_PLUGIN_AUTOLOAD='1', PYTHONDONTWRITEBYTECODE='1'
    ).stdout


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))


def change(old: str, new: str, *, file: str = 'app.py') -> None:
    text = Path(file).read_text()
    assert old in text
    Path(file).write_text(text.replace(old, new))


def changed() -> str:
    """Change the instructions, and one test's prompt on top: two causes; what pytest reports."""
    change("'Be brief.'", "'Be very brief.'")
    return run_pytest()


def test_the_report_names_commands_that_work_on_the_tests_of_a_cause(store: Store) -> None:
    said = changed()
    assert '   next   replay record --cause 1     ask the model again (3 runs, about ' in said, said
    assert '          replay rebind --cause 1     keep the recorded answers, marked "rebound" until the next ' in said
    result = invoke('rebind', '--cause', '1')
    assert result.stdout.splitlines() == [
        'rebound   test_app.py::test_one',
        'rebound   test_app.py::test_two',
        'rebound   test_app.py::test_three',
        '3 rebound',
        'next      replay diff --base HEAD    shows what is asked now, replay record asks the model',
    ], result.output
    assert result.exit_code == 0
    assert [store.read(name).runs[0].marks for name in store.names()] == [('rebound',)] * 3
    assert '4 passed' in run_pytest()


def test_recording_a_cause_records_its_tests_and_keeps_the_causes(store: Store) -> None:
    change("'Another prompt'", "'One more'", file='test_app.py')
    run_pytest()
    result = invoke('record', '--cause', '1', '--json')
    assert [offer['test'] for offer in from_json(result.stdout)['recorded']] == ['test_app.py::test_three']
    assert store.pending() == ['test_app/test_three.json']
    assert invoke('record', '--cause', '1').exit_code == 0
    invoke('accept')
    assert '4 passed' in run_pytest()
    assert invoke('record', '--cause', '1').stderr.splitlines()[0] == 'replay: no cause 1'


def test_a_recording_clears_the_mark_of_a_rebound_run(store: Store) -> None:
    changed()
    assert invoke('rebind', 'tapes/test_app/test_one.json').exit_code == 0
    assert store.read('test_app/test_one').runs[0].marks == ('rebound',)
    assert invoke('record', 'test_app.py::test_one').exit_code == 0
    invoke('accept')
    assert store.read('test_app/test_one').runs[0].marks == ()


def test_tests_are_rebound_by_name_and_what_needs_nothing_stays(store: Store) -> None:
    change("'Another prompt'", "'One more'", file='test_app.py')
    before = store.path('test_app/test_one').read_bytes()
    result = invoke('rebind', 'test_app.py', '--json')
    assert {each['test']: each['state'] for each in from_json(result.stdout)['tests']} == {
        'test_app.py::test_one': 'unchanged',
        'test_app.py::test_two': 'unchanged',
        'test_app.py::test_three': 'rebound',
        'test_app.py::test_plain': 'no run',
    }
    assert store.path('test_app/test_one').read_bytes() == before


def test_a_run_that_does_something_else_cannot_be_rebound(store: Store) -> None:
    change("app.agent.run_sync('Look twice')", "app.agent.run_sync('Look twice', output_type=int)", file='test_app.py')
    before = store.path('test_app/test_two').read_bytes()
    result = invoke('rebind', 'test_app.py::test_two')
    assert result.exit_code == 1, result.output
    assert result.stdout.startswith('failed    test_app.py::test_two\n')
    assert store.path('test_app/test_two').read_bytes() == before


def test_there_is_no_such_cause() -> None:
    assert (invoke('rebind', '--cause', '1').exit_code, invoke('record', '--cause', '9').exit_code) == (2, 2)
    changed()
    assert 'a number from 1 to 1' in invoke('record', '--cause', '2').stderr


def test_without_a_run_of_pytest_no_causes_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'empty/pytest.ini').write_text('')
    monkeypatch.chdir(tmp_path / 'empty')
    assert invoke('record', '--cause', '1').stderr.splitlines()[0] == 'replay: no causes are known'


@pytest.mark.parametrize('text', [b'{', b'{}', b'[1]'])
def test_causes_that_cannot_be_read_are_told(tmp_path: Path, text: bytes) -> None:
    (tmp_path / '.pytest_cache/v/replay/causes').write_bytes(text)
    assert invoke('record', '--cause', '1').stderr.splitlines()[0] == 'replay: the causes cannot be read'


def test_without_the_cache_the_report_names_the_tests() -> None:
    change("'Another prompt'", "'One more'", file='test_app.py')
    said = run_pytest('-p', 'no:cacheprovider')
    assert 'replay record test_app.py::test_three     ask' in said
    assert 'replay rebind test_app.py::test_three     keep' in said


@pytest.mark.parametrize('arguments', [['rebind'], ['rebind', 'x', '--cause', '1'], ['record', 'x', '--cause', '1']])
def test_a_cause_or_tests_are_named_not_both(arguments: list[str]) -> None:
    assert (invoke(*arguments).exit_code, 'Usage' in invoke(*arguments).stderr) == (2, True)


def test_nothing_is_rebound_in_ci_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    changed()
    monkeypatch.setenv('CI', 'true')
    assert 'replay rebind --record-in-ci' in invoke('rebind', '--cause', '1').stderr
    assert invoke('rebind', '--cause', '1', '--record-in-ci').exit_code == 0


def test_drift_is_what_models_answer_now_and_nothing_is_written(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('CI', 'true')
    clean = invoke('drift')
    assert clean.exit_code == 0, clean.output
    change("'Fine.'", "'Grand.'")
    before = {name: store.path(name).read_bytes() for name in store.names()}
    result = invoke('drift', 'test_app.py')
    assert result.exit_code == 1
    assert 'drifted   tapes/test_app/test_two.json' in result.stdout
    assert 'failed    test_app.py::test_one' in result.stdout
    assert 'no run    test_app.py::test_plain' in result.stdout
    assert {name: store.path(name).read_bytes() for name in store.names()} == before
    assert store.pending() == []


def test_drift_is_told_to_machines_too(store: Store) -> None:
    change("'Another prompt'", "'One more'", file='test_app.py')
    result = invoke('drift', 'tapes/test_app/test_three.json', '--json')
    told = from_json(result.stdout)
    assert result.exit_code == 1
    assert told['diff']['differs'] is True, to_json(told)
    assert (told['failed'], told['without']) == ({}, [])
