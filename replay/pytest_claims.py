"""Which of several workers records a cassette that their tests share, so that the model is asked once.

The variants of a test, one for each event loop, share a cassette, and xdist may run them at the same time. The first
that comes claims the cassette; the others wait until it is done and replay what it has recorded. A worker that ends in
between gives up its claims, which the process that started it takes care of.
"""

from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from tempfile import gettempdir
from threading import Event

import pytest

__all__ = ('Claims', 'end', 'give_up')

_PAUSE = 0.02
"""Seconds between two looks at a claim of another worker."""


class Claims:
    """The claims of one worker. They are folders that all workers of one run see; making one succeeds once.

    Args:
        config: That of pytest in this process. Without workers all claims succeed.
    """

    def __init__(self, config: pytest.Config) -> None:
        worker = getattr(config, 'workerinput', None)
        self._folder = None if worker is None else _folder(worker['testrunuid'])
        self._worker: str = '' if worker is None else worker['workerid']

    def claim(self, name: str) -> bool:
        """Claim a cassette, as soon as nobody else does.

        Returns:
            Whether it is to be recorded; if not, another worker has recorded it.
        """
        if self._folder is None:
            return True
        claim = self._folder / sha256(name.encode()).hexdigest()
        while True:
            try:
                claim.mkdir(parents=True)
            except FileExistsError:
                if (claim / _DONE).exists():
                    return False
                Event().wait(_PAUSE)
            else:
                (claim / self._worker).touch()
                return True

    def settle(self, name: str, *, recorded: bool) -> None:
        """End a claim.

        Args:
            name: Name of the cassette.
            recorded: Whether it is recorded now, so that nobody else has to.
        """
        if self._folder is None:
            return
        claim = self._folder / sha256(name.encode()).hexdigest()
        if recorded:
            (claim / _DONE).touch()
        else:
            rmtree(claim, ignore_errors=True)


_DONE = 'done'


def give_up(run: str, worker: str) -> None:
    """End all claims of a worker that is no longer there, and those that it died too early to put its name on.

    Args:
        run: Id of the run of pytest.
        worker: Id of the worker.
    """
    for claim in _folder(run).glob('*'):
        if {path.name for path in claim.glob('*')} <= {worker}:
            rmtree(claim, ignore_errors=True)


def end(run: str) -> None:
    """Forget all claims of a run of pytest."""
    rmtree(_folder(run), ignore_errors=True)


def _folder(run: str) -> Path:
    return Path(gettempdir()) / f'replay-{run}'
