"""Effects that are broken off, by an error or by a cancellation: noted in a recording, enacted again in a replay."""

from typing import NoReturn, cast

from replay.adapters._cancelled import is_cancellation, let_others_come, to_be_cancelled
from replay.adapters._protocol import RunConductor
from replay.adapters.agentrun._errors import raised, rebuilt
from replay.adapters.agentrun._faults import parted
from replay.effects import Cut, Do, Failed, Outcome, Stop
from replay.match import Difference

__all__ = ('broken_off', 'ended_otherwise', 'left', 'stay_cut', 'to_begin')


def broken_off(conductor: RunConductor, doing: int, error: BaseException) -> None:
    """Tell the tape that a request or a count failed, or was cancelled.

    Args:
        conductor: Of the run.
        doing: The token of the effect.
        error: What it was left with.
    """
    if isinstance(error, Exception):
        conductor.tape.end(doing, Failed(raised=raised(error)))
    elif is_cancellation(error):
        conductor.tape.end(doing, Cut(cancelled=True))


async def ended_otherwise(conductor: RunConductor, outcome: Outcome) -> Do:
    """Fail as it was recorded, or wait to be cancelled.

    Returns:
        What a run that may go on from its recording does if nobody cancels it.
    """
    if isinstance(outcome, Failed):
        await let_others_come(conductor.others_have_to_come)
        raise rebuilt(outcome.raised)
    seconds = await to_be_cancelled()
    answer = conductor.tape.uncancelled(seconds=seconds, again=True)
    if isinstance(answer, Stop):
        raise conductor.diverged(answer.divergence)
    return cast('Do', answer)


async def to_begin(conductor: RunConductor, kind: str, **facts: object) -> None:
    """Wait to be cancelled before a node. A run that may go on from its recording comes to it if nobody does that."""
    tape = conductor.tape
    seconds = await to_be_cancelled()
    stop = tape.uncancelled(seconds=seconds, again=True) or tape.node(kind, **cast('dict[str, None]', facts))
    if isinstance(stop, Stop):
        raise conductor.diverged(stop.divergence)


async def stay_cut(conductor: RunConductor) -> NoReturn:
    """Wait to be cancelled where that cannot be done as a whole any more, and stop a run that nobody cancels."""
    seconds = await to_be_cancelled()
    raise conductor.diverged(cast('Stop', conductor.tape.uncancelled(seconds=seconds)).divergence)


async def left(conductor: RunConductor, cut: Cut) -> NoReturn:
    """Stop a run that reads on where the recorded reader left its stream; one that was cancelled may be, too."""
    if cut.cancelled:
        await stay_cut(conductor)
    difference = Difference(cause='order', field='stream', recorded='left here', live='read on')
    raise parted(conductor, difference, 'ModelRequestNode')
