"""The minted values of a run, read strictly."""

from replay.canon import Json, JsonObject
from replay.minted import KINDS, piece_of

from ._faults import Place

_KEYS = frozenset({'value', 'by'})


def read_minted(value: Json, place: Place) -> dict[str, JsonObject]:
    """Read what stands under `minted`.

    Args:
        value: What stands there.
        place: For errors.
    """
    found: dict[str, JsonObject] = {}
    for name, packed in place.object(value, 'minted').items():
        field = f'minted.{name}'
        entry = place.object(packed, field, _KEYS)
        kind, _, number = name.rpartition('-')
        if kind not in KINDS or not number.isascii() or not number.isdecimal():
            place.damaged(
                f'{name!r} names no minted value',
                field=field,
                expected=f'one of {", ".join(KINDS)}, and a number',
                got=name,
            )
        text = place.text(entry.get('value'), f'{field}.value')
        if piece_of(text, kind) is None:
            place.damaged(f'{text!r} is no {kind}', field=f'{field}.value', expected=f'a {kind}', got=text)
        found[name] = {'value': text, 'by': place.text(entry.get('by'), f'{field}.by')}
    return found


__all__ = ('read_minted',)
