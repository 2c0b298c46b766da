"""`replay show`."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic_core import from_json

from replay.canon import JsonObject
from replay.cassette import Definition, Run
from replay.cli._group import replay
from replay.store import Store
from tests.wide import answers, asks, call, cassette, returned, run, text, user

RUN = run(
    asks(user('Weather?'), definition=Definition(instructions='Be brief.\nUse tools.', settings={'temperature': 0.0})),
    answers(call('weather', {'city': 'x' * 70})),
    asks(returned('weather', 'sunny'), definition=Definition(instructions='Be brief.\nUse tools.')),
    answers(text('Sunny\n\x1b[2J[bold]')),
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(*runs: Run, name: str = 'trip') -> str:
    Store('cassettes').write(name, cassette(*runs))
    return f'cassettes/{name}.json'


def test_each_node_is_told_with_its_texts_and_with_what_turned_there() -> None:
    result = CliRunner().invoke(replay, ['show', written(RUN)])
    assert result.exit_code == 0, result.output
    long = 'x' * 70
    assert result.stdout == (
        'cassettes/trip.json\n'
        'test      tests/test_trip.py::test_forecast\n'
        '\n'
        'run trip_agent\n'
        '  0 UserPromptNode\n'
        '  1 ModelRequestNode: user "Weather?"\n'
        '      instructions\n'
        '        Be brief.\n'
        '        Use tools.\n'
        '      settings\n'
        '        {"temperature":0.0}\n'
        f'  2 CallToolsNode: weather(city="{"x" * 59}... (12 more chars)) #call-1\n'
        '      model\n'
        '        m\n'
        '      weather\n'
        f'        {{"city":"{long}"}}\n'
        '  3 ModelRequestNode: weather -> "sunny" #call-1\n'
        '      settings\n'
        '        null\n'
        '  4 CallToolsNode: text 16 chars\n'
        '      text\n'
        '        Sunny\n'
        '        \\x1b[2J[bold]\n'
        '  5 End\n'
    )


def test_tools_are_told_as_signatures() -> None:
    parameters: JsonObject = {
        'properties': {'city': {'type': 'string'}, 'when': {'anyOf': [{'type': 'null'}]}, 'at': {'$ref': '#/$defs/A'}},
        'required': ['city'],
    }
    tools: dict[str, JsonObject] = {
        'weather': {'description': 'Weather\nof a city.', 'parameters': parameters},
        'bare': {},
        'free': {'parameters': {'type': 'object'}},
    }
    found = run(asks(user('x' * 70), definition=Definition(tools=tools)))
    assert CliRunner().invoke(replay, ['show', written(found)]).stdout.splitlines()[6:11] == [
        '      tools',
        '        weather(city: string, when?: {"anyOf":[{"type":"null"}]}, at?: #/$defs/A)   Weather\\nof a city.',
        '        bare()',
        '        free()',
        '      user-prompt',
    ]


def test_json_has_everything_whole() -> None:
    result = CliRunner().invoke(replay, ['show', '--json', written(RUN)])
    told = from_json(result.stdout)
    assert told['test'] == 'tests/test_trip.py::test_forecast'
    assert [node['node'] for node in told['runs'][0]['nodes']] == [node.kind for node in RUN.nodes]
    assert told['runs'][0]['messages'] == list(RUN.messages)


def test_facts_marks_and_recording_date_are_told() -> None:
    marked = Run(name='a', agent='a', facts={'end_strategy': 'exhaustive'}, marks=('edited',))
    Store('cassettes').write('trip', cassette(marked, recorded={'on': '2026-11-20', 'by': 'agentrun 0.1.0'}))
    assert CliRunner().invoke(replay, ['show', 'cassettes/trip.json']).stdout == (
        'cassettes/trip.json\n'
        'test      tests/test_trip.py::test_forecast\n'
        'recorded  on 2026-11-20, by agentrun 0.1.0\n'
        '\n'
        'run a\n'
        '  end_strategy exhaustive\n'
        '  marks ["edited"]\n'
    )


def test_a_pending_recording_can_be_shown_too() -> None:
    Store('cassettes').write('trip', cassette(RUN), pending=True)
    result = CliRunner().invoke(replay, ['show', 'cassettes/trip.json.new'])
    assert result.stdout.startswith('cassettes/trip.json.new\n')


DAMAGED = {
    'empty': b'',
    'cut off': b'{"format": "agentrun-replay/1",',
    'binary': b'\x80\x00\xff' * 10,
    'deep': b'[' * 1_000_000,
    'duplicate keys': b'{"format": "agentrun-replay/1", "format": "agentrun-replay/1"}',
    'conflict marks': b'<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> x\n',
    'newer': b'{"format": "agentrun-replay/9"}',
    'other json': b'[1, 2]',
    'no cassette': b'{"a": 1}',
    'unsealed': b'{"format": "agentrun-replay/1", "runs": []}',
}


@pytest.mark.parametrize('data', DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_cassette_is_one_clear_error_and_stays_as_it_is(data: bytes) -> None:
    path = Path('bad.json')
    path.write_bytes(data)
    result = CliRunner().invoke(replay, ['show', 'bad.json'])
    assert result.exit_code == 2, result.output
    assert result.stdout == ''
    assert result.stderr.startswith('replay: ')
    assert 'bad.json' in result.stderr
    assert 'Traceback' not in result.stderr
    assert path.read_bytes() == data


@pytest.mark.parametrize('name', ['nowhere.json', '.', 'x' * 5000])
def test_what_is_no_file_is_one_clear_error(name: str) -> None:
    result = CliRunner().invoke(replay, ['show', name])
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith('replay: ')
