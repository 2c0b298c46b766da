"""`replay diff`."""

import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pydantic_core import from_json

from replay.cassette import Cassette
from replay.cli._group import replay
from replay.store import Store
from tests.terminal import in_pipe, in_terminal
from tests.wide import answers, asks, call, cassette, returned, run, text, user


def weather(city: str, *, id: str = 'c1') -> Cassette:
    return cassette(
        run(
            asks(user('Weather?')),
            answers(call('weather', {'city': city}, id=id)),
            asks(returned('weather', 'sunny', id=id)),
            answers(text('Sunny'), response_id=id),
        )
    )


def git(*arguments: str) -> None:
    names = ('-c', 'user.name=t', '-c', 'user.email=t@t.test', '-c', 'commit.gpgsign=false')
    subprocess.run(['git', *names, *arguments], check=True, capture_output=True)


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Two cassettes that differ in one argument, and one that differs from the first in ids only."""
    for name in [name for name in os.environ if name.startswith('GIT_')]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    found = Store('cassettes')
    found.write('a', weather('Paris'))
    found.write('b', weather('Rome'))
    found.write('ids', weather('Paris', id='other'))
    return found


@pytest.fixture
def repository(store: Store) -> Store:
    """The three cassettes committed; then `a` changed, `b` is gone, `ids` was recorded anew, `c` is new."""
    git('init', '-q', '-b', 'main')
    git('add', '-A')
    git('commit', '-qm', 'first')
    store.write('a', weather('Oslo'))
    store.path('b').unlink()
    store.write('ids', weather('Paris', id='third'))
    store.write('c', weather('Lima'))
    return store


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(replay, ['diff', *arguments])


A, B, IDS = 'cassettes/a.json', 'cassettes/b.json', 'cassettes/ids.json'


def test_two_cassettes_that_differ_end_in_code_1() -> None:
    result = invoke(A, B)
    assert result.exit_code == 1
    assert result.stdout == (
        '- cassettes/a.json\n'
        '+ cassettes/b.json\n'
        'run trip_agent: 1 changed\n'
        '    0 UserPromptNode\n'
        '    1 ModelRequestNode: user "Weather?"\n'
        '  ~ 2 CallToolsNode: weather(city="Rome") #call-1\n'
        '      parts[0].args.city\n'
        '      - "Paris"\n'
        '      + "Rome"\n'
        '    3 ModelRequestNode: weather -> "sunny" #call-1\n'
        '    4 CallToolsNode: text 5 chars\n'
        '    5 End\n'
        '\n'
        '1 of 1 cassettes differ (1 changed nodes)\n'
    )


def test_two_cassettes_that_differ_in_ids_only_are_equal() -> None:
    result = invoke(A, IDS)
    assert result.exit_code == 0
    assert result.stdout.endswith('\n0 of 1 cassettes differ\n')


def test_markdown_and_json_are_offered() -> None:
    assert invoke(A, B, '--format', 'markdown').stdout.startswith(
        '**1 of 1 cassettes differ (1 changed nodes)**\n\n###'
    )
    for form in (('--json',), ('--format', 'json')):
        result = invoke(A, B, *form)
        assert result.exit_code == 1
        assert from_json(result.stdout)['differs'] is True


def test_the_working_tree_is_compared_with_a_revision(repository: Store) -> None:
    result = invoke('--base', 'main', '--json')
    assert result.exit_code == 1
    told = from_json(result.stdout)['cassettes']
    assert [(each['old'], each['new'], each['differs']) for each in told] == [
        ('main:cassettes/a.json', 'cassettes/a.json', True),
        ('main:cassettes/b.json', None, True),
        (None, 'cassettes/c.json', True),
        ('main:cassettes/ids.json', 'cassettes/ids.json', False),
    ]


def test_paths_choose_what_is_compared_with_a_revision(repository: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert invoke('--base', 'HEAD', IDS).exit_code == 0
    assert invoke('--base', 'HEAD', A, IDS).stdout.count('\nrun trip_agent') == 2
    assert invoke('--base', 'HEAD', B).stdout.startswith(f'- HEAD:{B}\n+ (none)\nrun trip_agent: run is gone\n')
    monkeypatch.chdir('cassettes')
    assert invoke('--base', 'HEAD', 'a.json').stdout.startswith(f'- HEAD:{A}\n+ a.json\n')


def test_files_that_are_no_cassettes_by_name_are_left_alone(repository: Store) -> None:
    Path('cassettes/notes.txt').write_text('x', encoding='utf-8')
    repository.write('ids', weather('x'), pending=True)
    assert len(from_json(invoke('--base', 'HEAD', '--json').stdout)['cassettes']) == 4


def test_nothing_changed_is_code_0(repository: Store) -> None:
    git('add', '-A')
    git('commit', '-qm', 'second')
    result = invoke('--base', 'HEAD')
    assert (result.exit_code, result.stdout) == (0, '0 of 0 cassettes differ\n')


@pytest.mark.parametrize(
    ('arguments', 'headline'),
    [
        (['--base', 'nope'], 'no revision nope'),
        (['--base', 'HEAD', 'elsewhere'], 'nothing at elsewhere'),
        ([A, 'cassettes/nope.json'], 'no cassette cassettes/nope.json'),
    ],
)
def test_bad_input_is_one_clear_error(repository: Store, arguments: list[str], headline: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[0] == f'replay: {headline}'


def test_a_damaged_file_is_named_with_its_revision(repository: Store) -> None:
    Path(A).write_text('{"format": ', encoding='utf-8')
    git('add', '-A')
    git('commit', '-qm', 'broken')
    repository.write('a', weather('Oslo'))
    result = invoke('--base', 'HEAD', A)
    assert result.exit_code == 2
    assert f'HEAD:{A}' in result.stderr


def test_outside_of_a_repository_base_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('GIT_CEILING_DIRECTORIES', str(tmp_path.parent))
    result = invoke('--base', 'HEAD')
    assert result.exit_code == 2
    assert result.stderr.startswith('replay: no git repository here\n')


def test_colours_are_for_terminals_only(tmp_path: Path) -> None:
    arguments = ('-m', 'replay', 'diff', A, B)
    code, shown = in_terminal(*arguments, cwd=tmp_path)
    assert code == 1
    assert '\x1b[33m  ~ 2 CallToolsNode' in shown
    assert '\x1b[31m      - "Paris"' in shown
    piped = in_pipe(*arguments, cwd=tmp_path)
    assert '\x1b' not in piped.stdout
    assert piped.stderr == ''
