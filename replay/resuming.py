"""The journal of a session on the disk: taken when its first run is recorded, given up when all is written."""

from pathlib import Path
from threading import get_ident

from .journal import Journal, Strip, read_journal
from .journal_file import JournalFile, give_back, take
from .redact import Redactor

__all__ = ('Resuming',)


class Resuming:
    """Journal and lock of one cassette, for one session.

    Args:
        cassette: Path of the cassette.
        redactor: What knows secrets.
    """

    def __init__(self, cassette: Path, *, redactor: Redactor) -> None:
        self._cassette = cassette
        self._redactor = redactor
        self._thread = get_ident()  # a session is closed where it was opened, wherever its runs are
        self._file: JournalFile | None = None
        self._journal: Journal | None = None

    @property
    def resumed(self) -> int:
        """How many requests an interrupted recording had answered already."""
        return 0 if self._journal is None else self._journal.resumed

    def take(self) -> bool:
        """Hold the cassette from now on; if it is held, nothing.

        Returns:
            Whether another recording held it before, so that the cassette may be another one now.

        Raises:
            StoreFailed: If it cannot be held.
            CassetteDamaged: If its journal is damaged.
        """
        if self._file is not None:
            return False
        file, waited = take(self._cassette, recorder=self._thread)
        self._file = file
        read = read_journal(file.read(), name=file.path.as_posix())
        file.cut(read.size)
        self._journal = Journal(file, read, redacted=self._redactor.data)
        return waited

    def strip(self, run: str) -> Strip | None:
        """The journal of one run."""
        return None if self._journal is None else self._journal.strip(run)

    def close(self, *, keep: bool) -> None:
        """Let go of the cassette.

        Args:
            keep: Whether what was paid for is in no file yet.
        """
        file, self._file = self._file, None
        if self._journal is not None:
            self._journal.end()
        if file is not None:  # whose lines could not be read is left as it is
            give_back(file, recorded=True, keep=keep or self._journal is None)
