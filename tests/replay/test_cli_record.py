"""`replay record`: pytest in a process of its own, recordings beside the accepted ones."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pydantic_core import from_json

from replay.cli._agents import load_agent
from replay.cli._group import replay as command
from replay.cli._pytest import Finished, run_tests
from replay.cli._targets import owners_of
from replay.session import Session
from replay.store import Store
from tests.terminal import CHECKOUT, in_terminal
from tests.wide import asks, cassette, run, user

APP = """
from agentrun import Agent
from agentrun.messages import ModelResponse, TextPart, ToolCallPart
from agentrun.models.function import FunctionModel

ANSWER = 'Fine.'

def plan(messages, info):
    if len(messages) == 1:
        return ModelResponse(parts=[ToolCallPart('look', {})])
    return ModelResponse(parts=[TextPart(ANSWER)])

agent = Agent(FunctionModel(plan), name='looker')

SEEN = []

@agent.tool_plain
def look() -> int:
    SEEN.append('x')
    return 1
"""

TESTS = """
import itertools
import pytest
import app

def test_looks(agent_run_replay):
    assert app.agent.run_sync('Look').output == 'Fine.'

@pytest.mark.agent_run_replay
def test_looks_twice():
    app.agent.run_sync('Look')
    app.agent.run_sync('Look again')

def test_alone():
    pass
"""

SHAKY = """
import os
import app

def test_shaky(agent_run_replay):
    app.agent.run_sync(f'Look, {os.getpid()}')

def test_looks_for_what_a_tool_did(agent_run_replay):
    app.agent.run_sync('Look')
    assert app.SEEN

def test_fails_before_any_run(agent_run_replay):
    raise ValueError('too early \\udc80')
"""


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A project of its own; its pytest loads no plugin but ours, which is faster."""
    monkeypatch.chdir(tmp_path)
    for name in ('CI', 'PYTEST_ADDOPTS'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('PYTHONPATH', str(CHECKOUT))
    monkeypatch.setenv('PYTEST_DISABLE_PLUGIN_AUTOLOAD', '1')
    for name, text in {
        'app.py': APP,
        'test_app.py': TESTS,
        'test_shaky.py': SHAKY,
        'pytest.ini': '[pytest]\nreplay_dir = tapes\npythonpath = .\n',
    }.items():
        (tmp_path / name).write_text(text, encoding='utf-8')
    return Store('tapes')


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))


def recorded(store: Store) -> None:
    """What `test_looks` records, accepted."""
    agent = load_agent('app.py:agent')
    with Session('test_app/test_looks', dir=store.folder, record='rewrite', test='test_app.py::test_looks'):
        agent.run_sync('Look')
    del sys.modules['app']


def test_a_new_recording_is_offered_and_an_equal_one_is_not(store: Store) -> None:
    recorded(store)
    result = invoke('record', 'test_app.py')
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(
        'unchanged tapes/test_app/test_looks.json\n'
        'new       tapes/test_app/test_looks_twice.json\n'
        '- (none)\n'
        '+ tapes/test_app/test_looks_twice.json.new\n'
        'run looker: new run\n'
        '  + 0 UserPromptNode\n'
        '  + 1 ModelRequestNode: user "Look"\n'
    )
    assert result.stdout.endswith(
        'no run    test_app.py::test_alone\n'
        '2 recorded: 0 changed, 1 new, 1 unchanged, 0 fails\n'
        'next      replay review    to go through it, or\n'
        '          replay accept    to keep it all, replay reject to throw it away\n'
    )
    assert store.names() == ['test_app/test_looks.json']
    assert store.pending() == ['test_app/test_looks_twice.json']


def test_what_follows_two_dashes_is_for_pytest(store: Store) -> None:
    pytest.importorskip('xdist', reason='pytest-xdist is not installed')
    recorded(store)  # so that one test owns a cassette
    workers = invoke('record', '--', '-p', 'xdist', '-n', '2')
    assert workers.exit_code == 0, workers.output
    assert workers.stdout.startswith('unchanged tapes/test_app/test_looks.json\n1 recorded: ')
    chosen = invoke('record', 'test_app.py', '--', '-k', 'twice')
    assert chosen.stdout.startswith('new       tapes/test_app/test_looks_twice.json\n')
    assert invoke('record', '--', '--nonsense').exit_code == 2


