"""`replay import`."""

import io
from pathlib import Path
from typing import cast

import pytest
from click.testing import CliRunner, Result

from replay.canon import Json, dumps
from replay.cli._group import replay
from replay.codec import dumps as dump_cassette
from replay.codec import loads
from replay.history import from_history, to_history
from replay.store import read_cassette, write_bytes
from tests.wide import call, request, response, returned, text, user

MESSAGES: Json = [
    request(user('Weather?')),
    response(call('weather', {'city': 'Paris'}), text('wait')),
    request(returned('weather', 'sunny')),
    response(text('Sunny')),
]


@pytest.fixture(autouse=True)
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / 'history.json'
    path.write_bytes(dumps(MESSAGES))
    return path


def invoke(*arguments: str, input: bytes | None = None) -> Result:
    return CliRunner().invoke(replay, ['import', *arguments], input=None if input is None else io.BytesIO(input))


def test_a_history_becomes_a_cassette_that_gives_its_bytes_back() -> None:
    result = invoke('history.json', '-o', 'cassettes/h.json')
    assert (result.exit_code, result.stdout) == (0, 'imported to cassettes/h.json\n')
    assert to_history(read_cassette('cassettes/h.json')) == dumps(MESSAGES)


def test_what_was_assumed_is_told_beside_the_output() -> None:
    told = invoke('history.json', '-o', 'h.json').stderr.splitlines()
    assert any(line.startswith('no new_from given: assumed 0') for line in told)
    assert told[-1] == 'next: replay check h.json'
    full = ('--new-from', '0', '--output-mode', 'text', '--end-strategy', 'early', '--entry', 'run')
    assert invoke('history.json', *full).stderr == ''


def test_without_a_file_the_cassette_goes_to_the_output() -> None:
    assert to_history(loads(invoke('history.json').stdout, name='x')) == dumps(MESSAGES)


def test_a_dash_reads_the_input() -> None:
    result = invoke('-', input=dumps({'messages': MESSAGES, 'entry': 'iter'}))
    assert loads(result.stdout, name='x').runs[0].facts['entry'] == 'iter'


def test_options_win_over_the_object() -> None:
    told = dumps({'messages': MESSAGES, 'entry': 'iter', 'end_strategy': 'early'})
    error = ('--error-type', 'ModelHTTPError', '--error-message', 'no')
    arguments = ('--entry', 'run_sync', '--end-strategy', 'exhaustive', '--new-from', '2', '--output-tool', 'final')
    found = loads(invoke('-', *arguments, input=told).stdout, name='x').runs[0]
    assert {key: found.facts.get(key) for key in ('entry', 'end_strategy')} == {
        'entry': 'run_sync',
        'end_strategy': 'exhaustive',
    }
    assert len(found.history) == 2
    failed = dumps([request(user('x'))])
    raised = loads(invoke('-', *error, input=failed).stdout, name='x').runs[0].nodes[-1].raised
    assert raised is not None
    assert (raised.type.rsplit('.')[-1], raised.message) == ('ModelHTTPError', 'no')


def test_deferred_results_are_handed_over_as_json() -> None:
    result = invoke('history.json', '--new-from', '2', '--deferred-tool-results', '{"calls": {"c1": "sunny"}}')
    first = loads(result.stdout, name='x').runs[0].nodes[0]
    assert first.facts == {'deferred_tool_results': {'calls': {'c1': 'sunny'}}}


def test_another_cassette_is_never_replaced_unasked(history: Path) -> None:
    Path('h.json').write_text('mine', encoding='utf-8')
    result = invoke('history.json', '-o', 'h.json')
    assert result.exit_code == 2
    assert result.stderr.startswith('replay: h.json exists\n')
    assert Path('h.json').read_text(encoding='utf-8') == 'mine'
    assert invoke('history.json', '-o', 'h.json', '--force').exit_code == 0
    assert invoke('history.json', '-o', 'h.json').stdout == 'unchanged h.json\n'
    Path('folder').mkdir()
    assert invoke('history.json', '-o', 'folder').exit_code == 2


