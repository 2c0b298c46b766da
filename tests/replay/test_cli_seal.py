"""`replay seal`: deliberate edits by hand."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pydantic_core import from_json

from replay.cli._group import replay as command
from replay.store import Store, read_cassette
from tests.wide import answers, asks, cassette, run, text, user

PATH = Path('cassettes/a.json')


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A cassette of two runs."""
    for name in [name for name in os.environ if name.startswith('GIT_')]:
        monkeypatch.delenv(name)
    monkeypatch.setenv('GIT_CEILING_DIRECTORIES', str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    found = Store('cassettes')
    first = run(asks(user('Paris?')), answers(text('sunny')))
    second = run(asks(user('Rome?')), answers(text('rainy')), name='other')
    found.write('a', cassette(first, second))
    return found


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(command, ['seal', *arguments])


def edit(old: str, new: str) -> None:
    before = PATH.read_text()
    assert old in before
    PATH.write_text(before.replace(old, new))


def commit() -> None:
    names = ('-c', 'user.name=t', '-c', 'user.email=t@t.test', '-c', 'commit.gpgsign=false')
    for arguments in (('init', '-q'), ('add', '-A'), ('commit', '-qm', 'first')):
        subprocess.run(['git', *names, *arguments], check=True, capture_output=True)


def test_only_the_runs_that_differ_from_the_last_commit_are_marked(store: Store) -> None:
    commit()
    edit('rainy', 'stormy')
    assert invoke(str(PATH)).stdout == 'sealed    cassettes/a.json   marked edited: other\n'
    assert [each.marks for each in store.read('a').runs] == [(), ('edited',)]
    assert 'stormy' in PATH.read_text()


def test_all_runs_are_marked_where_git_does_not_know_what_was_there(store: Store) -> None:
    edit('rainy', 'stormy')
    assert from_json(invoke(str(PATH), '--json').stdout) == {
        'sealed': [{'cassette': 'cassettes/a.json', 'edited': ['trip_agent', 'other']}]
    }
    assert [each.marks for each in store.read('a').runs] == [('edited',), ('edited',)]


def test_a_file_that_git_does_not_know_yet_is_marked_whole() -> None:
    PATH.rename('moved.json')
    commit()
    Path('moved.json').rename('other.json')
    Path('other.json').write_text(Path('other.json').read_text().replace('rainy', 'stormy'))
    assert 'edited: trip_agent, other' in invoke('other.json').stdout


def test_an_edit_that_only_changes_the_layout_marks_nothing(store: Store) -> None:
    commit()
    edit('  "runs"', '      "runs"')
    assert invoke(str(PATH)).stdout == 'sealed    cassettes/a.json   no run differs from the last commit\n'
    assert [each.marks for each in store.read('a').runs] == [(), ()]
    assert CliRunner().invoke(command, ['check', str(PATH)]).exit_code == 1  # played by nobody's code, but intact
    assert '      "runs"' not in PATH.read_text()


def test_an_edit_twice_is_marked_once(store: Store) -> None:
    for old, new in (('rainy', 'stormy'), ('stormy', 'foggy')):
        edit(old, new)
        invoke(str(PATH))
    assert store.read('a').runs[1].marks == ('edited',)


def test_a_cassette_whose_seal_holds_stays_as_it_is() -> None:
    before = PATH.read_bytes()
    assert invoke(str(PATH)).stdout == 'unchanged cassettes/a.json   its seal holds\n'
    assert from_json(invoke(str(PATH), '--json').stdout)['sealed'][0]['edited'] is None
    assert PATH.read_bytes() == before


def test_a_pending_recording_can_be_sealed_too(store: Store) -> None:
    PATH.rename('cassettes/a.json.new')
    path = Path('cassettes/a.json.new')
    path.write_text(path.read_text().replace('rainy', 'stormy'))
    assert invoke(str(path)).exit_code == 0
    assert 'stormy' in str(store.read('a', pending=True))


TEXT_DAMAGE: dict[str, Callable[[str], str]] = {
    'cannot be read': lambda text: text[:-60],
    'has conflict marks of a merge': lambda text: f'<<<<<<< ours\n{text}',
    'nonsense': lambda text: text.replace('"user-prompt"', '"nonsense"'),
    'is empty': lambda _: '',
    'newer version': lambda text: text.replace('agentrun-replay/1', 'agentrun-replay/9'),
}
ADVICE = {'has conflict marks of a merge': 'git checkout --ours -- cassettes/a.json', 'newer version': 'pip install'}


@pytest.mark.parametrize('said', TEXT_DAMAGE)
def test_what_is_no_cassette_is_refused_with_what_to_type(said: str) -> None:
    advice = ADVICE.get(said, 'git checkout -- cassettes/a.json')
    broken = TEXT_DAMAGE[said](PATH.read_text())
    PATH.write_text(broken)
    result = invoke(str(PATH))
    assert result.exit_code == 2
    assert said in result.stderr
    assert advice in result.stderr
    assert PATH.read_text() == broken


def test_nothing_is_sealed_if_one_of_them_is_no_cassette(store: Store) -> None:
    edit('rainy', 'stormy')
    before = PATH.read_bytes()
    Path('b.json').write_text('{}')
    assert invoke(str(PATH), 'b.json').exit_code == 2
    assert PATH.read_bytes() == before


def test_an_edit_that_brings_in_a_secret_is_not_sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('SOME_API_KEY', 'stormy-weather-9183')
    edit('rainy', 'stormy-weather-9183')
    before = PATH.read_bytes()
    assert invoke(str(PATH)).exit_code == 2
    assert PATH.read_bytes() == before


def test_a_file_that_is_not_there_is_told() -> None:
    assert invoke('nope.json').exit_code == 2
    assert invoke().exit_code == 2


def test_a_sealed_cassette_can_be_read_again() -> None:
    edit('rainy', 'stormy')
    invoke(str(PATH))
    assert read_cassette(PATH).runs[1].name == 'other'
