"""The network of a session: blocked while it can only replay, for its own code and for code that is nobody else's."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .adapters import hosts
from .modes import MODES, Action, Found
from .network import Guard, NetworkBlocked, Who, watch
from .network_loops import loops_watched
from .routing import Routed, bound_session, session_here
from .session_run import Ledger, SessionRun

__all__ = ('network_blocked',)


@contextmanager
def network_blocked(
    session: Routed, ledger: Ledger, runs: Sequence[SessionRun], *, path: Path, test: str | None
) -> Generator[None]:
    """Block the network while the block is open, unless it is allowed or something may be recorded.

    Args:
        session: The session; it is bound where its code runs.
        ledger: Its ledger, with the cassette that is played.
        runs: Its runs, those that start later included.
        path: Where its cassette is, or would be.
        test: Id of its test, if it has one.
    """
    founds = (Found.RECORDED, Found.LACKING) if ledger.cassette else (Found.NO_CASSETTE,)
    actions = {MODES[ledger.options.record][found] for found in founds}
    if actions & {Action.RECORD, Action.EXTEND} or ledger.options.network == 'allow':
        yield
        return

    def noted(error: NetworkBlocked) -> None:
        known = any(isinstance(one, NetworkBlocked) and one.host == error.host for one in ledger.problems)
        if bound_session() is session and not known:
            ledger.noted(error)

    guard = Guard(
        cassette=path.as_posix(),
        test=test,
        allowed=ledger.options.allowed_hosts,
        who=lambda: _who(runs),
        noted=noted,
    )
    _blocks[session] = ledger, guard
    watch(_guard)
    try:
        with loops_watched(_guard):
            yield
    finally:
        del _blocks[session]


_blocks: dict[Routed, tuple[Ledger, Guard]] = {}
"""The guards of the open sessions that have one."""


def _guard() -> Guard | None:
    """What decides for the code that runs here: tools that a replay executes may use the network."""
    session = session_here() if _blocks else None
    if session is None or session not in _blocks:
        return None
    ledger, guard = _blocks[session]
    within = _within()
    return None if within is not None and ledger.options.tool(within[1]) != 'replay' else guard


def _who(runs: Sequence[SessionRun]) -> Who:
    """Who runs here: the tool of this context and its run, else the only run that has not ended."""
    within = _within()
    if within is not None:
        return Who(run=within[0], tool=within[1])
    going = [run.tape.name for run in runs if run.view is None and not run.broken]
    return Who(run=going[0] if len(going) == 1 else None)


def _within() -> tuple[str, str] | None:
    return next((found for host in hosts() if (found := host.running()) is not None), None)
