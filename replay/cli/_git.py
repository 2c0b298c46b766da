"""What the comparison with a revision needs of git, and nothing that changes a repository."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from replay.errors import ReplayError

__all__ = ('Changed', 'changed_files', 'content_at', 'resolve')


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A file that differs between a revision and the working tree."""

    path: Path
    """Absolute."""
    in_revision: str | None
    """Its path inside the repository, if the revision has it."""


def resolve(revision: str) -> str:
    """Find the commit that a revision names.

    Args:
        revision: Whatever git takes: a branch, a tag, `HEAD~3`, a hash.

    Returns:
        The hash of the commit.

    Raises:
        ReplayError: If git is missing, this is no repository, or it knows no such revision.
    """
    _top()
    done = _git('rev-parse', '--verify', '--quiet', '--end-of-options', f'{revision}^{{commit}}')
    if done.returncode:
        raise ReplayError(
            f'no revision {revision}',
            expected='a commit, branch or tag of this repository',
            got=repr(revision),
            next=('git log --oneline', 'git fetch, if it is on a remote only'),
        )
    return done.stdout.decode().strip()


def changed_files(commit: str, paths: tuple[Path, ...]) -> list[Changed]:
    """List the files below some paths that differ between a commit and the working tree, untracked ones included.

    Args:
        commit: Hash of a commit, from `resolve`.
        paths: Files or folders.

    Returns:
        Sorted by path.
    """
    top = _top()
    where = ('--', *(str(path) for path in paths))
    told = _checked('diff', '--name-status', '--no-renames', '-z', commit, *where).split('\0')[:-1]
    found = {path: status != 'A' for status, path in zip(told[::2], told[1::2], strict=True)}
    new = _checked('ls-files', '--others', '--exclude-standard', '--full-name', '-z', *where).split('\0')[:-1]
    # A file can be untracked and yet in the revision, if only the index forgot it.
    found.update({path: found.get(path, False) for path in new})
    return [Changed(path=top / path, in_revision=path if tracked else None) for path, tracked in sorted(found.items())]


def content_at(commit: str, path: str) -> bytes:
    """Read a file as it was in a commit.

    Args:
        commit: Hash of a commit.
        path: Its path inside the repository.
    """
    return _run('cat-file', 'blob', f'{commit}:{path}')


def _top() -> Path:
    done = _git('rev-parse', '--show-toplevel')
    if done.returncode:
        raise ReplayError(
            'no git repository here',
            expected=f'{Path.cwd()} inside a working tree',
            got=_last_line(done.stderr),
            next=('replay diff OLD NEW   compares two files without git',),
        )
    return Path(done.stdout.decode(errors='surrogateescape').removesuffix('\n'))


def _checked(*arguments: str) -> str:
    return _run(*arguments).decode(errors='surrogateescape')


def _run(*arguments: str) -> bytes:
    done = _git(*arguments)
    if done.returncode:
        raise ReplayError(f'git {arguments[0]} failed', got=_last_line(done.stderr))
    return done.stdout


def _last_line(text: bytes) -> str:
    return text.decode(errors='replace').strip().rpartition('\n')[2]


def _git(*arguments: str) -> 'subprocess.CompletedProcess[bytes]':
    command = ['git', *arguments]
    try:
        # Which git is the user's choice; what stands in a revision or path never reaches a shell.
        return subprocess.run(command, capture_output=True, check=False)  # noqa: S603
    except FileNotFoundError:
        raise ReplayError('git is not installed', expected='the command git', got='nothing of that name') from None
