"""Records of one library made into those of the other, field by field.

Which fields there are is asked of the classes: a field that one side lacks is left out, so every version of pydantic_ai
takes the same path. Values that are no records are handed on as they are, not copied: whoever changes a dictionary in
place changes both sides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any, NamedTuple, cast

from agentrun.exceptions import UserError

__all__ = ('Translation',)

_DISCRIMINATORS = frozenset({'part_kind', 'part_delta_kind', 'event_kind'})
"""Fields that the class of a record decides."""
_PLAIN = frozenset({str, int, float, bool, bytes, type(None), datetime})
"""Types that are nobody's records and hold none."""


class _Plan(NamedTuple):
    """How a record of a class is made into one of another."""

    target: type
    names: tuple[tuple[str, str], ...]
    """Fields of the record, and the keywords of the other class."""
    timed: bool
    """Whether both have a time of their own."""


class Translation:
    """Makes records of one library into those of another.

    Args:
        pairs: Class by class, what it becomes; None: there is nothing like it. Subclasses become the same.
        whose: Whose records these become, for the error.
    """

    def __init__(self, pairs: Mapping[type, type | None], *, whose: str) -> None:
        self._pairs = pairs
        self._whose = whose
        self._plans: dict[type, _Plan | None] = {}

    def of(self, value: Any, now: datetime | None = None) -> Any:
        """Translate a record, or a list, tuple or dictionary with records somewhere inside.

        Args:
            value: Anything; what neither is nor holds a record comes back as the same object.
            now: In place of the times of records.

        Raises:
            UserError: If there is nothing like a record on the other side.
        """
        kind = cast('type[Any]', type(value))
        if kind in _PLAIN:
            return value
        if kind is list or kind is tuple:
            return self._items(value, now)
        if kind is dict:
            made = self._items(list(value.values()), now)
            same = all(one is other for one, other in zip(made, value.values(), strict=True))
            return value if same else dict(zip(value, made, strict=True))
        plan = self._plan(kind)
        return value if plan is None else self._made(plan, value, now)

    def with_(self, value: Any, **changes: Any) -> Any:
        """Translate a record with some fields set to what is on the other side already."""
        plan = self._plan(cast('type[Any]', type(value)))
        if plan is None:
            raise TypeError(f'{value!r} is no record of the library that is translated from.')
        names = tuple(pair for pair in plan.names if pair[1] not in changes)
        return self._made(plan._replace(names=names), value, None, changes)

    def _items(self, items: list[Any] | tuple[Any, ...], now: datetime | None) -> list[Any] | tuple[Any, ...]:
        made = [cast('object', self.of(item, now)) for item in items]
        if all(one is other for one, other in zip(made, items, strict=True)):
            return items
        return tuple(made) if isinstance(items, tuple) else made

    def _made(self, plan: _Plan, value: Any, now: datetime | None, changes: Mapping[str, Any] | None = None) -> Any:
        given = {keyword: self.of(getattr(value, name), now) for name, keyword in plan.names}
        if now is not None and plan.timed:
            given['timestamp'] = now
        if changes is not None:
            given |= changes
        if not hasattr(plan.target, '__deprecated__'):
            return plan.target(**given)
        # Past the `__new__` that warns: nobody here can use what has come in the place of such a class.
        made: Any = object.__new__(cast('type[Any]', plan.target))
        made.__init__(**given)
        return made

    def _plan(self, kind: type[Any]) -> _Plan | None:
        try:
            return self._plans[kind]
        except KeyError:
            pass
        source = next((base for base in kind.__mro__ if base in self._pairs), None)
        plan = None
        if source is not None:
            target = self._pairs[source]
            if target is None:
                raise UserError(f'{self._whose} has nothing like a `{kind.__name__}`, so it cannot be handed on to it.')
            plan = _Plan(target, tuple(_shared(kind, target)), 'timestamp' in _names(kind) & _names(target))
        self._plans[kind] = plan
        return plan


def _shared(kind: type[Any], target: type) -> Iterable[tuple[str, str]]:
    left_out = {*_DISCRIMINATORS, 'kind'} if _told_by_class(kind) else _DISCRIMINATORS
    return ((name, name.lstrip('_')) for name in _ordered(kind) if name in _names(target) and name not in left_out)


def _told_by_class(kind: type[Any]) -> bool:
    """Whether `kind` is what tells classes apart; of a tool definition it is content."""
    return any(
        one.name == 'kind' and isinstance(one.default, str) and one.default != 'function' for one in fields(kind)
    )


def _ordered(kind: type[Any]) -> list[str]:
    return [one.name for one in fields(kind) if one.init]


def _names(kind: type[Any]) -> frozenset[str]:
    return frozenset(_ordered(kind))
