"""How a session ends: what is wrong with its runs, and what its cassette is from now on."""

from collections.abc import Iterator, Sequence
from typing import cast

from .adapters import hosts
from .age import days_over, oldest_date
from .calls import calls_of
from .cassette import Run
from .errors import NotRestorable, ReplayError, StoreFailed
from .minted import LASTING
from .modes import MODES, Action, Found, Mode
from .session_run import Ledger, SessionRun
from .veil import SecretLeft
from .verdicts import RunUnfinished

__all__ = ('judge', 'keeps_journal', 'to_write')


def judge(ledger: Ledger, runs: Sequence[SessionRun], *, ok: bool) -> None:
    """Take note of what is wrong.

    Args:
        ledger: That of the session.
        runs: All runs that started.
        ok: Whether the block succeeded; if not, runs that did not start need no other reason.
    """
    for run in runs:
        _judge_run(ledger, run)
        if run.tape.parted:
            ledger.places.release(run.tape.name)
    never = ledger.places.never_played()
    if never and ok and not ledger.problems:
        ledger.left(ledger.texts.unplayed_runs(never, ledger.recorded, [run.tape.name for run in runs]))
    if ok and runs and not ledger.problems:
        _judge_age(ledger)
        ledger.constants = tuple(_constants(ledger, runs))


def to_write(ledger: Ledger, runs: Sequence[SessionRun], mode: Mode) -> list[Run] | None:
    """The runs of the cassette from now on, in their order.

    Args:
        ledger: That of the session.
        runs: All runs that started.
        mode: The record mode.

    Returns:
        None if nothing is to be written: nothing is new, or what is new cannot be kept.
    """
    fresh = [cast('Run', run.tape.run) for run in runs if run.tape.fresh]
    spoilt = any(isinstance(one, NotRestorable | RunUnfinished) for one in ledger.problems)
    if not fresh or spoilt or (mode == 'rebind' and ledger.problems):
        return None
    return ledger.places.in_order(fresh, keep=mode != 'rewrite')


def keeps_journal(problems: Sequence[ReplayError], *, interrupted: bool) -> bool:
    """Whether what was paid for is in no file, so that the next recording is to go on from the journal.

    Not if it holds a secret.
    """
    lost = any(isinstance(one, NotRestorable | RunUnfinished | StoreFailed) for one in problems)
    return (lost or interrupted) and not any(isinstance(one, SecretLeft) for one in problems)


def _judge_run(ledger: Ledger, run: SessionRun) -> None:
    tape = run.tape
    if tape.divergence is not None:
        run.diverged(tape.divergence)
    elif run.view is None and not run.broken:
        ledger.noted(ledger.texts.unfinished(tape))
    elif tape.unplayed and tape.recorded is not None and not run.broken:
        ledger.left(ledger.texts.unplayed_nodes(tape, tape.recorded))


def _constants(ledger: Ledger, runs: Sequence[SessionRun]) -> Iterator[tuple[str, str]]:
    """Find what was noted as minted and is the same again, in another execution of the same code.

    What tools gave may not have been made again, and a clock may show the same day.
    """
    for run in runs:
        recorded = run.tape.recorded
        if recorded is None or not recorded.minted or run.tape.parted:
            continue
        tools = {str(call['tool_name']) for node in recorded.nodes for call in calls_of(node.message)}
        for name, one in recorded.minted.items():
            lasting = name.rpartition('-')[0] in LASTING - {'epoch'}
            if lasting and one['by'] not in tools and not ledger.exchange.stands_for(str(one['value'])):
                yield recorded.name, name


def _judge_age(ledger: Ledger) -> None:
    cassette, max_age = ledger.cassette, ledger.options.max_age
    if cassette is None or max_age is None or MODES[ledger.options.record][Found.RECORDED] is not Action.REPLAY:
        return
    over = days_over(cassette, oldest_date(max_age, next(host.recorded()['on'] for host in hosts())))
    if over is not None:
        made = str(cassette.recorded['on'])
        ledger.noted(ledger.texts.expired(made, days=max_age.days + over, most=max_age.days))
