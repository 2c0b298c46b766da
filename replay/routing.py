"""Which session a run belongs to: the one that is bound where it starts, else the only one that is open."""

import atexit
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Protocol

from .adapters import Conductor, RunConductor, Started, hosts
from .verdicts import SessionAmbiguous

__all__ = ('Routed', 'bind', 'bind_again', 'bound_session', 'listed', 'session_here')


class Routed(Conductor, Protocol):
    """A session, as far as runs are given to it."""

    name: str

    @property
    def closed(self) -> bool:
        """Whether the session is over, so that it takes on no run."""
        ...


_open_sessions: list[Routed] = []
_bound: ContextVar[Routed | None] = ContextVar('replay_session', default=None)
_guards = ExitStack()
_guarding: list[bool] = []


def bound_session() -> Routed | None:
    """The session that is bound here."""
    return _bound.get()


def session_here() -> Routed | None:
    """The session that is bound here, else the only one that is open."""
    return _bound.get() or (_open_sessions[0] if len(_open_sessions) == 1 else None)


def bind(session: Routed) -> None:
    """Bind a session here; one that is closed refuses the runs that start."""
    _bound.set(session)


def bind_again(session: Routed | None) -> None:
    """Bind what was bound before, unless that is closed: blocks need not end in the reverse order they began in."""
    _bound.set(None if session is not None and session.closed else session)


@contextmanager
def listed(session: Routed, *, patch: bool = True) -> Generator[None]:
    """Give runs to the session while the block is open.

    Args:
        session: The session.
        patch: Whether names of libraries may be replaced to see their runs.
    """
    _stand_guard()
    _open_sessions.append(session)
    try:
        with ExitStack() as stack:
            for host in hosts():
                stack.enter_context(host.install(_ROUTER, patch=patch))
            yield
    finally:
        _open_sessions.remove(session)


class _Router(Conductor):
    """Gives each run that starts to the session that it belongs to."""

    def start(self, started: Started) -> RunConductor | None:
        session = _bound.get()
        if session is not None:
            return session.start(started)
        if len(_open_sessions) > 1:
            raise SessionAmbiguous(
                'several sessions are open, and a run started where none is bound',
                expected='one open session, or a context (task, or thread with a copied context) that belongs to one',
                got=f'sessions for {", ".join(one.name for one in _open_sessions)}',
                next=('start the thread with contextvars.copy_context().run', 'or close one session first'),
            )
        return _open_sessions[0].start(started) if _open_sessions else None


_ROUTER = _Router()


def _stand_guard() -> None:
    """From the first session on, see every run: one that outlived its session is refused and does not go live."""
    if not _guarding:
        _guarding.append(True)
        # Left before modules are torn down: what still stands then ends in noise.
        atexit.register(_guards.close)
        for host in hosts():
            _guards.enter_context(host.watch(_ROUTER))