@pytest.mark.parametrize(
    'data',
    [
        b'',
        b'{',
        b'\xff\xfe',
        b'[' * 100_000,
        b'[]',
        b'{}',
        b'3',
        b'{"messages": 1}',
        b'[{"kind": "request"}]',
        b'[{"kind": "telegram", "parts": []}]',
        b'[1]',
        b'{"messages": [], "a": 1, "a": 2}',
        b'{"messages": [], "surprise": 1}',
    ],
)
def test_what_is_no_history_is_one_clear_error(data: bytes) -> None:
    result = invoke('-', '-o', 'h.json', input=data)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith('replay: ')
    assert not Path('h.json').exists()


@pytest.mark.parametrize(
    'arguments',
    [
        ['nowhere.json'],
        ['.'],
        ['history.json', '--new-from', '9'],
        ['history.json', '--new-from', '-1'],
        ['history.json', '--output-mode', 'telepathy'],
        ['history.json', '--entry', 'walk'],
        ['history.json', '--error-message', 'x'],
        ['history.json', '--deferred-tool-results', '{'],
        ['history.json', '--deferred-tool-results', '[]'],
    ],
)
def test_bad_arguments_end_in_code_2(arguments: list[str]) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ''


def test_an_input_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('replay.cli._files.DEFAULT_LIMITS', type('Small', (), {'size': 10}))
    assert invoke('-', input=b' ' * 20).stderr.startswith('replay: the input is too large\n')


def test_a_secret_of_the_history_does_not_reach_the_cassette(history: Path) -> None:
    key = 'sk-proj-' + 'a1B2c3D4e5F6g7H8i9J0' * 3
    messages: Json = [request(user(f'My key is {key}')), response(text('Thanks'))]
    history.write_bytes(dumps(messages))
    result = invoke('history.json', '-o', 'h.json')
    assert result.exit_code == 0, result.output
    assert 'stand-ins are in their places' in result.stderr
    assert key not in Path('h.json').read_text(encoding='utf-8')
    (run,) = read_cassette('h.json').runs
    assert run.marks == ('redacted',)
    assert run.messages[0]['parts'] == [{**user(f'My key is {key}'), 'content': 'My key is <secret:openai-key>'}]
    assert CliRunner().invoke(replay, ['check', 'h.json']).exit_code == 0


def test_a_history_without_secrets_is_not_marked() -> None:
    assert 'stand-ins' not in invoke('history.json', '-o', 'h.json').stderr
    assert read_cassette('h.json').runs[0].marks == ()


def test_a_history_that_says_the_same_leaves_the_cassette_as_it_was() -> None:
    invoke('history.json', '-o', 'h.json')
    before = Path('h.json').read_bytes()
    again = dumps(MESSAGES).replace(b'"c1"', b'"c2"').replace(b'"input_tokens":1', b'"input_tokens":7')
    assert again != dumps(MESSAGES)

    result = invoke('-', '-o', 'h.json', input=again)

    assert (result.exit_code, result.stdout) == (0, 'unchanged h.json\n')
    assert 'what only a provider or a clock churns stayed as the file had it' in result.stderr
    assert Path('h.json').read_bytes() == before


def test_a_history_that_says_something_else_has_the_rest_in_the_words_of_the_old_cassette() -> None:
    invoke('history.json', '-o', 'h.json')
    again = dumps(MESSAGES).replace(b'"c1"', b'"c2"').replace(b'"Sunny"', b'"Rain"')

    assert invoke('-', '-o', 'h.json', '--force', input=again).exit_code == 0

    assert to_history(read_cassette('h.json')) == dumps(MESSAGES).replace(b'"Sunny"', b'"Rain"')


def test_a_secret_that_the_replaced_file_would_bring_back_is_not_written(history: Path) -> None:
    key = f'sk-proj-{"a1B2c3D4" * 5}'
    earlier: Json = [*cast('list[Json]', MESSAGES)[:3], response(text('Sunny'), response_id=key)]
    old = from_history(dumps(earlier), name='x').cassette
    write_bytes('h.json', dump_cassette(old).encode())
    result = invoke('history.json', '-o', 'h.json', '--force')
    assert result.exit_code == 2, result.output
    assert 'openai-key' in result.stderr
    assert key not in result.output
    assert Path('h.json').read_text() == dump_cassette(old)
