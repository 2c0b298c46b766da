"""Event loops that are asked to reach another machine, heard in the task that asks.

The interpreter tells of a look-up of asyncio in a thread of its own, where nobody knows whose it is, and of nothing
that uvloop does. So while a session blocks the network, the methods by which both are asked are wrapped; this is the
one place where the network is watched by a replaced name.
"""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import wraps
from threading import Lock
from typing import Any

from .network import Guard

__all__ = ('loops_watched',)

Choose = Callable[[], Guard | None]


@contextmanager
def loops_watched(choose: Choose) -> Generator[None]:
    """Ask which guard decides, at each look-up and connection of a loop, while any such block is open.

    Args:
        choose: Gives the guard of the session that the running code belongs to; None if it may do as it likes.
    """
    with _lock:
        _open.append(choose)
        for module, name, methods in _LOOPS:
            loop = getattr(sys.modules.get(module), name, None)
            for method, judge in methods.items() if loop is not None else ():
                _wrap(loop, method, judge)
    try:
        yield
    finally:
        with _lock:
            _open.remove(choose)
            for put_back in _put_back if not _open else ():
                put_back()
            if not _open:
                _put_back.clear()


Judge = Callable[..., None]
"""Given a guard and the arguments of a method, raises if it may not be."""


def _look_up(guard: Guard, host: Any, port: Any = None, *_: Any, **__: Any) -> None:
    guard.look_up(host, port)


def _connect(guard: Guard, _factory: Any, host: Any = None, port: Any = None, *_: Any, **__: Any) -> None:
    if host is not None:
        guard.send(host, port)


def _send(guard: Guard, _factory: Any, _local_addr: Any = None, remote_addr: Any = None, *_: Any, **__: Any) -> None:
    if isinstance(remote_addr, tuple):
        guard.send(*remote_addr[:2])


_LOOPS: tuple[tuple[str, str, dict[str, Judge]], ...] = (
    ('asyncio.base_events', 'BaseEventLoop', {'getaddrinfo': _look_up}),
    (
        'uvloop',
        'Loop',
        {'getaddrinfo': _look_up, 'create_connection': _connect, 'create_datagram_endpoint': _send},
    ),
)
"""Classes of loops, by their modules, and what they are asked by. The rest of asyncio's is heard by the interpreter."""

_lock = Lock()
_open: list[Choose] = []
_put_back: list[Callable[[], None]] = []


def _wrap(loop: Any, method: str, judge: Judge) -> None:
    """Wrap a method, unless it is wrapped."""
    original = getattr(loop, method)
    if hasattr(original, _OURS):
        return

    @wraps(original)
    def asked(self: Any, *args: Any, **kwargs: Any) -> Any:
        for choose in dict.fromkeys(_open):
            guard = choose()
            if guard is not None:
                judge(guard, *args, **kwargs)
        return original(self, *args, **kwargs)

    setattr(asked, _OURS, True)
    own = method in vars(loop)

    def put_back() -> None:
        if getattr(loop, method, None) is asked:  # what somebody else has wrapped since stays, and does nothing
            setattr(loop, method, original) if own else delattr(loop, method)

    setattr(loop, method, asked)
    _put_back.append(put_back)


_OURS = '_replay_asks'
