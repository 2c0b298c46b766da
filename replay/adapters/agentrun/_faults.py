"""Errors with which a run is stopped, made of what its tape knows of the place."""

from pydantic_core import PydanticSerializationError

from replay.adapters._protocol import RunConductor
from replay.errors import NotRestorable, ReplayError, Where
from replay.match import Difference, locate

__all__ = ('parted', 'unwritable')


def unwritable(conductor: RunConductor, what: str, error: PydanticSerializationError) -> ReplayError:
    """Make the error for a value that JSON cannot hold.

    Args:
        conductor: Of the run.
        what: Names the value.
        error: How it could not be written.
    """
    tape = conductor.tape
    return conductor.failed(
        NotRestorable(
            f'{what} holds what JSON cannot',
            expected='what JSON can hold: text, numbers, truth values, lists, objects, and what dumps to them',
            got=str(error),
            where=Where(run=tape.name, node=f'{tape.at} {tape.kinds[-1]}'),
            next=('return something else, or return text',),
        )
    )


def parted(conductor: RunConductor, difference: Difference, kind: str) -> ReplayError:
    """Make the error for a run that leaves its recording where no tape is asked.

    Args:
        conductor: Of the run.
        difference: What differs.
        kind: Kind of the node that runs.
    """
    tape = conductor.tape
    tape.divergence = locate(difference, run=tape.name, agent=tape.agent, node=tape.at, kind=kind)
    return conductor.diverged(tape.divergence)
