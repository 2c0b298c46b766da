"""Where the root of the tests is and where their cassettes are: read from the files that pytest reads, without pytest.

Importing pytest to be told would take longer than most commands do.
"""

import os
import tomllib
from collections.abc import Mapping
from configparser import ConfigParser
from configparser import Error as IniError
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, cast

import click

from replay.errors import ReplayError, Where
from replay.store import read_bytes

__all__ = ('DEFAULT_FOLDER', 'Project', 'dir_option', 'project')

DEFAULT_FOLDER = 'cassettes'
"""Where cassettes are unless `replay_dir` says otherwise."""

_FILES: tuple[tuple[str, str], ...] = (
    ('pytest.toml', 'pytest'),
    ('.pytest.toml', 'pytest'),
    ('pytest.ini', 'pytest'),
    ('.pytest.ini', 'pytest'),
    ('pyproject.toml', 'tool.pytest'),
    ('tox.ini', 'pytest'),
    ('setup.cfg', 'tool:pytest'),
)
"""Files that may configure pytest with the section that does, in the order in which pytest 9 looks at them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What the commands need to know of the tests around the current folder."""

    root: Path
    """Folder that test ids are relative to; absolute."""
    folder: Path
    """Folder of the cassettes; relative to the current folder if it is below it."""
    cache: Path
    """Folder of the cache of pytest."""

    def here(self, test: str) -> str:
        """Write a test id so that pytest finds the test from the current folder."""
        file, mark, inner = test.partition('::')
        return f'{PurePosixPath(os.path.relpath(self.root / file)).as_posix()}{mark}{inner}'


def dir_option(command: Any) -> Any:
    """Give a command the option `--dir`, passed on as `folder`."""
    return click.option(
        '--dir',
        'folder',
        type=click.Path(path_type=Path),
        callback=_folder,
        help='The cassettes. [default: replay_dir of the pytest configuration, else cassettes]',
    )(command)


def _folder(_context: click.Context, _option: click.Parameter, value: Path | None) -> Path:
    return value or project().folder


def project() -> Project:
    """Find the settings of pytest that hold for the current folder.

    Raises:
        ReplayError: If a file that should hold them cannot be read.
    """
    here = Path.cwd()
    fallback: Path | None = None
    for folder in (here, *here.parents):
        for name, section in _FILES:
            path = folder / name
            if path.is_file():
                values = _values(path, section)
                if values is not None:
                    return _made(here, folder, values)
                if name == 'pyproject.toml' and fallback is None:
                    fallback = folder
    if fallback is None:
        fallback = next((folder for folder in (here, *here.parents) if (folder / 'setup.py').is_file()), here)
    return _made(here, fallback, {})


def _made(here: Path, root: Path, values: Mapping[str, Any]) -> Project:
    folder = root / str(values.get('replay_dir', DEFAULT_FOLDER))
    cache = root / os.path.expandvars(str(values.get('cache_dir', '.pytest_cache')))
    return Project(root=root, folder=folder.relative_to(here) if folder.is_relative_to(here) else folder, cache=cache)


def _values(path: Path, section: str) -> dict[str, Any] | None:
    """Read what a file says to pytest; None if it says nothing, so that pytest looks further."""
    text = read_bytes(path).decode(errors='replace')
    try:
        if path.suffix == '.toml':
            return _from_toml(tomllib.loads(text), whole=path.name != 'pyproject.toml')
        parser = ConfigParser(interpolation=None, strict=False, allow_no_value=True)
        parser.read_string(text)
    except (IniError, tomllib.TOMLDecodeError) as error:
        raise ReplayError(
            f'{path.name} cannot be read',
            expected='a file that configures pytest',
            got=str(error).split('\n', maxsplit=1)[0],
            where=Where(cassette=path.as_posix()),
            next=('correct it', '--dir FOLDER   does without it'),
        ) from None
    if section in parser:
        return dict(parser[section])
    return {} if path.name in {'pytest.ini', '.pytest.ini'} else None  # these count even if they are empty


def _from_toml(document: dict[str, Any], *, whole: bool) -> dict[str, Any] | None:
    if whole:
        return _table(document.get('pytest')) or {}
    pytest = _table(_table(document.get('tool')).get('pytest')) if 'tool' in document else {}
    ini = pytest.get('ini_options')
    return _table(ini) if ini is not None else pytest or None


def _table(value: Any) -> dict[str, Any]:
    return cast('dict[str, Any]', value) if isinstance(value, dict) else {}
