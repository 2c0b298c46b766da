"""The only access to the disk: cassettes in one folder, read within limits and written whole or not at all.

A recording that waits for a decision stands beside its cassette as `NAME.json.new` and is never taken for it. Nothing
is changed on any error: a new text goes to a temporary file, is flushed, and takes its place by one rename.
"""

import os
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import date
from pathlib import Path
from shlex import quote
from threading import RLock
from typing import cast

from . import disk
from .age import days_over
from .cassette import Cassette, Node
from .codec import DEFAULT_LIMITS, Limits, dumps, loads
from .errors import CassetteDamaged, CassetteNotFound, NameRefused, ReplayError, StoreFailed, Where
from .journal_file import hold
from .keep import kept
from .names import PENDING, SUFFIX, checked_name
from .redact import Redactor
from .veil import Leak, SecretLeft, leaks_of, veiled_cassette

__all__ = ('Store', 'probe', 'read_bytes', 'read_cassette', 'refuse_secrets', 'write_bytes')

_writing = RLock()
"""Two threads do not write one cassette at once; two processes are kept apart by `hold`."""


class Store:
    """The cassettes of one folder. Names are paths below it, with forward slashes, with or without `.json`.

    Args:
        folder: Where the cassettes are; it need not exist yet.
        limits: What a cassette may be at most.
        redactor: What knows secrets, none of which is written; without one formats and the environment tell.
    """

    def __init__(
        self, folder: str | Path, *, limits: Limits = DEFAULT_LIMITS, redactor: Redactor | None = None
    ) -> None:
        self.folder = Path(folder)
        self.limits = limits
        self._redactor = redactor

    def path(self, name: str, *, pending: bool = False) -> Path:
        """Where a cassette stands, or would stand.

        Raises:
            NameRefused: If that is not inside the folder, links followed.
        """
        checked = checked_name(name.removesuffix(PENDING) if pending else name)
        path = self.folder / f'{checked}{PENDING if pending else ""}'
        if not _passes_link(self.folder, path):
            return path
        try:
            inside = path.resolve().is_relative_to(self.folder.resolve())
        except (OSError, RuntimeError) as error:  # a loop of links
            raise _failed('followed', path, error) from None
        if not inside:
            raise NameRefused(
                f'{name!r} leads out of the folder of cassettes by a link',
                expected=f'a file inside {self.folder}',
                got=str(path.resolve()),
                next=('remove the link, or choose another name',),
            )
        return path

    def exists(self, name: str, *, pending: bool = False) -> bool:
        """Whether there is such a cassette, or such a pending recording."""
        return _is_file(self.path(name, pending=pending))

    def read(self, name: str, *, pending: bool = False) -> Cassette:
        """Read a cassette, or a pending recording.

        Raises:
            CassetteNotFound: If there is none.
            CassetteDamaged: If it cannot be read as one; its subclasses and siblings as in `codec.loads`.
            StoreFailed: If the disk says no.
        """
        return read_cassette(self.path(name, pending=pending), limits=self.limits)

    def read_redacted(self, name: str, *, pending: bool = False) -> Cassette:
        """Read a cassette as it would be recorded today: without secrets that were not known when it was.

        Raises:
            ReplayError: As for `read`.
        """
        path = self.path(name, pending=pending)
        text: str | bytes = read_bytes(path, limits=self.limits)
        with suppress(UnicodeDecodeError):  # which reading it tells of
            text = text.decode()
        cassette = loads(text, name=path.as_posix(), limits=self.limits)
        return veiled_cassette(cassette, self._redactor or Redactor(os.environ), text=cast('str', text))

    def write(self, name: str, cassette: Cassette, *, pending: bool = False, oldest: date | None = None) -> bool:
        """Write a cassette unless nothing but `recorded`, or the order in which parallel tools ended, would change.

        Args:
            name: Name of the cassette.
            cassette: What is written.
            pending: Whether it waits beside the accepted one. If it equals that, an earlier one that waits is removed.
            oldest: What is there and older than this is written anew though nothing else changes, so that it is known
                to be true still.

        Returns:
            Whether anything was written.

        Raises:
            NotRestorable: If its text would not bring it back.
            SecretLeft: If it would hold a secret.
            StoreFailed: If the disk says no.
        """
        path = self.path(name, pending=pending)
        text = dumps(cassette, name=path.as_posix())
        self._scan(name, cassette, text)
        if self._says(path, cassette, oldest) and not pending:
            return False
        with self._held(name):
            if pending and self._says(self.path(name), cassette, oldest):
                if _is_file(path):
                    self.reject(name)
                return False
            if self._says(path, cassette, oldest):
                return False
            _replace_bytes(path, text.encode())
            return True

    def kept(self, name: str, new: Cassette) -> Cassette:
        """Write a new recording in the words of the cassette that it would take the place of: see `keep.kept`.

        One that cannot be read has no words.
        """
        if not self.exists(name):
            return new
        try:
            return kept(self.read(name), new)
        except ReplayError:
            return new

    def accept(self, name: str) -> None:
        """Let a pending recording take the place of its cassette.

        Raises:
            CassetteNotFound: If none is pending.
            CassetteDamaged: If it cannot be read; both files stay as they are.
            SecretLeft: If it holds a secret; both files stay as they are.
            StoreFailed: If the disk says no.
        """
        path, waiting = self.path(name), self.path(name, pending=True)
        text = read_bytes(waiting, limits=self.limits)
        cassette = loads(text, name=waiting.as_posix(), limits=self.limits)
        self._scan(name, cassette, text.decode())
        with self._held(name), _disk('accepted', waiting):
            disk.replace(waiting, path)

    def reject(self, name: str) -> None:
        """Remove a pending recording.

        Raises:
            CassetteNotFound: If none is pending.
            StoreFailed: If the disk says no.
        """
        self.remove(name, pending=True)

    def remove(self, name: str, *, pending: bool = False) -> None:
        """Remove a cassette or a pending recording, and the folders that are empty then.

        Raises:
            CassetteNotFound: If there is none.
            StoreFailed: If the disk says no.
        """
        path = self.path(name, pending=pending)
        with _disk('removed', path):
            path.unlink()
            disk.sync_folder(path.parent)
        with suppress(OSError):  # the first that is not empty
            for folder in path.parents:
                if folder == self.folder:
                    break
                folder.rmdir()

    def names(self) -> list[str]:
        """Names of all cassettes below the folder, sorted."""
        return self._names(SUFFIX)

    def pending(self) -> list[str]:
        """Names of all cassettes for which a recording is pending, sorted."""
        return [name.removesuffix(PENDING) for name in self._names(f'{SUFFIX}{PENDING}')]

    @contextmanager
    def _held(self, name: str) -> Generator[None]:
        with _writing, hold(self.path(name)):
            yield

    def _scan(self, name: str, cassette: Cassette, text: str) -> None:
        refuse_secrets(name, cassette, text, self._redactor or Redactor(os.environ))

    def _names(self, ending: str) -> list[str]:
        return sorted(
            (Path(folder) / file).relative_to(self.folder).as_posix()
            for folder, _, files in os.walk(self.folder)
            for file in files
            if file.endswith(ending) and not file.startswith('.') and (Path(folder) / file).is_file()
        )

    def _says(self, path: Path, cassette: Cassette, oldest: date | None) -> bool:
        """Whether a file already holds a cassette, `recorded` and races of tools apart.

        A file that cannot be read does not.
        """
        if not _is_file(path):
            return False
        try:
            text = read_bytes(path, limits=self.limits)
            there = loads(text, name=path.as_posix(), limits=self.limits)
            if days_over(there, oldest) is not None:
                return False
            again = replace(_with_orders(cassette, there), recorded=there.recorded)
            same = dumps(again, name=path.as_posix()).encode()
        except ReplayError:
            return False
        return same == text.replace(b'\r\n', b'\n')


