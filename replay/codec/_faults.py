"""Where the reader of a cassette stands, and the errors that it raises there."""

from dataclasses import dataclass
from shlex import quote
from typing import NoReturn, cast

from replay.canon import Json, JsonObject
from replay.errors import CassetteDamaged, CassetteInconsistent, Where


@dataclass(slots=True)
class Place:
    """A place in a cassette that moves on as it is read."""

    cassette: str
    run: str | None = None
    node: str | None = None
    test: str | None = None
    """The test that owns the cassette, as far as its text can be read."""

    def where(self, field: str | None = None) -> Where:
        """The place as a fact of an error."""
        return Where(cassette=self.cassette, run=self.run, node=self.node, field=field)

    def remedies(self, *, merging: bool = False) -> tuple[str, ...]:
        """What to type to get a cassette that can be read."""
        side = '--ours ' if merging else ''
        kept = f'git checkout {side}-- {quote(self.cassette)}'
        why = "to keep this branch's recording" if merging else 'to go back to the recording under version control'
        anew = f'pytest {quote(self.test)} --replay-record=rewrite' if self.test else 'pytest --replay-record=rewrite'
        return (f'{kept}     {why}', f'{anew}     to record it anew')

    def _sealing(self, cause: str) -> tuple[str, ...]:
        """What to type if it was edited on purpose."""
        return (f'replay seal {quote(self.cassette)}     if it was edited on purpose',) if cause == 'seal' else ()

    def damaged(self, headline: str, *, cause: str = 'shape', field: str | None = None, **facts: str) -> NoReturn:
        """Raise `CassetteDamaged` here."""
        raise CassetteDamaged(
            headline,
            cause=cause,
            where=self.where(field),
            next=(*self.remedies(merging=cause == 'conflict'), *self._sealing(cause)),
            expected=facts.get('expected'),
            got=facts.get('got'),
        )

    def inconsistent(self, headline: str, *, expected: str, got: str, field: str | None = None) -> NoReturn:
        """Raise `CassetteInconsistent` here."""
        raise CassetteInconsistent(
            headline,
            expected=expected,
            got=got,
            where=self.where(field),
            next=self.remedies(),
        )

    def object(self, value: Json, field: str, allowed: frozenset[str] | None = None) -> JsonObject:
        """See to it that a value is an object and has no key that this format does not have."""
        if not isinstance(value, dict):
            self.damaged(f'{field} is no object', field=field, expected='an object', got=kind_of(value))
        if allowed is not None and not value.keys() <= allowed:
            key = next(key for key in value if key not in allowed)
            self.damaged(
                f'unknown key {key!r}',
                cause='unknown-key',
                field=f'{field}.{key}',
                expected=f'one of {", ".join(sorted(allowed))}',
                got=key,
            )
        return value

    def array(self, value: Json, field: str) -> list[Json]:
        """See to it that a value is an array."""
        if not isinstance(value, list):
            self.damaged(f'{field} is no array', field=field, expected='an array', got=kind_of(value))
        return value

    def text(self, value: Json, field: str) -> str:
        """See to it that a value is a string."""
        if not isinstance(value, str):
            self.damaged(f'{field} is no string', field=field, expected='a string', got=kind_of(value))
        return value

    def optional_text(self, value: Json, field: str) -> str | None:
        """See to it that a value is a string or null."""
        return None if value is None else self.text(value, field)

    def indexes(self, value: Json, field: str) -> tuple[int, ...] | None:
        """See to it that a value is an array of indexes, each once; or null."""
        if value is None:
            return None
        found = self.array(value, field)
        if not all(type(item) is int and item >= 0 for item in found) or len({*map(str, found)}) != len(found):
            self.damaged(f'{field} holds no indexes', field=field, expected='indexes, each once', got=repr(found)[:60])
        return tuple(cast('list[int]', found))


def kind_of(value: Json) -> str:
    """Name the JSON type of a value, with its article."""
    if isinstance(value, dict):
        return 'an object'
    if isinstance(value, list):
        return 'an array'
    if isinstance(value, str):
        return 'a string'
    if value is None:
        return 'null'
    return 'true or false' if isinstance(value, bool) else 'a number'