def test_what_changed_is_shown_also_if_the_test_fails(store: Store, tmp_path: Path) -> None:
    recorded(store)
    accepted = store.read('test_app/test_looks')
    (tmp_path / 'app.py').write_text(APP.replace("'Fine.'", "'Grand.'"), encoding='utf-8')
    result = invoke('record', '--dir', 'tapes', '--json')
    assert result.exit_code == 1, result.output
    told = from_json(result.stdout)
    (offer,) = told['recorded']
    assert (offer['state'], offer['fault'], offer['pending']) == ('changed', None, True)
    assert offer['test'] == 'test_app.py::test_looks'
    assert [node['status'] for node in offer['diff']['cassettes'][0]['runs'][0]['nodes']].count('changed') == 1
    assert list(told['failed']) == ['test_app.py::test_looks']
    assert told['failed']['test_app.py::test_looks'].startswith("AssertionError: assert 'Grand.' == 'Fine.'")
    assert store.read('test_app/test_looks') == accepted
    assert store.pending() == ['test_app/test_looks.json']


def test_a_recording_that_does_not_hold_is_told_at_once(store: Store) -> None:
    result = invoke('record', 'test_shaky.py')
    assert result.exit_code == 1
    assert result.stdout.startswith(
        'fails     tapes/test_shaky/test_looks_for_what_a_tool_did.json\n   does not hold: assert []\n'
    )
    assert (
        'fails     tapes/test_shaky/test_shaky.json\n   does not hold: user prompt of looker changed\n'
    ) in result.stdout
    assert 'failed    test_shaky.py::test_fails_before_any_run\n   ValueError: too early \\udc80\n' in result.stdout
    assert '2 recorded: 0 changed, 0 new, 0 unchanged, 2 fails, 1 tests failed\n' in result.stdout


def test_in_ci_nothing_is_recorded_unless_that_is_asked_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('CI', 'true')
    refused = invoke('record', 'test_app.py::test_looks')
    assert refused.exit_code == 2
    assert refused.stderr == (
        'replay: nothing is recorded in CI\n'
        '   expected  a person who looks at what was recorded\n'
        '   got       the environment variable CI\n'
        '   next      replay record --record-in-ci ...\n'
    )
    assert store.pending() == []


def test_a_test_that_does_not_exist_is_one_clear_error() -> None:
    result = invoke('record', 'test_app.py::test_nothing')
    assert result.exit_code == 2
    assert result.stderr.startswith('replay: pytest did not understand its arguments\n')
    assert 'test_app.py::test_nothing' in result.stderr


def test_a_pytest_that_does_not_start_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / 'pytest.py').write_text('raise SystemExit("no pytest\\x1b here")', encoding='utf-8')
    result = invoke('record', 'test_app.py')
    assert result.exit_code == 2
    assert result.stderr == (
        'replay: pytest ended with code 1\n'
        '   expected  tests that run\n'
        '   got       no pytest\\x1b here\n'
        '   next      pytest test_app.py\n'
    )


def test_cassettes_that_no_test_owns_are_told(store: Store) -> None:
    store.write('mine', replace(cassette(run(asks(user('x')))), test=None))
    result = invoke('record', 'tapes/mine.json')
    assert (result.exit_code, result.stderr.splitlines()[0]) == (2, 'replay: no test owns this cassette')
    result = invoke('record', '--dir', 'tapes')
    assert (result.exit_code, result.stderr.splitlines()[0]) == (2, 'replay: no test owns a cassette here')


def test_a_cassette_stands_for_the_test_that_owns_it(store: Store) -> None:
    recorded(store)
    targets = ['tapes/test_app/test_looks.json', 'test_app.py::test_looks', 'test_shaky.py']
    assert owners_of(targets, Path('tapes')) == ['test_app.py::test_looks', 'test_shaky.py']


