"""Names that people read: of runs within a test, and of cassette files after test ids.

A file name comes from one test id alone, so that it is the same whichever other tests run. Whatever a file system may
not keep apart (upper and lower case, characters that some refuse, what was cut off) goes into a short digest after `~`.
"""

import re
from collections.abc import Collection
from functools import lru_cache
from hashlib import sha256
from pathlib import PurePosixPath, PureWindowsPath

from .errors import NameRefused

__all__ = ('BACKENDS', 'PENDING', 'SUFFIX', 'cassette_name', 'checked_name', 'run_name')

SUFFIX = '.json'
"""Ending of cassette files."""

PENDING = '.new'
"""What a pending recording adds to the name of its cassette."""

BACKENDS = ('asyncio+uvloop', 'asyncio', 'trio')
"""Ids of the parameter that chooses the event loop: two variants of one test share a cassette."""

_STEM = 100
"""Characters of a file's stem that are kept; with digest, ending and a temporary name it stays below 255 bytes."""

_FOLDER = 60
_UNSAFE = re.compile(r'[^A-Za-z0-9_\-.,()\[\]=+@]')
_RESERVED = re.compile(r'(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?', re.IGNORECASE)
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]')


def run_name(
    agent: str | None, *, parent: str | None = None, tool: str | None = None, taken: Collection[str] = ()
) -> str:
    """Name a run: `support`, `support/lookup_order/researcher`, `support#2`.

    Args:
        agent: Name of the agent; None if it has none.
        parent: Name of the run in which this one started.
        tool: Name of the tool call in which it started.
        taken: Names that runs of the same test have already.

    Returns:
        A path of parent, tool and agent, with an ordinal from 2 on if that name is taken.
    """
    segments = [parent, *(_segment(name) for name in (tool, agent or 'agent') if name is not None)]
    path = '/'.join(segment for segment in segments if segment is not None)
    name, ordinal = path, 1
    while name in taken:
        ordinal += 1
        name = f'{path}#{ordinal}'
    return name


def cassette_name(test_id: str, *, backends: Collection[str] = BACKENDS) -> str:
    """Name the cassette of a test.

    Args:
        test_id: As pytest gives it: `tests/test_trip.py::TestTrip::test_forecast[asyncio-Paris]`.
        backends: Parameter ids that are not part of the name, at most one of which is left out.

    Returns:
        Path below the folder of cassettes, with forward slashes: `tests/test_trip/test_forecast[paris].json`.
    """
    module, *inner = _without_backend(test_id, backends).split('::')
    *folders, file = [segment for segment in module.split('/') if segment not in {'', '.'}] or ['']
    folders.append(file.removesuffix('.py'))
    *classes, test = inner or ['test']
    # A test's own parameter may hold slashes, and a class what Python allows.
    path = [*(_safe(folder, _FOLDER) for folder in folders), *(_safe(name, _FOLDER) for name in classes)]
    stem = _safe(test, _STEM)
    kept = path == [*folders, *classes] and stem == test and not any(name != name.lower() for name in (*classes, test))
    tail = '' if kept else f'~{sha256("::".join([module, *inner]).encode("utf-8", "surrogatepass")).hexdigest()[:8]}'
    return '/'.join([*path, f'{stem}{tail}{SUFFIX}'])


@lru_cache(maxsize=256)
def checked_name(name: str) -> str:
    """See to it that a name that somebody chose stays in the folder and suits every file system.

    Args:
        name: Path with forward slashes, with or without `.json`.

    Returns:
        The name with `.json`.

    Raises:
        NameRefused: If it is empty, absolute, climbs out, or would not be taken by every system.
    """
    path = PurePosixPath(name)
    reason = None
    if not name or name.endswith('/'):
        reason = 'it names no file'
    elif path.is_absolute() or PureWindowsPath(name).drive or PureWindowsPath(name).root:
        reason = 'it is an absolute path'
    elif '..' in path.parts:
        reason = 'it climbs out of the folder'
    elif found := _FORBIDDEN.search(name):
        reason = f'it holds {found[0]!r}'
    elif bad := next((part for part in path.parts if _RESERVED.fullmatch(part) or part[-1] in '. '), None):
        reason = f'{bad!r} is no file name on Windows'
    elif any(len(part.encode('utf-8', 'surrogatepass')) > 200 for part in path.parts):
        reason = 'a part of it is longer than 200 bytes'
    if reason is not None:
        raise NameRefused(
            f'{name!r} cannot name a cassette: {reason}',
            expected='a relative path such as trips/paris',
            got=name,
            next=('choose another name',),
        )
    return path.as_posix() if name.endswith(SUFFIX) else f'{path.as_posix()}{SUFFIX}'


def _segment(name: str) -> str:
    """A name as one segment of a run's: the two characters that mean something there are replaced."""
    return name.replace('/', '_').replace('#', '_') or 'agent'


def _safe(name: str, length: int) -> str:
    """A name as part of a path on every system, cut to a length; not yet unique."""
    safe = _UNSAFE.sub('_', name)[:length].rstrip('.')
    if not safe or safe.startswith('.') or _RESERVED.fullmatch(safe):
        return f'_{safe.lstrip(".")}'
    return safe


def _without_backend(test_id: str, backends: Collection[str]) -> str:
    """Leave the event loop's parameter out of the id."""
    head, bracket, rest = test_id.partition('[')
    if not bracket or not rest.endswith(']'):
        return test_id
    values = rest[:-1].split('-')
    backend = next((value for value in values if value in backends), None)
    if backend is None:
        return test_id
    values.remove(backend)
    return f'{head}[{"-".join(values)}]' if values else head