def refuse_secrets(name: str, cassette: Cassette, text: str, redactor: Redactor) -> None:
    """The last look before a file is written: what went past the redaction of a run goes no further.

    Args:
        name: Name of the cassette.
        cassette: What is to be written.
        text: The same as the text of the file.
        redactor: What knows secrets.

    Raises:
        SecretLeft: If one is left.
    """
    leaks = leaks_of(cassette, redactor, text=text)
    if redactor.text(name) != name:
        leaks = (Leak(kind=redactor.text(name), field='name of the cassette'), *leaks)
    if leaks:
        where = Where(cassette=redactor.text(name), run=leaks[0].run, node=leaks[0].node, field=leaks[0].field)
        raise SecretLeft(
            leaks,
            where=where,
            next=(
                'set environment variables that hold secrets before the run starts, not inside of it',
                'or redact it yourself: replay_redact in the configuration of pytest, use_cassette(redact=...)',
                'or keep it out of prompts, names and results',
            ),
        )


def _with_orders(cassette: Cassette, there: Cassette) -> Cassette:
    """Let the calls of a batch start and end in the order that is there already.

    Which of two tools that run side by side is first differs from one recording to the next, and is no change of what
    an agent does. Where a node failed, other calls may have ended, and that is one.
    """
    orders = {run.name: run.nodes for run in there.runs}
    runs = [
        replace(run, nodes=tuple(map(_with_order, run.nodes, orders[run.name])))
        if run.name in orders and len(run.nodes) == len(orders[run.name])
        else run
        for run in cassette.runs
    ]
    return replace(cassette, runs=tuple(runs))


