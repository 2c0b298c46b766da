"""`replay move`: cassettes follow tests that were renamed.

A name is as short as tells the tests apart: the id of a test, its last parts, or a file; the cassettes of all variants
of a test go with it. What belongs to no test is named by its path or name and gets another name.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import click

from replay.canon import JsonObject
from replay.cassette import Cassette
from replay.errors import CassetteNotFound, ReplayError, Where
from replay.names import SUFFIX, cassette_name, checked_name
from replay.printable import printable
from replay.store import Store, read_cassette

from ._files import shown_path
from ._out import say, say_json
from ._project import dir_option

__all__ = ('move_command',)


@click.command('move')
@click.argument('old')
@click.argument('new')
@dir_option
@click.option('--json', 'as_json', is_flag=True, help='One object instead of lines.')
def move_command(*, old: str, new: str, folder: Path, as_json: bool) -> None:
    """Let the cassettes of a renamed test follow it, pending recordings too. Nothing is overwritten.

    OLD and NEW are test ids or their last parts (replay move test_round_trip test_return_trip), or files of tests; a
    cassette of no test is named by its path, or by its name below the folder.
    """
    store = Store(folder)
    moves = _planned(store, old, new)
    for move in moves:
        _refuse_overwriting(store, move)
    for move in moves:
        _carry_out(store, move)
    if as_json:
        say_json({'moved': [move.as_json(store) for move in moves]})
        return
    for move in moves:
        owner = f'   test {printable(move.test)}' if move.test else ''
        say(f'moved {shown_path(store.path(move.old))} to {shown_path(store.path(move.new))}{owner}')


@dataclass(frozen=True, slots=True, kw_only=True)
class _Move:
    """One cassette and what becomes of it."""

    old: str
    """Its name."""
    new: str
    """Its next name, which is the same if the test does not tell it."""
    test: str | None
    """The test that owns it then."""

    def as_json(self, store: Store) -> JsonObject:
        """All of it for a machine."""
        old, new = (shown_path(store.path(name)) for name in (self.old, self.new))
        return {'old': old, 'new': new, 'test': self.test}


def _planned(store: Store, old: str, new: str) -> list[_Move]:
    """Find what is meant by the old name, and what the new one makes of each."""
    owned = _owned(store)
    named = _named(store, old)
    if named is not None:
        test = owned[named]
        if test is None:
            return [_Move(old=named, new=_name_of(store, new), test=None)]
        return [_move(named, test, _renamed(test, _last(test), new))]
    found = [(name, test, known) for name, test in owned.items() if test and (known := _meant(test, old))]
    if not found:
        raise _nothing(store, old, [test for test in owned.values() if test])
    if len({known for _, _, known in found}) > 1:
        raise ReplayError(
            f'{old} may be several tests',
            expected=', '.join(sorted({known for _, _, known in found})),
            got=old,
            next=('name one of them whole',),
        )
    return [_move(name, test, test.replace(known, _renamed(known, old, new), 1)) for name, test, known in found]


def _owned(store: Store) -> dict[str, str | None]:
    """All cassettes that can be read, with the tests that own them."""
    found: dict[str, str | None] = {}
    for name in dict.fromkeys([*store.names(), *store.pending()]):
        with suppress(ReplayError):
            found[name] = store.read(name, pending=not store.exists(name)).test
    return found


def _named(store: Store, name: str) -> str | None:
    """The cassette at a path, or of a name below the folder; None if it is neither."""
    path = Path(name)
    if name.endswith(SUFFIX) and path.is_file():
        read_cassette(path)  # one that is damaged is not moved
        with suppress(ValueError):
            return path.resolve().relative_to(store.folder.resolve()).as_posix()
    with suppress(ReplayError):
        if store.exists(name):
            store.read(name)
            return checked_name(name)
    return None


def _name_of(store: Store, name: str) -> str:
    path = Path(name)
    inside = path.is_relative_to(store.folder)
    return checked_name(path.relative_to(store.folder).as_posix() if inside else name)


def _meant(test: str, name: str) -> str | None:
    """What a name means of a test: its id, with its parameters or without, or its file; None if it is another."""
    file, _, inner = test.partition('::')
    bare = test if '[' not in inner else test[: len(file) + 2 + inner.index('[')]
    for whole in (test, bare, file):
        if whole == name or whole.endswith((f'::{name}', f'/{name}')):
            return whole
    return None


def _last(test: str) -> str:
    """The last part of a test's id, with its parameters."""
    head = test.partition('[')[0]
    return test.removeprefix(head.rpartition('::')[0]).removeprefix('::')


def _renamed(known: str, old: str, new: str) -> str:
    """Put the new name in the place of the old; what was left out before the old name stays before the new one."""
    left_out = known.removesuffix(old)
    return new if left_out.endswith('::') and '.py::' in new else f'{left_out}{new}'


def _move(name: str, test: str, after: str) -> _Move:
    """A cassette whose name follows from its test gets the next one; one that has a name of its own keeps it."""
    return _Move(old=name, new=cassette_name(after) if cassette_name(test) == name else name, test=after)


def _nothing(store: Store, old: str, tests: Sequence[str]) -> ReplayError:
    some = ', '.join(tests[:5])
    more = f', {len(tests) - 5} more (replay list)' if len(tests) > 5 else ''
    return CassetteNotFound(
        f'no cassette of {old}',
        expected=f'one of {some}{more}' if tests else f'a cassette below {shown_path(store.folder)}',
        got=old,
        next=('replay list   shows what there is',),
    )


def _refuse_overwriting(store: Store, move: _Move) -> None:
    for pending in (False, True):
        if move.new != move.old and store.exists(move.new, pending=pending):
            path = shown_path(store.path(move.new, pending=pending))
            raise ReplayError(
                f'{path} exists',
                expected='no recording of the new name',
                got='one',
                where=Where(cassette=path),
                next=(f'remove it first, if {shown_path(store.path(move.old))} is the right one',),
            )


def _carry_out(store: Store, move: _Move) -> None:
    """Write under the new name, then remove the old: whatever happens between, there is one of them."""
    held: list[tuple[bool, Cassette]] = [
        (pending, replace(store.read(move.old, pending=pending), test=move.test))
        for pending in (False, True)
        if store.exists(move.old, pending=pending)
    ]
    for pending, cassette in held:
        store.write(move.new, cassette, pending=pending)
    for pending, _ in held if move.new != move.old else ():
        store.remove(move.old, pending=pending)
