"""The file beside a cassette that says "I am being recorded": lock and journal in one.

`NAME.json.journal` is there while a process records or changes NAME, and that process holds the system's lock on it. A
journal that is there and not locked is what a dead process left; so nobody has to guess from process numbers or times
whether an owner lives, and a dead one blocks nobody. What was paid for is appended before the run goes on.
"""

import os
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock

from . import disk
from .errors import StoreFailed, Where

__all__ = ('JOURNAL', 'JournalFile', 'hold')

JOURNAL = '.journal'
"""What the journal adds to the name of its cassette."""

PATIENCE = 600.0
"""Seconds to wait for another process that records the same cassette."""

LARGEST = 1 << 30
"""Bytes of a journal that are read."""

_PAUSE = 0.02
_APPENDS = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, 'O_BINARY', 0) | getattr(os, 'O_NOFOLLOW', 0)


class JournalFile:
    """The journal of one cassette, locked by this process. Made by `hold`.

    Args:
        path: Where it is.
        handle: The open file.
        made: Folders that were made for it, outermost first.
        waited: Whether another process held it before.
    """

    def __init__(self, path: Path, handle: int, *, made: list[Path], waited: bool) -> None:
        self.path = path
        self.waited = waited
        self.holders = 1
        self.process = os.getpid()
        self._handle = handle
        self._made = made
        self._fresh = True

    def read(self) -> bytes:
        """All that it holds.

        Raises:
            StoreFailed: If the disk says no.
        """
        try:
            return disk.read(self.path, at_most=LARGEST)
        except OSError as error:
            raise _failed(self.path.with_name(self.path.name.removesuffix(JOURNAL)), error) from None

    def append(self, data: bytes, *, last: bool) -> None:
        """Append to it, past the caches of this process.

        Args:
            data: What to append.
            last: Whether it must last even if the machine loses its power: that takes a millisecond or more.

        Raises:
            OSError: If the disk says no; part of it may be there.
        """
        disk.append(self._handle, data)
        if last:
            os.fsync(self._handle)
            if self._fresh:
                disk.sync_folder(self.path.parent)
                self._fresh = False

    def cut(self, size: int) -> None:
        """Cut it to its first `size` bytes.

        Raises:
            StoreFailed: If the disk says no.
        """
        try:
            os.ftruncate(self._handle, size)
        except OSError as error:
            raise _failed(self.path.with_name(self.path.name.removesuffix(JOURNAL)), error) from None

    def close(self) -> None:
        """Unlock it, and remove it if it is empty."""
        try:
            with suppress(OSError):  # what stays there is empty, or will be compared with what is asked
                if not os.fstat(self._handle).st_size:
                    self._remove()
        finally:
            with suppress(OSError):
                disk.unlock(self._handle)
            with suppress(OSError):
                os.close(self._handle)

    def _remove(self) -> None:
        os.unlink(self.path)  # noqa: PTH108  # one call
        for folder in reversed(self._made):
            os.rmdir(folder)  # noqa: PTH106  # only if it is empty


_held: dict[str, JournalFile] = {}
_guard = RLock()


@contextmanager
def hold(cassette: Path, *, patience: float | None = None) -> Generator[JournalFile]:
    """Hold a cassette: no other process records or changes it until the block ends.

    Held twice in one process it is held until both blocks have ended.

    Args:
        cassette: Path of the cassette.
        patience: Seconds to wait for another process; None: `PATIENCE`.

    Raises:
        StoreFailed: If the disk says no, or another process holds it for too long.
    """
    file = take(cassette, patience=PATIENCE if patience is None else patience)
    try:
        yield file
    finally:
        give_back(file)


def take(cassette: Path, *, patience: float = PATIENCE) -> JournalFile:
    """Hold a cassette until it is given back; otherwise as `hold`."""
    path = cassette.with_name(f'{cassette.name}{JOURNAL}')
    with _guard:
        key = str(path.absolute())
        there = _held.get(key)
        if there is not None and there.process == os.getpid():
            there.holders += 1
            return there
        try:
            file = _opened(path, patience)
        except (OSError, ValueError) as error:  # ValueError: a null byte in the path
            raise _failed(cassette, error) from None
        _held[key] = file
        return file


def give_back(file: JournalFile, *, keep: bool = True) -> None:
    """Give a held cassette back.

    Args:
        file: Its journal.
        keep: Whether to leave what the journal holds to the next recording.
    """
    with _guard:
        if not keep:
            with suppress(StoreFailed):
                file.cut(0)
        file.holders -= 1
        if not file.holders:
            _held.pop(str(file.path.absolute()), None)
            file.close()


def _opened(path: Path, patience: float) -> JournalFile:
    """Open and lock the journal, as soon as no other process has it."""
    until = time.monotonic() + patience
    waited, made = False, list[Path]()
    while (handle := _tried(path, made)) is None:
        if time.monotonic() > until:
            raise TimeoutError(0, f'another process has been recording it for {patience:.0f} seconds')
        waited = True
        time.sleep(_PAUSE)
    return JournalFile(path, handle, made=made, waited=waited)


def _tried(path: Path, made: list[Path]) -> int | None:
    """Try it once. Who held it may have removed it: then what could be locked is no longer what is there."""
    try:
        handle = os.open(path, _APPENDS, 0o666)  # noqa: TID251  # part of the door
    except FileNotFoundError:
        made += disk.make_folder(path.parent)
        handle = os.open(path, _APPENDS, 0o666)  # noqa: TID251  # part of the door
    try:
        ours = disk.lock(handle) and _is_at(handle, path)
    except BaseException:
        os.close(handle)
        raise
    if ours:
        return handle
    os.close(handle)
    return None


def _is_at(handle: int, path: Path) -> bool:
    try:
        there = os.stat(path)  # noqa: PTH116  # one call
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(handle))


def _failed(cassette: Path, error: Exception) -> StoreFailed:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return StoreFailed(
        f'{cassette.as_posix()} could not be written: {reason}',
        expected=f'a journal beside it, {cassette.name}{JOURNAL}, that this process alone writes',
        got=reason,
        where=Where(cassette=cassette.as_posix()),
        next=('wait for the other process, or end it',)
        if isinstance(error, TimeoutError)
        else ('look at the rights and the space of that folder',),
    )
