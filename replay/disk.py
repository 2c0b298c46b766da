"""The system calls behind the store, each made through `os` and each on its own.

Nothing here is buffered and nothing is made by a library on the way, so that a test can fail, cut short or kill at
every single call, and that what a call has done is known when the next one begins.
"""

import os
import stat
import sys
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

__all__ = ('append', 'lock', 'make_folder', 'read', 'replace', 'sync_folder', 'temporary', 'unlock', 'write_new')

_BINARY = getattr(os, 'O_BINARY', 0)  # Windows would turn newlines into two characters
_CHUNK = 1 << 20


def temporary(target: Path, *, owner: str = '') -> Path:
    """Where a file is written before it takes the place of `target`: one name for each target and owner."""
    key = f'{target.name}/{owner}'.encode('utf-8', 'replace')
    return target.with_name(f'.{target.name[:40]}.{sha256(key).hexdigest()[:8]}.tmp')


def read(path: Path, *, at_most: int) -> bytes:
    """Read a file, no more of it than `at_most` bytes."""
    handle = os.open(path, os.O_RDONLY | _BINARY)  # noqa: TID251  # the door
    try:
        return _read(handle, at_most)
    finally:
        os.close(handle)


def _read(handle: int, at_most: int) -> bytes:
    chunks: list[bytes] = []
    most = min(os.fstat(handle).st_size + 1, _CHUNK)  # which is set aside before anything is read
    while at_most > 0 and (chunk := os.read(handle, min(at_most, most))):
        chunks.append(chunk)
        at_most -= len(chunk)
    return b''.join(chunks)


def write_new(path: Path, data: bytes, *, like: Path) -> None:
    """Write a new file down to the disk, with the access rights of `like` if there is such a file.

    Raises:
        FileExistsError: If there is a file of this name.
        OSError: If the disk says no; part of the file may be there.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)  # noqa: TID251  # the door
    try:
        append(handle, data)
        with suppress(FileNotFoundError):
            os.chmod(path, stat.S_IMODE(os.stat(like).st_mode))  # noqa: PTH101, PTH116  # one call each
        os.fsync(handle)
    finally:
        os.close(handle)


def append(handle: int, data: bytes) -> None:
    """Write all of `data`, in as many calls as the system wants."""
    rest = memoryview(data)
    while rest:
        written = os.write(handle, rest)
        if not written:
            raise OSError(0, 'the disk takes no more bytes')
        rest = rest[written:]


def replace(path: Path, target: Path) -> None:
    """Let a file take the place of another, and make that last."""
    os.replace(path, target)  # noqa: TID251, PTH105  # the door
    sync_folder(target.parent)


def make_folder(folder: Path) -> list[Path]:
    """Make a folder and those above it.

    Returns:
        The folders that were made, outermost first.
    """
    missing = [one for one in (folder, *folder.parents) if not one.exists()][::-1]
    for one in missing:
        with suppress(FileExistsError):  # another process was faster
            os.mkdir(one)  # noqa: PTH102  # one call
        sync_folder(one.parent)
    return missing


def sync_folder(folder: Path) -> None:
    """Make what happened to the names in a folder last, where the system lets folders be flushed."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)  # noqa: TID251  # the door
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


if sys.platform == 'win32':  # pragma: no cover
    import msvcrt

    _FAR = 1 << 30  # locked bytes cannot be read by others there: lock one that no journal has

    def lock(handle: int) -> bool:
        """Lock an open file without waiting; whether it worked. The system unlocks it when its owner ends, however."""
        os.lseek(handle, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def unlock(handle: int) -> None:
        """Unlock an open file."""
        os.lseek(handle, _FAR, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def lock(handle: int) -> bool:
        """Lock an open file without waiting; whether it worked. The system unlocks it when its owner ends, however."""
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(handle: int) -> None:
        """Unlock an open file, for processes that were forked from this one too."""
        fcntl.flock(handle, fcntl.LOCK_UN)
