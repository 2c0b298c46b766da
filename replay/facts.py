"""Dataclasses that are frozen for the type checker, and cheap to make."""

from dataclasses import dataclass, field
from typing import TypeVar

from typing_extensions import dataclass_transform

__all__ = ('fact',)

_T = TypeVar('_T')


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def fact(cls: type[_T]) -> type[_T]:
    """Make a class what `dataclass(frozen=True, slots=True, kw_only=True)` makes of it.

    That it is frozen is watched by the type checker alone: a replay makes several of them for each node, and at run
    time each field of a frozen one is set by a call.
    """
    return dataclass(slots=True, kw_only=True, unsafe_hash=True)(cls)
