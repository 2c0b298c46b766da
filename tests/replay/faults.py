"""Faults at system calls: the n-th call that concerns a folder fails, is cut short, or is the last of its process."""

import errno
import os
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CALLS = (
    'open', 'read', 'write', 'fsync', 'replace', 'unlink', 'stat', 'lstat', 'fstat', 'mkdir', 'rmdir', 'close', 'chmod',
    'ftruncate', 'scandir',
)  # fmt: skip
"""Every call of the store, by its name in `os`; locking stands apart."""

ERRORS = ('ENOSPC', 'EIO', 'EROFS', 'EACCES')
"""What a disk says."""


class Faults:
    """Counts the calls that concern a folder, and puts a fault at one of them.

    Args:
        folder: The folder.
        at: Which call, from 1; 0 for none.
        kind: An error of `ERRORS`, `short` (fewer bytes than asked for), `torn` (half of them, then an error),
            `interrupt`, or `kill` (before the call) and `killed` (after it).
    """

    def __init__(self, folder: Path, *, at: int = 0, kind: str = 'EIO') -> None:
        self.folder = str(folder)
        self.at = at
        self.kind = kind
        self.count = 0
        self.called: list[str] = []
        self._handles: set[int] = set()
        self._real: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in CALLS}

    @contextmanager
    def installed(self) -> Generator['Faults']:
        with pytest.MonkeyPatch.context() as patch:
            for name in CALLS:
                patch.setattr(os, name, self._wrapped(name))
            yield self

    def _wrapped(self, name: str) -> Callable[..., Any]:
        real = self._real[name]

        def call(*args: Any, **kwargs: Any) -> Any:
            if not self._concerns(args[0] if args else None):
                return real(*args, **kwargs)
            self.count += 1
            self.called.append(name)
            if self.count == self.at:
                return self._fail(name, args, kwargs)
            return self._done(name, args, kwargs)

        return call

    def _concerns(self, subject: object) -> bool:
        if isinstance(subject, int):
            return subject in self._handles
        return isinstance(subject, str | Path) and str(subject).startswith(self.folder)

    def _done(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        found = self._real[name](*args, **kwargs)
        if name == 'open':
            self._handles.add(found)
        elif name == 'close':
            self._handles.discard(args[0])
        return found

    def _fail(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.kind == 'kill':
            os.kill(os.getpid(), signal.SIGKILL)
        if self.kind == 'killed':
            try:
                self._done(name, args, kwargs)
            finally:
                os.kill(os.getpid(), signal.SIGKILL)
        if name == 'close':  # the handle is gone, whatever the system says
            self._done(name, args, kwargs)
        if self.kind == 'interrupt':
            raise KeyboardInterrupt
        if self.kind in {'short', 'torn'}:
            return None if name == 'close' else self._partly(name, args, kwargs)
        raise _error(self.kind)

    def _partly(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if name == 'write':
            written = self._real[name](args[0], bytes(args[1])[: len(args[1]) // 2 or 1])
            if self.kind == 'torn':
                raise _error('ENOSPC')
            return written
        if name == 'read':
            return self._real[name](args[0], min(args[1], 7))
        return self._done(name, args, kwargs)


def _error(name: str) -> OSError:
    number = getattr(errno, name)
    return OSError(number, os.strerror(number))
