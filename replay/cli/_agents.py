"""`MODULE:AGENT` to an agent object."""

import sys
import traceback
from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from replay.errors import ReplayError, Where

__all__ = ('load_agent',)

EXAMPLE = 'MODULE:AGENT, as in app.agents:weather_agent or examples/trip.py:trip_agent'


def load_agent(spec: str) -> Any:
    """Import a module and take an agent from it.

    Args:
        spec: A dotted module or a path to a `.py` file, a colon, and the name of the agent (dots allowed).

    Returns:
        The agent, of whichever library: an object with `iter` and `override`.

    Raises:
        ReplayError: If the text is no such pair, the module does not import, or the name is no agent.
    """
    module_name, colon, name = spec.rpartition(':')
    if not (colon and module_name and name):
        raise ReplayError('no agent named', expected=EXAMPLE, got=repr(spec))
    module = _imported(module_name)
    found: Any = module
    for segment in name.split('.'):
        if not hasattr(found, segment):
            raise ReplayError(
                f'{module_name} has no {name}',
                expected=_agents_text(module),
                got=repr(name),
                next=tuple(f'replay run {module_name}:{other} ...' for other in _agents_in(module)),
            )
        found = getattr(found, segment)
    if not _is_agent(found):
        raise ReplayError(
            f'{spec} is no agent', expected=_agents_text(module), got=f'an object of type {type(found).__name__}'
        )
    return found


def _imported(name: str) -> ModuleType:
    try:
        return _from_file(Path(name)) if name.endswith('.py') else _from_path(name)
    except ReplayError:
        raise
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f'{error.name}.')):
            raise _no_module(name, str(error)) from None
        raise _import_failed(name, error) from error
    except (Exception, SystemExit) as error:
        raise _import_failed(name, error) from error


def _from_path(name: str) -> ModuleType:
    """Import a dotted module; the current folder counts, as it does for `python -m`."""
    if not all(segment.isidentifier() for segment in name.split('.')):
        raise _no_module(name, 'no dotted name')
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    return import_module(name)


def _from_file(path: Path) -> ModuleType:
    """Import a file under its own name; its folder counts, as it does for `python FILE`."""
    if not path.is_file():
        raise ReplayError(f'no file {path}', expected=EXAMPLE, got='nothing there' if not path.exists() else 'a folder')
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    # A path that ends in `.py` always has a loader.
    spec = cast('ModuleSpec', spec_from_file_location(path.stem, path))
    loader = cast('Loader', spec.loader)
    module = module_from_spec(spec)
    sys.modules[path.stem] = module
    loader.exec_module(module)
    return module


def _no_module(name: str, got: str) -> ReplayError:
    return ReplayError(
        f'no module {name}',
        expected=EXAMPLE,
        got=got,
        next=('run it in the folder that holds the module, or name the path of the file',),
    )


def _import_failed(name: str, error: BaseException) -> ReplayError:
    text = str(error).split('\n', maxsplit=1)[0]
    return ReplayError(
        f'{name} does not import',
        expected='a module that imports',
        got=f'{type(error).__name__}: {text}' if text else type(error).__name__,
        where=Where(field=_place(error)),
        next=(f'python -c "import {name}"' if not name.endswith('.py') else f'python {name}',),
    )


def _place(error: BaseException) -> str | None:
    """File and line of the innermost frame, or of the text that is no Python."""
    if isinstance(error, SyntaxError):
        return f'{error.filename}:{error.lineno}'
    frames = traceback.extract_tb(error.__traceback__)
    return f'{frames[-1].filename}:{frames[-1].lineno}' if frames else None


def _is_agent(value: Any) -> bool:
    return not isinstance(value, type) and callable(getattr(value, 'iter', None)) and hasattr(value, 'override')


def _agents_in(module: ModuleType) -> list[str]:
    return [name for name, value in vars(module).items() if not name.startswith('_') and _is_agent(value)]


def _agents_text(module: ModuleType) -> str:
    agents = _agents_in(module)
    return f'one of the agents of the module: {", ".join(agents)}' if agents else 'an agent; the module has none'
