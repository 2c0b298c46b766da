"""The network blocked while a session replays: who reaches for another machine is told so, and stopped.

Python tells hooks of every connect and look-up that any code of the process is about to make (PEP 578), and an error
of a hook stops it. So nothing is patched, other tools that patch sockets keep what they have, and it does not matter
whether asyncio, trio, a thread or plain code asks. A hook cannot be taken away: it stays, and does nothing while no
session replays. Libraries that open sockets in C past Python's module (gRPC, pycurl) are not seen; loops are watched
beside it.
"""

import sys
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from fnmatch import fnmatchcase
from shlex import quote
from typing import Any, cast

from .errors import ReplayError, Where

__all__ = ('Guard', 'NetworkBlocked', 'Who', 'watch')

_LOOKUPS = frozenset(('socket.getaddrinfo', 'socket.gethostbyname'))
_SENDS = frozenset(('socket.connect', 'socket.sendto', 'socket.sendmsg'))

_HERE = frozenset(('', 'localhost', 'localhost.localdomain', 'ip6-localhost'))
"""Names of this machine; looking up no name at all gives its own addresses too."""

_looking: ContextVar[bool] = ContextVar('replay_looking_up', default=False)
"""Whether the look-up is our own, of a host that may be reached."""


class NetworkBlocked(ReplayError):  # noqa: N818  # named like the other errors of this package
    """Code reached for another machine while its session replays.

    Args:
        headline: As for `ReplayError`.
        host: Name or address of the machine.
        port: Its port; None if its name was looked up without one.
        run: Name of the run that was going on, if it is known.
        tool: The tool that was running, if one was.
        more: Further arguments of `ReplayError`.
    """

    def __init__(
        self, headline: str, *, host: str, port: int | str | None, run: str | None, tool: str | None, **more: Any
    ) -> None:
        super().__init__(headline, **more)
        self.host = host
        self.port = port
        self.run = run
        self.tool = tool


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """Who reached for the network, as far as it is known."""

    run: str | None = None
    tool: str | None = None

    def __str__(self) -> str:
        said = (('run', self.run), ('tool', self.tool))
        return ', '.join(f'{label} {name}' for label, name in said if name is not None) or 'code outside of runs'


class Guard:
    """What one session lets pass.

    Args:
        cassette: Path of its cassette.
        test: Id of its test, if it has one; then what to type are options of pytest.
        allowed: Hosts that pass: addresses, names, or names with `*`.
        who: Tells who is running right now.
        noted: Is told of each error before it is raised, because whoever made the connection may catch it.
    """

    def __init__(
        self,
        *,
        cassette: str,
        test: str | None,
        allowed: Sequence[str],
        who: Callable[[], Who],
        noted: Callable[[NetworkBlocked], object],
    ) -> None:
        self._cassette = cassette
        self._test = test
        self._allowed = tuple(host.lower() for host in allowed)
        self._who = who
        self._noted = noted
        self._names = {host for host in self._allowed if '*' not in host}
        self._addresses: dict[str, frozenset[str]] = {}

    def look_up(self, host: Any, port: Any = None) -> None:
        """Let a look-up of a name pass, or not.

        Raises:
            NetworkBlocked: If it would ask another machine.
        """
        name = _text(host)
        if name in _HERE or name.endswith('.localhost') or _address(name) is not None:
            return
        if any(fnmatchcase(name, pattern) for pattern in self._allowed):
            self._names.add(name)
            return
        raise self._blocked(name, port)

    def send(self, host: Any, port: Any) -> None:
        """Let a connection, or something sent without one, pass, or not.

        Raises:
            NetworkBlocked: If it would reach another machine.
        """
        name = _text(host)
        address = _address(name)
        if address is None:
            self.look_up(host, port)
        elif not (_is_here(address) or name in self._allowed or self._is_allowed(str(address))):
            raise self._blocked(name, port)

    def _is_allowed(self, address: str) -> bool:
        """Whether an address is one of a host that may be reached; each is looked up once."""
        for name in sorted(self._names - self._addresses.keys()):
            self._addresses[name] = _addresses_of(name)
        return any(address in found for found in self._addresses.values())

    def _blocked(self, host: str, port: Any) -> NetworkBlocked:
        who = self._who()
        target = f'{host}:{port}' if port not in {None, 0, ''} else host
        error = NetworkBlocked(
            f'network blocked: {who} reached for {target}',
            host=host,
            port=port,
            run=who.run,
            tool=who.tool,
            expected='a replay, which needs no network; this machine and allowed hosts may be reached',
            got=f'a connection to {target}',
            where=Where(cassette=self._cassette, run=who.run),
            next=self._steps(host),
        )
        self._noted(error)
        return error

    def _steps(self, host: str) -> tuple[str, ...]:
        if self._test is None:
            return (
                f'use_cassette(..., allowed_hosts={[host]!r})     lets this host be reached',
                "use_cassette(..., network='allow')     lets all be reached",
                "use_cassette(..., record='rewrite')     to record anew, over the network",
            )
        test = quote(self._test)
        return (
            f'pytest {test} --replay-allowed-hosts={quote(host)}     lets this host be reached',
            f'pytest {test} --replay-network=allow     lets all be reached',
            f'pytest {test} --replay-record=rewrite     to record anew, over the network',
        )


# -- the hook

_choosers: list[Callable[[], Guard | None]] = []


def watch(choose: Callable[[], Guard | None]) -> None:
    """From now on ask which session's guard decides, at each connect and look-up. Once for each process.

    Args:
        choose: Gives the guard of the session that the running code belongs to; None if it may do as it likes.
    """
    if not _choosers:
        sys.addaudithook(_hook)
    if choose not in _choosers:
        _choosers.append(choose)


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if (event in _LOOKUPS or event in _SENDS) and not _looking.get():
        for choose in _choosers:
            guard = choose()
            if guard is not None:
                judge(guard, event, args)


def judge(guard: Guard, event: str, args: tuple[Any, ...]) -> None:
    """Let a guard decide about what the interpreter tells of.

    Args:
        guard: The guard.
        event: Name of the audit event.
        args: Its arguments: host, and port if there is one; or socket and address.

    Raises:
        NetworkBlocked: If it may not be.
    """
    if event in _LOOKUPS:
        guard.look_up(*args[:2])
        return
    end, address = args[:2]
    socket = sys.modules['_socket']
    if isinstance(address, tuple) and end.family in {socket.AF_INET, socket.AF_INET6}:
        host, port = cast('tuple[Any, ...]', address)[:2]
        guard.send(host, port)


# -- hosts and addresses


def _text(host: Any) -> str:
    text = host.decode('ascii', 'replace') if isinstance(host, bytes | bytearray) else str(host or '')
    return text.lower().rstrip('.')


def _address(host: str) -> Any:
    """The address that a text spells, or None. An IPv4 address in IPv6's clothes is the former."""
    from ipaddress import ip_address

    try:
        found = ip_address(host.partition('%')[0])
    except ValueError:
        return None
    return getattr(found, 'ipv4_mapped', None) or found


def _is_here(address: Any) -> bool:
    return address.is_loopback or address.is_unspecified


def _addresses_of(name: str) -> frozenset[str]:
    from socket import getaddrinfo

    token = _looking.set(True)
    try:
        return frozenset(str(_address(str(found[4][0]))) for found in getaddrinfo(name, None))
    except OSError:  # it has none, so none is allowed
        return frozenset()
    finally:
        _looking.reset(token)
