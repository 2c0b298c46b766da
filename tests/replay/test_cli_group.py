"""The command line as a whole: help, exit codes, errors, terminal and pipe."""

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from replay import cli
from replay.cli._group import COMMANDS, replay
from replay.cli._out import say_json
from replay.errors import ReplayError, Where
from replay.store import Store
from tests.terminal import CHECKOUT, in_pipe, in_terminal
from tests.wide import asks, cassette, run, user


def test_help_lists_every_command_and_imports_none() -> None:
    program = (
        'import sys; sys.argv = ["replay", "--help"]\n'
        'import atexit; atexit.register(lambda: print(sorted(n for n in sys.modules if n.startswith("replay"))))\n'
        'from replay.cli import main; main()'
    )
    done = in_pipe('-c', program, cwd=CHECKOUT)
    *told, modules = done.stdout.splitlines()
    assert [line.split()[0] for line in told[told.index('Commands:') + 1 :]] == list(COMMANDS)
    loaded = ['cli', 'cli._group', 'cli._out', 'cli._steps', 'errors', 'printable']
    assert modules == str(['replay', *(f'replay.{name}' for name in loaded)])


@pytest.mark.parametrize('name', COMMANDS)
def test_every_command_has_help_in_the_words_of_the_list(name: str) -> None:
    result = CliRunner().invoke(replay, [name, '--help'])
    assert result.exit_code == 0, result.output
    assert result.output.startswith(f'Usage: replay {name} ')


@pytest.mark.parametrize('arguments', [['nope'], ['--nope'], ['diff', '--nope'], ['show'], ['diff', 'a'], ['run', 'x']])
def test_wrong_usage_ends_in_code_2(arguments: list[str]) -> None:
    result = CliRunner().invoke(replay, arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith('Usage: replay')


@pytest.mark.parametrize('name', ['nope', 'Show', 'sho'])
def test_a_command_that_does_not_exist_is_unknown(name: str) -> None:
    assert f"No such command '{name}'" in CliRunner().invoke(replay, [name]).stderr


def test_an_error_is_told_in_its_own_words_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command('show')
    def broken() -> None:
        raise ReplayError(
            'it is \x1b[2J broken',
            expected='this',
            got='that\nand \x1b more',
            where=Where(cassette='a.json', node='3 End'),
            next=('replay show b.json',),
        )

    monkeypatch.setattr('replay.cli._show.show_command', broken)
    result = CliRunner().invoke(replay, ['show'])
    assert result.exit_code == 2
    assert result.stdout == ''
    assert result.stderr == (
        'replay: it is \\x1b[2J broken\n'
        '   expected  this\n'
        '   got       that\n'
        '             and \\x1b more\n'
        '   where     a.json  node 3 End\n'
        '   next      replay show b.json\n'
    )


@pytest.mark.parametrize('missing', [['click'], ['rich'], ['click', 'rich']])
def test_without_the_extra_one_line_says_what_to_install(
    missing: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def find(name: str) -> object:
        return None if name in missing else object()

    monkeypatch.setattr(cli, 'find_spec', find)
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 2
    names = ' and '.join(missing)
    assert capsys.readouterr().err == (f"replay: the command line needs {names}: pip install 'agentrun-replay[cli]'\n")


def test_the_entry_point_ends_with_the_code_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('sys.argv', ['replay', 'show', 'nowhere.json'])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 2


def test_a_closed_pipe_is_quiet() -> None:
    program = f'{sys.executable} -m replay --help | true'
    done = subprocess.run(program, shell=True, cwd=CHECKOUT, capture_output=True, check=False)
    assert done.stderr == b''


def test_a_pipe_that_cannot_show_a_character_gets_its_escape() -> None:
    done = in_pipe('-m', 'replay', 'accept', '--dir', '日', cwd=CHECKOUT, PYTHONIOENCODING='latin-1')
    assert (done.returncode, done.stdout) == (0, 'nothing is pending below \\u65e5\n')


def test_what_json_cannot_hold_is_an_error_of_its_own() -> None:
    with pytest.raises(ReplayError) as caught:
        say_json('\ud800')
    assert caught.value.headline == 'the result cannot be written as JSON'


PROGRAM = """
from replay.cli._out import progress, say
with progress('first [bold]') as steps:
    steps.expect(2)
    steps.done('second')
    steps.done('')
say('done', colour='green')
"""


def test_a_terminal_gets_colours_and_progress() -> None:
    code, told = in_terminal('-c', PROGRAM, cwd=CHECKOUT)
    assert code == 0
    assert '\x1b[32mdone' in told
    assert 'first [bold]' in told
    assert '2/2' in told


@pytest.mark.parametrize(('name', 'value'), [('NO_COLOR', '1'), ('TERM', 'dumb')])
def test_a_terminal_that_wants_no_colours_gets_none(name: str, value: str) -> None:
    program = 'from replay.cli._out import say; say("done", colour="green")'
    assert in_terminal('-c', program, cwd=CHECKOUT, more={name: value}) == (0, 'done\r\n')


def test_a_pipe_gets_neither_colours_nor_progress() -> None:
    done = in_pipe('-c', PROGRAM, cwd=CHECKOUT)
    assert (done.stdout, done.stderr) == ('done\n', '')


HOSTILE = {
    'missing.json': None,
    'empty.json': b'',
    'cut.json': b'{"format": "agentrun-replay/1", "runs": [',
    'binary.json': b'\xff\xfe\x00\x1b[2J',
    'conflict.json': b'<<<<<<< ours\n{}\n=======\n{}\n>>>>>>> theirs\n',
    'later.json': b'{"format": "agentrun-replay/99"}',
    'other.json': b'[1, 2]',
    'odd.json': b'{"format": "agentrun-replay/1", "runs": [{"run": 1}], "seal": 7}',
    'dir.json': b'folder',
}
READERS = [
    *(
        ['show'],
        ['list'],
        ['check'],
        ['diff', 'GOOD'],
        ['view'],
        ['export'],
        ['export', '--as', 'function-model'],
        ['seal'],
    ),
    *(
        ['migrate'],
        ['move', 'test_x'],
        ['record'],
        ['rebind'],
        ['drift'],
        ['review'],
        ['accept'],
        ['reject'],
        ['pending'],
    ),
    *(['import'], ['list', '--json'], ['review', '--json']),
]


@pytest.mark.parametrize('name', HOSTILE)
@pytest.mark.parametrize('arguments', READERS, ids=' '.join)
def test_no_file_makes_a_command_fall_over(
    arguments: list[str], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('CI', raising=False)
    Store('.').write('GOOD', cassette(run(asks(user('x')))))
    for ending in ('', '.new'):
        path, data = tmp_path / f'{name}{ending}', HOSTILE[name]
        if data == b'folder':
            path.mkdir()
        elif data is not None:
            path.write_bytes(data)
    before = sorted(path for path in tmp_path.rglob('*') if path.is_file())
    given = ['GOOD.json' if argument == 'GOOD' else argument for argument in arguments]
    result = CliRunner().invoke(replay, [*given, name])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code in {0, 1, 2}
    assert '\x1b[2J' not in result.output
    if arguments[0] not in {'reject', 'move'}:
        assert sorted(path for path in tmp_path.rglob('*') if path.is_file()) == before
