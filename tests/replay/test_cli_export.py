"""`replay export`: messages to the same bytes, and a model that gives the recorded answers."""

from pathlib import Path
from typing import Any

import anyio
import pytest
from click.testing import CliRunner, Result

from agentrun import Agent
from agentrun.messages import ModelResponse, TextPart, ToolCallPart
from agentrun.models.function import FunctionModel
from replay.cli._group import replay as command
from replay.session import use_cassette
from replay.store import Store
from tests.wide import answers, asks, cassette, run, text, user

PROMPT = 'Wie ist das Wetter "dort"? \U0001f326 {braces}'


def plan(messages: list[Any], info: Any) -> ModelResponse:
    if len(messages) == 1:
        return ModelResponse(parts=[ToolCallPart('look', {'at': "it's {x} \\ \n"})])
    return ModelResponse(parts=[TextPart('Sonnig \U0001f31e\u2028\'\'\'"""')])


def look(at: str) -> str:
    return at


@pytest.fixture(autouse=True)
def messages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Record a run; its messages."""
    monkeypatch.chdir(tmp_path)
    agent = Agent(FunctionModel(plan, model_name='scripted'), name='looker', tools=[look])
    with use_cassette('a', record='rewrite', dir='.') as session:
        agent.run_sync(PROMPT)
    Store('.').write('two', cassette(run(asks(user('x')), answers(text('y'))), run(asks(user('z')), name='other')))
    return session.all_messages_json()


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(command, ['export', *arguments])


def test_messages_come_out_to_the_same_bytes(messages: bytes) -> None:
    assert invoke('a.json').stdout_bytes == messages
    assert invoke('a.json', '-o', 'history.json').stdout == 'exported to history.json\n'
    assert Path('history.json').read_bytes() == messages


def test_an_exported_history_can_be_imported_again(messages: bytes) -> None:
    invoke('a.json', '-o', 'history.json')
    result = CliRunner().invoke(command, ['import', 'history.json', '-o', 'back.json'])
    assert result.exit_code == 0, result.output
    assert invoke('back.json').stdout_bytes == messages


@pytest.mark.parametrize('library', ['agentrun', 'pydantic_ai'])
def test_a_model_gives_the_recorded_answers_in_order(messages: bytes, library: str) -> None:
    pytest.importorskip(library, reason='the library that the module is made for')
    result = invoke('a.json', '--as', 'function-model', '--library', library, '-o', 'model.py')
    assert result.exit_code == 0, result.output
    made: dict[str, Any] = {}
    source = Path('model.py').read_text(encoding='ascii')
    exec(compile(source, 'model.py', 'exec'), made)  # what it is made for
    agent = __import__(library).Agent(made['recorded_model'](), tools=[look])
    result = anyio.run(agent.run, 'Something else')
    responses = [message for message in result.all_messages() if message.kind == 'response']
    assert [[part.part_kind for part in message.parts] for message in responses] == [['tool-call'], ['text']]
    assert responses[0].parts[0].args == {'at': "it's {x} \\ \n"}
    assert result.output == 'Sonnig \U0001f31e\u2028\'\'\'"""'
    assert {message.model_name for message in responses} == {'scripted'}
    assert responses[0].usage.input_tokens > 0
    with pytest.raises(AssertionError, match="2 answers of run 'looker' were recorded, and one more was asked for"):
        anyio.run(agent.run, 'Again')


def test_the_run_is_named_where_there_are_several() -> None:
    assert invoke('two.json', '--run', 'other').exit_code == 0
    assert invoke('two.json').stderr.splitlines()[1] == '   expected  one of trip_agent, other'
    assert invoke('two.json', '--run', 'nope').exit_code == 2


def test_a_run_without_answers_makes_no_model() -> None:
    result = invoke('two.json', '--run', 'other', '--as', 'function-model')
    assert (result.exit_code, result.stderr.splitlines()[0]) == (2, 'replay: a run without answers makes no model')


def test_no_file_is_replaced_unasked() -> None:
    Path('mine.py').write_text('mine')
    assert invoke('a.json', '-o', 'mine.py').exit_code == 2
    assert Path('mine.py').read_text() == 'mine'
    assert invoke('a.json', '-o', 'mine.py', '--force', '--as', 'function-model').exit_code == 0
    assert invoke('a.json', '-o', 'mine.py', '--as', 'function-model').stdout == 'unchanged mine.py\n'


def test_a_missing_or_damaged_cassette_is_told() -> None:
    Path('broken.json').write_text('{')
    assert (invoke('nope.json').exit_code, invoke('broken.json').exit_code) == (2, 2)
