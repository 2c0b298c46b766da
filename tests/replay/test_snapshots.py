"""Runs as snapshots, with the real syrupy and inline-snapshot."""

from pathlib import Path

import pytest

pytest.importorskip('syrupy', reason='the extension is one of syrupy')
pytest.importorskip('inline_snapshot', reason='the extra snapshots is not installed')

from agentrun import Agent
from agentrun.messages import ModelResponse, TextPart
from agentrun.models.function import FunctionModel
from replay import ReplayError, Session, use_cassette
from replay.snapshots import MessagesSnapshot, exact, readable
from tests.helpers import CORPUS_ABSENT, corpus, corpus_path
from tests.terminal import in_pipe

AGENT = """
from agentrun import Agent
from agentrun.messages import ModelResponse, TextPart, ToolCallPart
from agentrun.models.function import FunctionModel

SAY = 'Sunny'

def model(messages, info):
    if len(messages) == 1:
        return ModelResponse(parts=[ToolCallPart('get_weather', {'city': 'Paris'})])
    return ModelResponse(parts=[TextPart(SAY)])

trip_agent = Agent(FunctionModel(model), name='trip_agent')

@trip_agent.tool_plain
def get_weather(city: str) -> dict[str, float]:
    return {'celsius': 21.0}
"""

SYRUPY = """
from replay.snapshots import MessagesSnapshot
from app import trip_agent

def test_messages(agent_run_replay, snapshot):
    result = trip_agent.run_sync('Weather?')
    assert result.all_messages_json() == snapshot(extension_class=MessagesSnapshot)
    assert agent_run_replay == snapshot(extension_class=MessagesSnapshot, name='whole')
    assert agent_run_replay.outline == snapshot
    (want := __import__('pathlib').Path('bytes.json')).exists() or want.write_bytes(result.all_messages_json())
"""

INLINE = """
from inline_snapshot import snapshot
from app import trip_agent

def test_steps(agent_run_replay):
    trip_agent.run_sync('Weather?')
    assert agent_run_replay.steps == snapshot()
    assert agent_run_replay.outline == snapshot()
"""


def project(path: Path, test: str) -> Path:
    (path / 'app.py').write_text(AGENT, encoding='utf-8')
    (path / 'test_trip.py').write_text(test, encoding='utf-8')
    return path


def pytest_in(path: Path, *options: str, plugin: str = 'syrupy') -> tuple[int, str]:
    plugins = ('-p', 'replay.pytest_plugin', '-p', plugin, '-p', 'no:cacheprovider')
    done = in_pipe('-m', 'pytest', *plugins, *options, cwd=path, PYTEST_DISABLE_PLUGIN_AUTOLOAD='1')
    return done.returncode, done.stdout


def test_a_snapshot_is_one_readable_file_that_holds_the_exact_bytes_and_is_stable(tmp_path: Path):
    project(tmp_path, SYRUPY)
    code, said = pytest_in(tmp_path, '--replay-record=once', '--snapshot-update')
    assert (code, '3 snapshots generated.' in said) == (0, True), said
    stored = (tmp_path / '__snapshots__/test_trip/test_messages.json').read_text(encoding='utf-8')
    assert exact(stored) == (tmp_path / 'bytes.json').read_bytes()
    assert (tmp_path / '__snapshots__/test_trip/test_messages[whole].json').read_text(encoding='utf-8') == stored
    assert max(map(len, stored.splitlines())) < 120
    for _ in range(2):
        code, said = pytest_in(tmp_path)
        assert (code, '3 snapshots passed.' in said) == (0, True), said


def test_a_changed_message_fails_with_the_lines_that_changed(tmp_path: Path):
    project(tmp_path, SYRUPY)
    pytest_in(tmp_path, '--replay-record=once', '--snapshot-update')
    (tmp_path / 'app.py').write_text(AGENT.replace("'Sunny'", "'Rainy'"), encoding='utf-8')
    code, said = pytest_in(tmp_path, '--replay-record=rewrite')
    assert code == 1
    assert '"content": "Sunny"' in said
    assert '"content": "Rainy"' in said


def test_runs_are_filled_into_inline_snapshots_and_hold_from_then_on(tmp_path: Path):
    project(tmp_path, INLINE)
    pytest_in(tmp_path, '--replay-record=once', plugin='inline_snapshot.pytest_plugin')
    pytest_in(tmp_path, '--replay-record=once', '--inline-snapshot=create', plugin='inline_snapshot.pytest_plugin')
    text = (tmp_path / 'test_trip.py').read_text(encoding='utf-8')
    assert 'CallToolsNode: get_weather(city="Paris") #call-1' in text
    assert 'timestamp' not in text
    for options in ((), ('--replay-record=rewrite',)):
        code, said = pytest_in(tmp_path, *options, plugin='inline_snapshot.pytest_plugin')
        assert code == 0, said
    assert (tmp_path / 'test_trip.py').read_text(encoding='utf-8') == text


@pytest.fixture
def session(tmp_path: Path) -> Session:
    agent = Agent(FunctionModel(lambda _, __: ModelResponse(parts=[TextPart('Sunny')])), name='trip')
    with use_cassette('trip', dir=tmp_path, record='once') as session:
        agent.run_sync('hi')
    return session


def test_a_session_and_a_run_stand_for_their_messages(session: Session):
    texts = {MessagesSnapshot().serialize(data) for data in (session, session.runs[0], session.all_messages_json())}
    assert {exact(text) for text in texts} == {session.all_messages_json()}


def test_a_run_tells_its_nodes_as_lines_and_as_data(session: Session):
    assert session.outline == ['UserPromptNode', 'ModelRequestNode: user "hi"', 'CallToolsNode: text 5 chars', 'End']
    assert session.steps == [
        {'node': 'UserPromptNode'},
        {'node': 'ModelRequestNode', 'parts': [{'part': 'user-prompt', 'content': 'hi'}]},
        {'node': 'CallToolsNode', 'parts': [{'part': 'text', 'content': 'Sunny'}]},
        {'node': 'End'},
    ]


@pytest.mark.parametrize('data', [b'', b'{', b'[ 1]', b'[1e3]', b'\xff', '[]', 5])
def test_what_would_not_read_back_to_the_same_bytes_is_refused(data: object):
    with pytest.raises(ReplayError, match='all_messages_json'):
        MessagesSnapshot().serialize(data)


def test_leaving_something_out_is_refused(session: Session):
    data = session.all_messages_json()
    with pytest.raises(ReplayError, match='nothing is left out'):
        MessagesSnapshot().serialize(data, exclude=lambda prop, path: True)
    with pytest.raises(ReplayError, match='nothing is left out'):
        MessagesSnapshot().serialize(data, matcher=lambda data, path: b'[]')


@pytest.mark.skipif(corpus_path() is None, reason=CORPUS_ABSENT)
def test_recorded_histories_are_brought_back_byte_for_byte():
    data = [history['all_messages_json'].encode() for history in corpus()]
    assert [exact(readable(one)) == one for one in data] == [True] * len(data)
    assert len(data) > 200
