"""`replay check`."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pydantic_core import from_json

from replay.canon import Json, dumps
from replay.cassette import Cassette
from replay.check import Checked
from replay.cli._group import replay as command
from replay.codec import dumps as text_of
from replay.codec import seal_of
from replay.history import from_history
from replay.match import ABSENT, Difference, locate
from replay.names import cassette_name
from replay.store import Store
from tests.terminal import CHECKOUT, in_pipe, in_terminal
from tests.wide import call, request, response, returned, text, user


def imported(*, swapped: bool = False, prompt: Json = 'Weather?') -> Cassette:
    """A run with two tool calls; with the results in the wrong order, which no core would make."""
    results = [returned('weather', 'sunny', id='c1'), returned('tides', 'low', id='c2')]
    messages: Json = [
        request(user(prompt)),
        response(call('weather', {'city': 'Paris'}, id='c1'), call('tides', {}, id='c2')),
        request(*(reversed(results) if swapped else results)),
        response(text('Sunny')),
    ]
    return from_history(dumps(messages), new_from=0, entry='run').cassette


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.chdir(tmp_path)
    found = Store('cassettes')
    found.write('good', imported())
    return found


def always(checked: Checked) -> Callable[[Cassette], list[Checked]]:
    def answer(_: Cassette) -> list[Checked]:
        return [checked]

    return answer


def check(*arguments: str) -> Result:
    return CliRunner().invoke(command, ['check', *arguments])


def test_an_intact_cassette_that_the_core_plays_is_ok() -> None:
    for arguments in ((), ('cassettes',), ('cassettes/good.json',)):
        result = check(*arguments)
        assert (result.exit_code, result.stdout) == (0, 'ok        cassettes/good.json   1 run\n1 cassette: 1 ok\n')


def test_a_run_that_the_core_would_not_have_made_names_node_field_and_both_values(store: Store) -> None:
    store.write('wrong', imported(swapped=True))
    result = check()
    assert result.exit_code == 1
    assert result.stdout == (
        'ok        cassettes/good.json   1 run\n'
        'differs   cassettes/wrong.json   1 run\n'
        '   run agent  node 3 ModelRequestNode  field parts[0].tool_name\n'
        '     recorded  "tides"\n'
        '     played    "weather"\n'
        '2 cassettes: 1 ok, 1 differs\n'
    )


def test_json_tells_each_run(store: Store) -> None:
    store.write('wrong', imported(swapped=True))
    Path('cassettes/zero.json').write_bytes(b'')
    result = check('--json')
    assert result.exit_code == 2
    told = from_json(result.stdout)
    assert told['ok'] is False
    good, wrong, zero = told['cassettes']
    assert good == {
        'cassette': 'cassettes/good.json',
        'state': 'ok',
        'test': None,
        'error': None,
        'runs': [{'run': 'agent', 'verdict': 'exact'}],
    }
    assert wrong['runs'] == [
        {
            'run': 'agent',
            'verdict': 'differs',
            'node': 3,
            'kind': 'ModelRequestNode',
            'field': 'parts[0].tool_name',
            'recorded': 'tides',
            'played': 'weather',
        }
    ]
    assert zero['state'] == 'damaged'
    assert zero['error'].startswith('replay: the cassette is empty\n')
    assert from_json(check('--json', 'cassettes/good.json').stdout)['ok'] is True


def test_a_broken_seal_or_a_cut_file_is_damaged_and_the_others_are_still_checked() -> None:
    whole = Path('cassettes/good.json').read_text(encoding='utf-8')
    Path('cassettes/edited.json').write_text(whole.replace('Sunny', 'Rainy'), encoding='utf-8')
    Path('cassettes/cut.json').write_text(whole[:100], encoding='utf-8')
    result = check()
    assert result.exit_code == 2
    assert result.stdout.startswith('damaged   cassettes/cut.json\n   replay: the cassette cannot be read')
    assert 'damaged   cassettes/edited.json\n' in result.stdout
    assert result.stdout.endswith('3 cassettes: 1 ok, 2 damaged\n')


def test_a_text_that_would_be_written_in_another_way_is_unusual() -> None:
    text = text_of(imported()).replace('{"node": "End"}', '{ "node": "End" }')
    body = text[: text.rindex('  "seal"')]
    sealed = f'{body}  "seal": "{seal_of(body)}"\n}}\n'
    Path('cassettes/odd.json').write_text(sealed, encoding='utf-8')
    result = check('cassettes/odd.json')
    assert result.exit_code == 1
    assert result.stdout.startswith('unusual   cassettes/odd.json   1 run\n   its text is not what would be written')


def test_a_checkout_with_other_newlines_is_ok() -> None:
    path = Path('cassettes/good.json')
    path.write_bytes(path.read_bytes().replace(b'\n', b'\r\n'))
    assert check().exit_code == 0


def test_a_message_that_the_core_does_not_take_is_damage_not_a_traceback(store: Store) -> None:
    store.write('wild', imported(prompt=[7]))
    result = check('cassettes/wild.json')
    assert result.exit_code == 2, result.output
    assert 'a message is none that agentrun takes' in result.stdout


def test_a_run_that_cannot_be_played_is_refused_by_name(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run = replace(imported().runs[0], facts={'imported': True, 'entry': 'run_stream', 'output_mode': 'tool'})
    checked = Checked(run='agent', verdict='refused', reason='no \x1b such kind')
    monkeypatch.setattr('replay.cli._check.check_cassette', always(checked))
    store.write('good', Cassette(runs=(run,)))
    result = check()
    assert result.exit_code == 1
    assert result.stdout.startswith(
        'refused   cassettes/good.json   1 run\n   run agent cannot be played: no \\x1b such kind\n'
    )
    assert '"reason":"no \\u001b such kind"' in check('--json').stdout


def test_what_only_one_side_has_is_told_as_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    difference = Difference(cause='order', field='node', recorded=ABSENT, live='End')
    found = locate(difference, run='agent', agent='agent', node=2, kind='End')
    checked = Checked(run='agent', verdict='differs', divergence=found)
    monkeypatch.setattr('replay.cli._check.check_cassette', always(checked))
    assert '     recorded  (nothing)\n     played    "End"\n' in check().stdout
    assert '"field":"node","played":"End"}' in check('--json').stdout


@pytest.fixture
def owned(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Cassettes of a test that is there, of one that is gone from its file, and of one whose file is gone."""
    for name in ('CI', 'PYTEST_ADDOPTS'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('PYTHONPATH', str(CHECKOUT))
    monkeypatch.setenv('PYTEST_DISABLE_PLUGIN_AUTOLOAD', '1')
    (tmp_path / 'test_a.py').write_text('def test_kept(): pass\n')
    for test in ('test_a.py::test_kept', 'test_a.py::test_gone', 'test_b.py::test_x'):
        store.write(cassette_name(test), replace(imported(), test=test))
    return store


def test_a_cassette_whose_test_is_gone_is_an_orphan(owned: Store) -> None:
    result = check()
    assert result.exit_code == 1
    assert result.stdout == (
        'ok        cassettes/good.json   1 run\n'
        'orphan    cassettes/test_a/test_gone.json   1 run\n'
        '   test test_a.py::test_gone is gone\n'
        '   next: replay move OLD NEW if it was renamed, or replay prune\n'
        'ok        cassettes/test_a/test_kept.json   1 run\n'
        'orphan    cassettes/test_b/test_x.json   1 run\n'
        '   test test_b.py::test_x is gone\n'
        '   next: replay move OLD NEW if it was renamed, or replay prune\n'
        '4 cassettes: 2 ok, 2 orphan\n'
    )
    told = from_json(check('--json', 'cassettes/test_b').stdout)
    assert (told['ok'], told['cassettes'][0]['state']) == (False, 'orphan')
    assert told['cassettes'][0]['test'] == 'test_b.py::test_x'


def test_orphans_are_told_or_not_looked_for_as_asked(owned: Store, tmp_path: Path) -> None:
    warned = check('--orphans', 'warn')
    assert (warned.exit_code, warned.stdout.endswith('4 cassettes: 2 ok, 2 orphan\n')) == (0, True)
    (tmp_path / 'test_a.py').write_text('no python')
    ignored = check('--orphans', 'ignore')
    assert (ignored.exit_code, ignored.stdout.endswith('4 cassettes: 4 ok\n')) == (0, True)


def test_tests_that_cannot_be_collected_are_told_after_what_is_known(owned: Store, tmp_path: Path) -> None:
    (tmp_path / 'test_a.py').write_text('no python')
    result = check()
    assert result.exit_code == 2
    assert result.stdout.endswith('4 cassettes: 4 ok\n')
    assert result.stderr.startswith('replay: pytest was interrupted\n')
    assert result.stderr.endswith('--orphans=ignore     does not ask who owns them\n')
    told = from_json(check('--json').stdout)
    assert (told['ok'], told['error'].split('\n')[0]) == (False, 'replay: pytest was interrupted')


@pytest.mark.parametrize('arguments', [['nowhere'], ['cassettes/nope.json'], ['--nope']])
def test_bad_arguments_end_in_code_2(arguments: list[str]) -> None:
    result = check(*arguments)
    assert (result.exit_code, result.stdout) == (2, '')


def test_the_committed_cassettes_are_ok() -> None:
    done = in_pipe('-m', 'replay', 'check', '--orphans=ignore', cwd=CHECKOUT)
    assert done.returncode == 0, done.stdout


def test_a_terminal_sees_progress_and_colours(tmp_path: Path) -> None:
    code, shown = in_terminal('-m', 'replay', 'check', cwd=tmp_path)
    assert code == 0
    assert '\x1b[32mok        cassettes/good.json' in shown
    assert '1/1' in shown
