"""Record agent runs as readable JSON cassettes and replay them byte for byte.

Names are resolved when they are first asked for: pytest loads this package at its start.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .cassette import Cassette, Definition, Node, Raised, Run, ToolResult
    from .errors import ReplayError, ReplayWarning
    from .match import Diverged, Divergence
    from .network import NetworkBlocked
    from .run_view import RunView
    from .session import Session, use_cassette
    from .veil import SecretLeft
    from .verdicts import (
        NotRebound,
        RecordingExpired,
        RunLacking,
        RunUnfinished,
        SessionAmbiguous,
        SessionClosed,
        Unplayed,
    )

__all__ = (
    'Cassette',
    'Definition',
    'Diverged',
    'Divergence',
    'NetworkBlocked',
    'Node',
    'NotRebound',
    'Raised',
    'RecordingExpired',
    'ReplayError',
    'ReplayWarning',
    'Run',
    'RunLacking',
    'RunUnfinished',
    'RunView',
    'SecretLeft',
    'Session',
    'SessionAmbiguous',
    'SessionClosed',
    'ToolResult',
    'Unplayed',
    'use_cassette',
)

_HOMES = {
    'cassette': ('Cassette', 'Definition', 'Node', 'Raised', 'Run', 'ToolResult'),
    'errors': ('ReplayError', 'ReplayWarning'),
    'match': ('Diverged', 'Divergence'),
    'network': ('NetworkBlocked',),
    'run_view': ('RunView',),
    'session': ('Session', 'use_cassette'),
    'veil': ('SecretLeft',),
    'verdicts': (
        'RecordingExpired',
        'NotRebound',
        'RunLacking',
        'RunUnfinished',
        'SessionAmbiguous',
        'SessionClosed',
        'Unplayed',
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


if not TYPE_CHECKING:  # which would take every misspelt name for one that there is

    def __getattr__(name: str) -> object:
        home = _HOME_OF.get(name)
        if home is None:
            raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
        return getattr(import_module(f'{__name__}.{home}'), name)
