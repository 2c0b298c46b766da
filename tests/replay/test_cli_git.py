"""What is asked of git."""

import os
import subprocess
from pathlib import Path

import pytest

from replay.cli import _git
from replay.errors import ReplayError


def git(*arguments: str) -> None:
    names = ('-c', 'user.name=t', '-c', 'user.email=t@t.test', '-c', 'commit.gpgsign=false')
    subprocess.run(['git', *names, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit of three files, of which one changed, one is gone and one more is new."""
    for name in [name for name in os.environ if name.startswith('GIT_')]:
        monkeypatch.delenv(name)
    top = tmp_path / 'top é'
    (top / 'sub').mkdir(parents=True)
    monkeypatch.chdir(top)
    git('init', '-q', '-b', 'main')
    for name in ('same', 'changed', 'gone'):
        (top / 'sub' / f'{name}.json').write_text(name, encoding='utf-8')
    git('add', '-A')
    git('commit', '-qm', 'first')
    (top / 'sub/changed.json').write_text('now', encoding='utf-8')
    (top / 'sub/gone.json').unlink()
    (top / 'sub/new é.json').write_text('new', encoding='utf-8')
    return top


def test_changed_gone_and_untracked_files_are_listed_from_any_folder(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = _git.resolve('HEAD')
    expected = [
        ('changed.json', 'sub/changed.json'),
        ('gone.json', 'sub/gone.json'),
        ('new é.json', None),
    ]
    assert [(file.path.name, file.in_revision) for file in _git.changed_files(commit, (Path('sub'),))] == expected
    monkeypatch.chdir(repository / 'sub')
    found = _git.changed_files(commit, (Path(),))
    assert [(file.path.name, file.in_revision) for file in found] == expected
    assert found[0].path.read_text(encoding='utf-8') == 'now'
    assert _git.content_at(commit, 'sub/changed.json') == b'changed'


def test_a_file_added_to_the_index_is_new(repository: Path) -> None:
    git('add', '-A')
    found = _git.changed_files(_git.resolve('main'), (repository,))
    assert found[-1].in_revision is None


def test_a_file_that_only_the_index_forgot_is_still_in_the_revision(repository: Path) -> None:
    git('rm', '-q', '--cached', 'sub/same.json')
    (repository / 'sub/same.json').write_text('other', encoding='utf-8')
    found = {file.path.name: file.in_revision for file in _git.changed_files(_git.resolve('main'), (repository,))}
    assert found['same.json'] == 'sub/same.json'


@pytest.mark.parametrize('revision', ['nope', '--help', 'HEAD~7', '', 'HEAD:sub'])
def test_a_revision_that_is_none_is_told(repository: Path, revision: str) -> None:
    with pytest.raises(ReplayError) as caught:
        _git.resolve(revision)
    assert caught.value.headline == f'no revision {revision}'


def test_outside_of_a_repository_the_other_form_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('GIT_CEILING_DIRECTORIES', str(tmp_path.parent))
    with pytest.raises(ReplayError) as caught:
        _git.resolve('HEAD')
    assert caught.value.headline == 'no git repository here'


def test_a_missing_git_is_told(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('PATH', '')
    with pytest.raises(ReplayError) as caught:
        _git.resolve('HEAD')
    assert caught.value.headline == 'git is not installed'


def test_a_path_outside_of_the_repository_is_told(repository: Path) -> None:
    with pytest.raises(ReplayError) as caught:
        _git.changed_files(_git.resolve('HEAD'), (repository.parent,))
    assert caught.value.headline == 'git diff failed'
    assert 'outside repository' in (caught.value.got or '')
