"""What stands in the text of the program itself: a value that does was not minted in a run, whatever it looks like.

The text is the source of the modules that are loaded, files below the folder of the project, the environment as it was
when the process began, and the id of the test. It is read when the first question comes, which is when a value that
looks minted is noted, or differs from the recorded one.
"""

import linecache
import os
import stat
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from functools import cache, lru_cache
from pathlib import Path
from types import ModuleType
from typing import cast

from . import disk
from .minted import Piece

__all__ = ('OwnText',)

_ENVIRONMENT = '\n'.join(os.environ.values()).lower()
"""What the process was given; a test may set variables later to what it has minted."""

_BEGINNING: list[float] = []
"""When the first session of the process began, once one has."""

_SUFFIXES = frozenset(
    f'.{name}'
    for name in (
        'cfg', 'conf', 'csv', 'env', 'htm', 'html', 'ini', 'j2', 'jinja', 'jinja2', 'json', 'json5', 'jsonl', 'md',
        'mustache', 'ndjson', 'prompt', 'prompty', 'py', 'rst', 'sql', 'tmpl', 'toml', 'tpl', 'tsv', 'txt', 'xml',
        'yaml', 'yml',
    )
)  # fmt: skip
"""Of files that may hold what is told to models."""

_LARGEST = 1 << 20  # bytes of a file
_ALL = 1 << 25  # bytes of all files
_MOST = 20_000  # names of files and folders


class OwnText:
    """The text of a program, as far as it can be found.

    Args:
        root: Folder of the project; None: the current one.
        aside: Folder of the cassettes, which tell of earlier runs.
        now: Reads the real clock. A file that was changed since the first one was made may hold what was minted.
        given: Further texts.
    """

    def __init__(
        self,
        *,
        root: Path | None = None,
        aside: Path | None = None,
        now: Callable[[], datetime],
        given: tuple[str, ...] = (),
    ) -> None:
        self._root = root
        self._aside = aside
        if not _BEGINNING:
            _BEGINNING.append(now().timestamp())
        self._given = '\n'.join(given).lower()

    def has(self, piece: Piece) -> bool:
        """Whether a value stands there, in any of its spellings."""
        forms = _forms(piece)
        return any(form in text for text in self._texts() for form in forms)

    def _texts(self) -> Iterator[str]:
        yield self._given
        yield _ENVIRONMENT
        yield from _sources()
        with suppress(OSError):  # a current folder that is gone
            root = Path.cwd() if self._root is None else self._root
            yield _files_text(root, self._aside and self._aside.absolute(), _BEGINNING[0])


def _forms(piece: Piece) -> tuple[str, ...]:
    """How a value may be written in a program, in small letters."""
    text, key = piece.text.lower(), piece.key
    if text.isdecimal():
        return text, f'{int(text):_}'
    if len(key) == _UUID_DIGITS and piece.shape.partition(' ')[0].lower() in {'uuid', 'hex'}:
        return key, '-'.join((key[:8], key[8:12], key[12:16], key[16:20], key[20:]))
    return (text,)


_UUID_DIGITS = 32


def _sources() -> Iterator[str]:
    """The source of the modules that are loaded and not installed, and of what was typed in (a notebook's cells)."""
    for module in list(cast('dict[str, object]', sys.modules).values()):
        if not issubclass(type(module), ModuleType):  # not only called one, as the libraries that cffi loads are
            continue
        file = object.__getattribute__(module, '__dict__').get('__file__')  # loads no module that is loaded late
        if isinstance(file, str) and _is_own(file):
            with suppress(OSError):
                yield _read(file, os.stat(file).st_mtime_ns)  # noqa: PTH116  # no object for each file
    for entry in list(linecache.cache.values()):
        if len(entry) > 1 and entry[1] is None:  # of no file
            yield ''.join(entry[2]).lower()


@cache
def _installed() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return tuple({f'{paths[name]}{os.sep}' for name in ('stdlib', 'platstdlib', 'purelib', 'platlib')})


@lru_cache(maxsize=8192)
def _is_own(file: str) -> bool:
    return file.endswith('.py') and not file.startswith(_installed()) and not _INSTALLED.intersection(Path(file).parts)


_INSTALLED = frozenset({'site-packages', 'dist-packages'})


@lru_cache(maxsize=4096)
def _read(file: str, changed: int) -> str:  # noqa: ARG001  # another time of change, another text
    return disk.read(Path(file), at_most=_LARGEST).decode('utf-8', 'replace').lower()


@lru_cache(maxsize=4)
def _files_text(root: Path, aside: Path | None, before: float) -> str:
    """All that stands in the files of a project that were not changed since a time, in small letters."""
    texts: list[str] = []
    left = _ALL
    for file in _files(root, aside):
        with suppress(OSError):
            found = file.stat()
            if stat.S_ISREG(found.st_mode) and found.st_size <= min(_LARGEST, left) and found.st_mtime < before:
                left -= found.st_size
                texts.append(disk.read(Path(file), at_most=_LARGEST).decode('utf-8', 'replace').lower())
    return '\n'.join(texts)


def _files(root: Path, aside: Path | None) -> Iterator['os.DirEntry[str]']:
    """Files of a project, those of outer folders first; what is installed or made by tools is left out."""
    folders, seen = [root.absolute().as_posix()], 0
    for folder in folders:
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                seen += 1
                if entry.is_dir(follow_symlinks=False):
                    if _is_searched(entry, aside):
                        folders.append(entry.path)
                elif Path(entry.name).suffix in _SUFFIXES or entry.name.startswith('.env'):
                    yield entry
        if seen > _MOST:
            return


def _is_searched(folder: 'os.DirEntry[str]', aside: Path | None) -> bool:
    name = folder.name
    if name.startswith(('.', '__')) or name in _INSTALLED or name == 'node_modules' or Path(folder.path) == aside:
        return False
    return not os.path.exists(os.path.join(folder.path, 'pyvenv.cfg'))  # noqa: PTH110, PTH118
