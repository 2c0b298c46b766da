"""Where the commands look for cassettes: what the configuration of pytest says, read without pytest."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from replay.cli._group import replay
from replay.cli._project import project
from replay.errors import ReplayError
from replay.store import Store
from tests.wide import asks, cassette, run, user

SAYS = {
    'pytest.toml': '[pytest]\nreplay_dir = "tapes"\n',
    'pytest.ini': '[pytest]\nreplay_dir = tapes\n',
    '.pytest.ini': '[pytest]\nreplay_dir = tapes\n',
    'pyproject.toml': '[tool.pytest.ini_options]\nreplay_dir = "tapes"\n',
    'tox.ini': '[pytest]\nreplay_dir = tapes\n',
    'setup.cfg': '[tool:pytest]\nreplay_dir = tapes\n',
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder below the root of the tests."""
    (tmp_path / 'deep').mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize('name', SAYS)
def test_each_file_that_configures_pytest_names_the_folder(here: Path, name: str) -> None:
    (here / name).write_text(SAYS[name])
    assert (project().root, project().folder) == (here, Path('tapes'))


def test_native_values_of_pyproject_count(here: Path) -> None:
    (here / 'pyproject.toml').write_text('[tool.pytest]\nreplay_dir = "tapes"\n')
    assert project().folder == Path('tapes')


@pytest.mark.parametrize(
    ('files', 'folder'),
    [
        ({}, 'cassettes'),
        ({'pytest.ini': '', 'pyproject.toml': SAYS['pyproject.toml']}, 'cassettes'),
        ({'pyproject.toml': '[project]\n', 'tox.ini': SAYS['tox.ini']}, 'tapes'),
        ({'pyproject.toml': '[tool.ruff]\n', 'setup.cfg': '[metadata]\nname = x\n'}, 'cassettes'),
        ({'pyproject.toml': 'tool = 1\n'}, 'cassettes'),
        ({'tox.ini': '[pytest]\naddopts = -q %s\n'}, 'cassettes'),
        ({'pytest.ini': SAYS['pytest.ini'], 'tox.ini': '[pytest]\nreplay_dir = other\n'}, 'tapes'),
    ],
)
def test_the_first_file_that_says_anything_to_pytest_counts(here: Path, files: dict[str, str], folder: str) -> None:
    for name, text in files.items():
        (here / name).write_text(text)
    assert project().folder == Path(folder)


def test_below_the_root_the_folder_is_found_and_test_ids_are_written_anew(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / 'pyproject.toml').write_text(SAYS['pyproject.toml'])
    monkeypatch.chdir(here / 'deep')
    assert (project().root, project().folder) == (here, here / 'tapes')
    assert project().here('deep/test_a.py::test_b[x/y]') == 'test_a.py::test_b[x/y]'
    assert project().here('test_c.py') == '../test_c.py'


@pytest.mark.parametrize('marker', ['pyproject.toml', 'setup.py'])
def test_a_project_that_says_nothing_to_pytest_is_the_root(
    here: Path, monkeypatch: pytest.MonkeyPatch, marker: str
) -> None:
    (here / marker).write_text('')
    monkeypatch.chdir(here / 'deep')
    assert project().root == here


@pytest.mark.parametrize(('name', 'text'), [('pyproject.toml', '[tool'), ('tox.ini', 'x\n[pytest]\n')])
def test_a_file_that_cannot_be_read_is_named(here: Path, name: str, text: str) -> None:
    (here / name).write_text(text)
    with pytest.raises(ReplayError) as caught:
        project()
    assert caught.value.headline == f'{name} cannot be read'
    result = CliRunner().invoke(replay, ['pending'])
    assert (result.exit_code, result.stderr.splitlines()[0]) == (2, f'replay: {name} cannot be read')


@pytest.mark.parametrize('command', ['check', 'accept', 'pending', 'reject'])
def test_commands_look_where_the_configuration_says_unless_told_otherwise(here: Path, command: str) -> None:
    (here / 'pytest.ini').write_text(SAYS['pytest.ini'])
    Store('tapes').write('a', cassette(run(asks(user('x')))))
    Store('tapes').write('a', cassette(run(asks(user('y')))), pending=True)
    assert 'tapes/a.json' in CliRunner().invoke(replay, [command]).stdout
    assert 'tapes/a.json' not in CliRunner().invoke(replay, [command, '--dir', 'elsewhere']).output


def test_pytest_itself_finds_the_same(here: Path) -> None:
    (here / 'setup.cfg').write_text(SAYS['setup.cfg'])
    (here / 'pyproject.toml').write_text('[project]\nname = "x"\n')
    (here / 'conftest.py').write_text(
        'def pytest_configure(config):\n    print("FOUND", config.rootpath, config.getini("replay_dir"))\n'
        'def pytest_addoption(parser):\n    parser.addini("replay_dir", "x")\n'
    )
    command = [sys.executable, '-m', 'pytest', '-s', '-p', 'no:replay.pytest_plugin', '-p', 'no:cacheprovider']
    said = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False).stdout
    assert f'FOUND {project().root} {project().folder}' in said