@pytest.mark.parametrize('arguments', [['nowhere.json'], [], ['--dir', 'nowhere']])
def test_what_is_not_there_is_told(arguments: list[str]) -> None:
    result = invoke('record', *arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith('replay: no')


def test_a_cassette_stands_for_its_test_and_a_terminal_sees_progress(store: Store, tmp_path: Path) -> None:
    recorded(store)
    (tmp_path / 'app.py').write_text(APP.replace('return 1', 'return 22'), encoding='utf-8')
    target = 'tapes/test_app/test_looks.json'
    more = {'PYTEST_DISABLE_PLUGIN_AUTOLOAD': '1', 'CI': 'true'}
    code, shown = in_terminal('-m', 'replay', 'record', target, '--record-in-ci', cwd=tmp_path, more=more)
    assert code == 0, shown
    assert 'recording' in shown
    assert '1/1' in shown
    assert '\x1b[33m  ~ 3 ModelRequestNode: look -> 22' in shown


CHURNING = """
from datetime import datetime
from uuid import uuid4

from agentrun import Agent
from agentrun.messages import ModelResponse, TextPart, ToolCallPart
from agentrun.models.function import FunctionModel
from agentrun.usage import RequestUsage

def plan(messages, info):
    part = ToolCallPart('ticket', {}) if len(messages) == 1 else TextPart('ANSWER')
    part.id = f'item_{uuid4()}'
    number = uuid4().int % 1000 + 1
    return ModelResponse(
        parts=[part], usage=RequestUsage(input_tokens=number), model_name='gpt', provider_name='openai',
        provider_response_id=f'resp_{number}', timestamp=datetime.now().astimezone(),
    )

agent = Agent(FunctionModel(plan), name='clerk')

@agent.tool_plain
def ticket() -> str:
    return str(uuid4())

def test_ticket(agent_run_replay):
    agent.run_sync('Open a ticket')
"""


def test_what_only_a_provider_churns_is_not_offered(store: Store, tmp_path: Path) -> None:
    (tmp_path / 'test_churn.py').write_text(CHURNING, encoding='utf-8')
    assert invoke('record', 'test_churn.py').exit_code == 0
    store.accept('test_churn/test_ticket')

    again = invoke('record', 'test_churn.py')

    assert again.exit_code == 0, again.output
    assert again.stdout == (
        'unchanged tapes/test_churn/test_ticket.json\n1 recorded: 0 changed, 0 new, 1 unchanged, 0 fails\n'
    )
    assert store.pending() == []


def test_a_pending_recording_has_what_changed_and_no_churn(store: Store, tmp_path: Path) -> None:
    (tmp_path / 'test_churn.py').write_text(CHURNING, encoding='utf-8')
    invoke('record', 'test_churn.py')
    store.accept('test_churn/test_ticket')
    (tmp_path / 'test_churn.py').write_text(CHURNING.replace('ANSWER', 'CHANGED'), encoding='utf-8')

    assert invoke('record', 'test_churn.py').exit_code == 0

    old, new = (store.read('test_churn/test_ticket', pending=pending).runs[0] for pending in (False, True))
    assert [index for index, (was, now) in enumerate(zip(old.nodes, new.nodes, strict=True)) if was != now] == [4]
    assert new.minted == old.minted


TELLING = """
import hashlib
from uuid import UUID, uuid4

from agentrun import Agent
from agentrun.messages import ModelResponse, TextPart, ToolCallPart
from agentrun.models.function import FunctionModel

def plan(messages, info):
    return ModelResponse(parts=[ToolCallPart('ticket', {}) if len(messages) == 1 else TextPart('Fine.')])

agent = Agent(FunctionModel(plan), name='clerk', instructions=lambda: f'Trace {uuid4()}')

@agent.tool_plain
def ticket() -> str:
    return hashlib.sha256(b'ticket').hexdigest()

def test_order(agent_run_replay):
    agent.run_sync(f'Order {hashlib.sha256(b"order 1").hexdigest()}')
"""


def test_an_id_that_the_code_asks_with_again_is_no_minted_value(store: Store, tmp_path: Path) -> None:
    (tmp_path / 'test_telling.py').write_text(TELLING, encoding='utf-8')

    assert invoke('record', 'test_telling.py').exit_code == 0

    noted = store.read('test_telling/test_order', pending=True).runs[0].minted
    assert [one['by'] for one in noted.values()] == ['instructions', 'ticket', 'instructions']
    store.accept('test_telling/test_order')
    (tmp_path / 'test_telling.py').write_text(TELLING.replace('order 1', 'order 2'), encoding='utf-8')
    (played,) = [event for event in run_tests(['test_telling.py']) if isinstance(event, Finished)]
    assert played.error == 'replay: user prompt of clerk changed'
