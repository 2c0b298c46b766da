"""The record modes as a table: what to do with a run that starts, by what is there for it."""

from collections.abc import Mapping
from enum import Enum
from typing import Literal, TypeAlias

__all__ = ('MODES', 'OFFERED', 'Action', 'Found', 'Mode')

Mode: TypeAlias = Literal['none', 'once', 'new_episodes', 'all', 'rewrite', 'rebind']
"""What to do with a request that the cassette has, or lacks."""

OFFERED: tuple[Mode, ...] = ('none', 'once', 'new_episodes', 'all', 'rewrite')
"""The modes that people choose from; `rebind` is what the command of that name asks for."""


class Found(Enum):
    """What is there for a run that starts."""

    RECORDED = 'recorded'
    """The cassette holds a recording of the run."""
    LACKING = 'lacking'
    """There is a cassette, without a recording of this run."""
    NO_CASSETTE = 'no cassette'
    """There is no cassette at all."""


class Action(Enum):
    """What to do with a run that starts."""

    REPLAY = 'replay'
    EXTEND = 'extend'
    """Replay what matches of its beginning, record the rest."""
    REBIND = 'rebind'
    """Replay the recorded answers, whatever is asked."""
    RECORD = 'record'
    REFUSE = 'refuse'


def _row(recorded: Action, lacking: Action, no_cassette: Action) -> Mapping[Found, Action]:
    return {Found.RECORDED: recorded, Found.LACKING: lacking, Found.NO_CASSETTE: no_cassette}


MODES: Mapping[Mode, Mapping[Found, Action]] = {
    'none': _row(Action.REPLAY, Action.REFUSE, Action.REFUSE),
    'once': _row(Action.REPLAY, Action.REFUSE, Action.RECORD),
    'new_episodes': _row(Action.EXTEND, Action.RECORD, Action.RECORD),
    'all': _row(Action.RECORD, Action.RECORD, Action.RECORD),
    'rewrite': _row(Action.RECORD, Action.RECORD, Action.RECORD),
    'rebind': _row(Action.REBIND, Action.REFUSE, Action.REFUSE),
}
"""The record modes. No mode keeps the recording of a failed test as accepted; that is decided when a session ends, and
so is what becomes of runs that were not reached: `rewrite` drops them, all others keep them."""
