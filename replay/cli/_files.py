"""Cassettes as a person names them: by path, by folder, or by name below the folder of cassettes."""

import sys
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

from replay.codec import DEFAULT_LIMITS
from replay.errors import CassetteDamaged, CassetteNotFound, ReplayError, Where
from replay.names import PENDING, SUFFIX, cassette_name
from replay.printable import printable
from replay.store import Store, read_bytes, write_bytes

from ._project import DEFAULT_FOLDER, project

__all__ = (
    'Found',
    'cassette_at',
    'cassettes_in',
    'pending_in',
    'read_input',
    'shown_path',
    'split_path',
    'write_new',
)

Found = tuple[Store, str]
"""A cassette: its store, and its name there."""


def shown_path(path: Path | str) -> str:
    """Write a path as a person would type it here: relative to the current folder if it is below, safe to print."""
    whole = Path(path).absolute()
    here = Path.cwd()
    return printable((whole.relative_to(here) if whole.is_relative_to(here) else Path(path)).as_posix())


def split_path(path: Path) -> Found:
    """Take a path apart into the store of its folder and the name of the cassette there."""
    return Store(path.parent), path.name.removesuffix(PENDING)


def cassette_at(given: str) -> Path:
    """Find the cassette that a person means: by its path, by its name below the folder, or by the id of its test.

    Raises:
        CassetteNotFound: If it is none of these, or a folder.
    """
    path = Path(given)
    with suppress(OSError, ValueError):  # no name that a file could have
        if path.is_dir():
            raise CassetteNotFound(
                f'{shown_path(path)} is a folder',
                expected='one cassette',
                got='a folder',
                next=(f'replay list {shown_path(path)}     shows what is in it',),
            )
        if path.exists():
            return path
    store, pending = Store(project().folder), given.endswith(PENDING)
    for name in (given.removesuffix(PENDING), *([cassette_name(given)] if '::' in given else [])):
        with suppress(ReplayError):  # no name that a cassette could have
            if store.exists(name, pending=pending):
                return store.path(name, pending=pending)
    near = get_close_matches(given.removesuffix(SUFFIX), [name.removesuffix(SUFFIX) for name in store.names()])
    raise CassetteNotFound(
        f'no cassette {given}',
        expected=f'the path of one, its name below {shown_path(store.folder)}, or the id of its test',
        got=f'no such file; near: {", ".join(near)}' if near else 'no such file',
        next=('replay list     shows what there is',),
    )


def cassettes_in(paths: tuple[Path, ...], folder: Path) -> list[Path]:
    """List the cassettes that were named.

    Args:
        paths: Files, which need not be cassettes, and folders; if there is none, `folder` is meant.
        folder: The folder of cassettes.

    Returns:
        Files in the order named, those of a folder sorted, none twice.

    Raises:
        CassetteNotFound: If there is nothing at one of the paths, or no cassette at all.
    """
    found: dict[Path, None] = {}
    for path in paths or (folder,):
        if path.is_dir():
            found.update(dict.fromkeys(path / name for name in Store(path).names()))
        elif path.exists():
            found[path] = None
        else:
            raise CassetteNotFound(
                f'nothing at {path}',
                expected='a cassette or a folder of cassettes',
                got='no such file',
                next=_where_to(),
            )
    if not found:
        raise CassetteNotFound(
            f'no cassettes in {", ".join(map(str, paths or (folder,)))}',
            expected='files that end in .json',
            got='none',
            next=_where_to(),
        )
    return list(found)


def pending_in(targets: tuple[str, ...], folder: Path) -> list[Found]:
    """List the pending recordings that were named.

    Args:
        targets: Paths of cassettes, of pending recordings or of folders, or names below `folder`; none means all.
        folder: The folder of cassettes.

    Raises:
        CassetteNotFound: If nothing is pending at one of them.
    """
    store = Store(folder)
    if not targets:
        return [(store, name) for name in store.pending()]
    found = [each for target in targets for each in _pending_at(target, store)]
    return list(dict.fromkeys(found))


def _pending_at(target: str, store: Store) -> list[Found]:
    path = Path(target)
    if path.is_dir():
        return [(Store(path), name) for name in Store(path).pending()]
    name = target.removesuffix(PENDING)
    beside = path.with_name(f'{path.name.removesuffix(PENDING)}{PENDING}')
    if beside.name.endswith(f'{SUFFIX}{PENDING}') and beside.is_file():
        return [split_path(beside)]
    if not path.is_absolute() and store.exists(name, pending=True):
        return [(store, name)]
    waiting = store.pending()
    raise CassetteNotFound(
        f'no pending recording of {target}',
        expected=f'one of {", ".join(waiting)}' if waiting else f'a pending recording below {shown_path(store.folder)}',
        got=target,
        next=('replay record TEST   makes one',),
    )


def read_input(name: str) -> bytes:
    """Read a file, or the standard input for `-`, within the limits of cassettes.

    Raises:
        ReplayError: If that cannot be read.
    """
    if name != '-':
        try:
            return read_bytes(name)
        except CassetteNotFound:
            raise ReplayError(f'no file {name}', expected='a file, or - for the input', got='no such file') from None
    data = sys.stdin.buffer.read(DEFAULT_LIMITS.size + 1)
    if len(data) > DEFAULT_LIMITS.size:
        raise CassetteDamaged(
            'the input is too large', cause='too-large', expected=f'at most {DEFAULT_LIMITS.size} bytes'
        )
    return data


def write_new(path: Path, text: str, *, force: bool) -> bool:
    """Write a file that may not replace another unless that was asked for.

    Returns:
        Whether anything was written: not if the file holds the same text already.

    Raises:
        ReplayError: If the file holds something else, or the disk says no.
    """
    data = text.encode()
    if path.exists():
        if path.is_file() and read_bytes(path) == data:
            return False
        if not force:
            raise ReplayError(
                f'{path} exists',
                expected='a new file, or one that holds the same',
                got='a file with something else in it' if path.is_file() else 'no plain file',
                where=Where(cassette=shown_path(path)),
                next=('--force to replace it', '-o with another name'),
            )
    write_bytes(path, data)
    return True


def _where_to() -> tuple[str, ...]:
    return (f'name a path, or run it in the folder that holds {DEFAULT_FOLDER}/',)
