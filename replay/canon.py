"""Canonical JSON: the one door through which this package turns data into bytes and back."""

from typing import TypeAlias

Json: TypeAlias = 'dict[str, Json] | list[Json] | str | int | float | bool | None'
"""Anything that JSON can hold. Objects keep the order of their keys."""

JsonObject: TypeAlias = dict[str, Json]
"""A JSON object."""