def _with_order(node: Node, there: Node) -> Node:
    failed = node.raised is not None or there.raised is not None
    others = failed and sorted(node.finished or ()) != sorted(there.finished or ())
    return replace(node, started=there.started, finished=node.finished if others else there.finished)


def _passes_link(folder: Path, path: Path) -> bool:
    """Whether a path below a folder goes through a link: one that does not is inside, wherever the folder is."""
    below = (path, *path.parents[: len(path.parts) - len(folder.parts) - 1])
    return os.name == 'nt' or any(map(os.path.islink, below))  # Windows has junctions as well


def read_cassette(path: str | Path, *, limits: Limits = DEFAULT_LIMITS) -> Cassette:
    """Read a cassette from any path.

    Raises:
        CassetteNotFound: If there is no such file.
        CassetteDamaged: If it cannot be read as one; others as in `codec.loads`.
        StoreFailed: If the disk says no.
    """
    return loads(read_bytes(path, limits=limits), name=Path(path).as_posix(), limits=limits)


def read_bytes(path: str | Path, *, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Read a file, no more of it than the limits allow.

    Raises:
        CassetteNotFound: If there is no such file.
        CassetteDamaged: `too-large`.
        StoreFailed: If it is no plain file, or the disk says no.
    """
    path = Path(path)
    with _disk('read', path):
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise StoreFailed(
                f'{path.as_posix()} is no file',
                expected='a plain file',
                got='a folder' if stat.S_ISDIR(found.st_mode) else 'a device or a pipe',
                where=Where(cassette=path.as_posix()),
            )
        data = disk.read(path, at_most=limits.size + 1)
    if len(data) > limits.size:
        raise CassetteDamaged(
            'the file is too large',
            cause='too-large',
            expected=f'at most {limits.size} bytes',
            got=f'{found.st_size} bytes',
            where=Where(cassette=path.as_posix()),
            next=('remove it and record it anew, in more tests with a cassette each if one recording is that large',),
        )
    return data


def probe(path: str | Path) -> None:
    """See to it that a file can be written before something is paid for that belongs into it; folders are made.

    Raises:
        StoreFailed: If the disk says no.
    """
    path = Path(path)
    with _disk('written', path):
        target = path.resolve()
        if target.exists() and not target.is_file():
            raise ValueError('it is no plain file')
        disk.make_folder(target.parent)
        temporary = disk.temporary(target, owner=f'probe-{os.getpid()}')
        disk.write_new(temporary, b'', like=target)
        temporary.unlink()


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a file whole or not at all; folders are made as needed.

    The bytes go to a temporary file beside it, are flushed to the disk, and take their place by a rename. A link is
    followed, and the access rights of a file that is replaced are kept.

    Raises:
        StoreFailed: If the disk says no; what was there is as it was.
    """
    with _writing:
        _replace_bytes(Path(path), data, owner=f'{os.getpid()}')


def _replace_bytes(path: Path, data: bytes, *, owner: str = '') -> None:
    """Write a file that this process holds, or that has an owner in the name of its temporary file.

    What a dead process left in the place of the temporary file is removed, so that none pile up.
    """
    with _disk('written', path):
        target = path.resolve()
        disk.make_folder(target.parent)
        temporary = disk.temporary(target, owner=owner)
        with suppress(FileNotFoundError):
            temporary.unlink()
        try:
            disk.write_new(temporary, data, like=target)
            disk.replace(temporary, target)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise


def _is_file(path: Path) -> bool:
    """Whether there is such a file. A disk that does not tell is no disk without it."""
    with _disk('looked for', path):
        return path.is_file()


@contextmanager
def _disk(done: str, path: Path) -> Generator[None]:
    """Turn what the system says into an error of ours."""
    try:
        yield
    except FileNotFoundError as error:
        if done == 'written':
            raise _failed(done, path, error) from None
        pending = path.name.endswith(PENDING)
        raise CassetteNotFound(
            'no pending recording' if pending else 'no cassette',
            expected=path.as_posix(),
            got='no such file',
            where=Where(cassette=path.as_posix()),
            next=(
                (f'replay record {quote(path.as_posix().removesuffix(PENDING))}     leaves one',)
                if pending
                else ('pytest --replay-record=once     records what is missing',)
            ),
        ) from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise _failed(done, path, error) from None


def _failed(done: str, path: Path, error: Exception) -> StoreFailed:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return StoreFailed(
        f'{path.as_posix()} could not be {done}: {reason}',
        got=reason,
        where=Where(cassette=path.as_posix()),
        next=('look at the rights and the space of that folder',),
    )
