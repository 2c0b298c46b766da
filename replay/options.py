"""What a session is asked to do beside its name: read, checked and brought into one form, wherever it was said.

The names are those of the options of pytest, of the ini values, of the marker and of `use_cassette`.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Literal, TypeAlias, TypedDict, cast

from .errors import ReplayError
from .match import FIELDS, Field
from .modes import MODES, OFFERED, Mode
from .redact import Redactor, UserRule

__all__ = ('Options', 'Tools', 'Verdict', 'Wishes', 'choice')

Tools: TypeAlias = Literal['replay', 'live', 'verify']
"""What becomes of a tool call in a replay: its recorded result, executed, or executed and compared."""

Verdict: TypeAlias = Literal['ignore', 'warn', 'fail']
"""How much something counts that was found."""

Network: TypeAlias = Literal['block', 'allow']

_TOOLS: tuple[Tools, ...] = ('replay', 'live', 'verify')
_VERDICTS: tuple[Verdict, ...] = ('ignore', 'warn', 'fail')
_NETWORK: tuple[Network, ...] = ('block', 'allow')
_AGE = re.compile(r'(\d{1,5})\s*(d|w|days?|weeks?)')


class Wishes(TypedDict, total=False):
    """What a session takes as keywords; each as `Options` has it, or as the text that an option of pytest takes."""

    record: Mode
    tools: str | Mapping[str, str]
    match: str | Iterable[str]
    unplayed: Verdict
    max_age: str | timedelta | None
    network: Network
    allowed_hosts: str | Iterable[str]
    play_pending: bool
    redact: Iterable[UserRule]
    patch: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a session is asked to do. Made by `Options.of`, which checks it."""

    record: Mode = 'none'
    """Record mode."""
    tools: Mapping[str, Tools] | None = None
    """What becomes of tool calls, by name of the tool, `*` for all others; see `tool`."""
    match: tuple[Field, ...] = FIELDS
    """The fields of a request that are compared."""
    unplayed: Verdict = 'fail'
    """What recordings that were not asked for make of a test."""
    max_age: timedelta | None = None
    """How old a recording may be; None: as old as it likes."""
    network: Network = 'block'
    """Whether code may connect to other machines while a session replays."""
    allowed_hosts: tuple[str, ...] = ()
    """Hosts that may be connected to all the same."""
    play_pending: bool = False
    """Whether the recording that waits beside the cassette is played, if there is one."""
    redact: tuple[UserRule, ...] = ()
    """What is redacted beside what is known: names with regular expressions, or functions of text."""
    patch: bool = True
    """Whether names of pydantic_ai are replaced while the session is open; else only wrapped models are seen."""

    @classmethod
    def of(cls, wishes: Mapping[str, Any] | None = None) -> 'Options':
        """Check what was asked for, and bring it into one form.

        Args:
            wishes: As `Wishes` has them.

        Raises:
            ReplayError: If there is no such option, or a value is none that it has.
        """
        wishes = dict(wishes or {})
        for name in wishes:
            if name not in _NAMES:
                raise ReplayError(
                    f'{name!r} is no option of a session', expected=', '.join(_NAMES), got=f'{name}={wishes[name]!r}'
                )
        return cls(**{name: _READ[name](wishes[name]) if name in _READ else wishes[name] for name in wishes})

    def tool(self, name: str) -> Tools:
        """What becomes of calls of a tool."""
        tools = self.tools or {}
        return tools.get(name, tools.get('*', 'replay'))

    @property
    def runs_tools(self) -> bool:
        """Whether any tool is executed in a replay."""
        return any(how != 'replay' for how in (self.tools or {}).values())


def choice(name: str, value: Any, known: Sequence[str]) -> str:
    """Make sure that an option has a value that exists.

    Raises:
        ReplayError: If it has another one.
    """
    if value not in known:
        raise ReplayError(f'{value!r} is no value of {name}', expected=', '.join(known), got=f'{name}={value!r}')
    return cast('str', value)


# -- readers, one for each option that has something to check


def _record(value: Any) -> str:
    if value not in MODES:
        raise ReplayError(f'{value!r} is no record mode', expected=', '.join(OFFERED), got=f'record={value!r}')
    return cast('str', value)


def _tools(value: Any) -> dict[str, str] | None:
    """Read `live`, `{'get_weather': 'live', '*': 'replay'}`, or the latter as `get_weather=live,*=replay`."""
    if isinstance(value, str):
        pairs = [pair.rpartition('=') for pair in _words(value)]
        value = {name.strip() or '*': how.strip() for name, _, how in pairs}
    if not isinstance(value, Mapping):
        raise ReplayError(
            f'{value!r} is no value of tools',
            expected=f'{", ".join(_TOOLS)}, or one of them for each tool: get_weather=live,*=replay',
            got=f'tools={value!r}',
        )
    found = cast('Mapping[str, str]', value)
    return {name: choice(f'tools[{name}]' if name != '*' else 'tools', how, _TOOLS) for name, how in found.items()}


def _match(value: Any) -> tuple[str, ...]:
    names = _words(value)
    if names == ['all']:
        return FIELDS
    for name in names:
        choice('match', name, FIELDS)
    return tuple(field for field in FIELDS if field in names)


def _age(value: Any) -> timedelta | None:
    if value is None or isinstance(value, timedelta):
        return value
    found = _AGE.fullmatch(str(value).strip().lower())
    if found is None and str(value).strip():
        raise ReplayError(f'{value!r} is no age', expected='days or weeks: 90d, 12w', got=f'max_age={value!r}')
    return found and timedelta(**{'weeks' if found[2].startswith('w') else 'days': int(found[1])})


def _rules(value: Any) -> tuple[UserRule, ...]:
    rules = tuple(cast('Iterable[UserRule]', value))
    Redactor({}, rules)  # refuses what is no rule
    return rules


def _words(value: Any) -> list[str]:
    if isinstance(value, str):
        return [word for word in re.split(r'[,\s]+', value) if word]
    return [str(word) for word in cast('Iterable[Any]', value)]


_READ: Mapping[str, Callable[[Any], Any]] = {
    'record': _record,
    'tools': _tools,
    'match': _match,
    'unplayed': lambda value: choice('unplayed', value, _VERDICTS),
    'max_age': _age,
    'network': lambda value: choice('network', value, _NETWORK),
    'allowed_hosts': lambda value: tuple(_words(value)),
    'redact': _rules,
}
_NAMES = tuple(field.name for field in fields(Options))
