"""The file beside a cassette that says "I am being recorded": lock and journal in one.

`NAME.json.journal` is there while a process records or changes NAME, and that process holds the system's lock on it. A
journal that is there and not locked is what a dead process left; so nobody has to guess from process numbers or times
whether an owner lives, and a dead one blocks nobody. What was paid for is appended before the run goes on.

The system's lock is that of the process. Within it one recording at a time has a cassette: another thread waits for it
as another process would, and the thread that would wait for itself is told so.
"""

import os
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock

from . import disk
from .errors import StoreFailed, Where

__all__ = ('JOURNAL', 'JournalFile', 'give_back', 'hold', 'take')

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
    """

    def __init__(self, path: Path, handle: int, *, made: list[Path]) -> None:
        self.path = path
        self.holders = 0
        self.recorder: int | None = None
        """Thread of the recording that has it, if one does; otherwise it is held to be changed, for a moment."""
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


_files: dict[str, JournalFile] = {}
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
    file, _ = _held(cassette, PATIENCE if patience is None else patience)
    try:
        yield file
    finally:
        give_back(file)


def take(cassette: Path, *, recorder: int, patience: float = PATIENCE) -> tuple[JournalFile, bool]:
    """Hold a cassette for a recording until it is given back.

    Args:
        cassette: Path of the cassette.
        recorder: Thread that will give it back.
        patience: Seconds to wait for another process or thread.

    Returns:
        Its journal, and whether that had to be waited for.

    Raises:
        StoreFailed: As for `hold`; and if a recording of the same thread has it, which it would wait for in vain.
    """
    return _held(cassette, patience, recorder)


def give_back(file: JournalFile, *, recorded: bool = False, keep: bool = True) -> None:
    """Give a held cassette back.

    Args:
        file: Its journal.
        recorded: Whether the recording that has it ends.
        keep: Whether to leave what the journal holds to the next recording.
    """
    with _guard:
        if recorded:
            file.recorder = None
        if not keep:
            with suppress(StoreFailed):
                file.cut(0)
        file.holders -= 1
        if not file.holders:
            _files.pop(str(file.path.absolute()), None)
            file.close()


def _held(cassette: Path, patience: float, recorder: int | None = None) -> tuple[JournalFile, bool]:
    """Open and lock the journal, or join those of this process that have it; wait where that may not be yet.

    Args:
        cassette: Path of the cassette.
        patience: Seconds to wait.
        recorder: Thread of the recording that it is for, if it is for one.
    """
    path = cassette.with_name(f'{cassette.name}{JOURNAL}')
    until = time.monotonic() + patience
    waited, made = False, list[Path]()
    try:
        while (file := _held_now(cassette, path, made, recorder)) is None:
            if time.monotonic() > until:
                raise TimeoutError(0, f'another process or thread has been recording it for {patience:.0f} seconds')
            waited = True
            time.sleep(_PAUSE)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise _failed(cassette, error) from None
    return file, waited


def _held_now(cassette: Path, path: Path, made: list[Path], recorder: int | None) -> JournalFile | None:
    """Try it once."""
    with _guard:
        key = str(path.absolute())
        file = _files.get(key)
        if file is None or file.process != os.getpid():
            handle = _tried(path, made)
            if handle is None:
                return None
            file = _files[key] = JournalFile(path, handle, made=made)
        elif recorder is not None and file.recorder is not None:
            if file.recorder == recorder:
                raise _held_here(cassette)
            return None
        file.holders += 1
        file.recorder = file.recorder if recorder is None else recorder
        return file


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
        next=('wait for the other one, or end it',)
        if isinstance(error, TimeoutError)
        else ('look at the rights and the space of that folder',),
    )


def _held_here(cassette: Path) -> StoreFailed:
    return StoreFailed(
        f'{cassette.as_posix()} is being recorded by another session of this thread',
        expected='one session at a time that records a cassette',
        got='two, open at once: in two tasks, or one inside of the other',
        where=Where(cassette=cassette.as_posix()),
        next=('open one session around both', 'or give each a cassette of its own'),
    )
