"""`replay prune`: cassettes of tests that are gone."""

import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click

from replay.errors import ReplayError
from replay.printable import printable
from replay.store import Store

from ._files import shown_path
from ._out import note, progress, say, say_json
from ._owners import orphaned
from ._project import dir_option

__all__ = ('prune_command',)


@click.command('prune')
@dir_option
@click.option('--dry-run', is_flag=True, help='Only list them.')
@click.option('--yes', is_flag=True, help='Remove them without asking.')
@click.option('--json', 'as_json', is_flag=True, help='One object instead of lines; asks nothing.')
@click.pass_context
def prune_command(ctx: click.Context, *, folder: Path, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Remove cassettes, and pending recordings, of tests that are gone. Asks first, or needs --yes.

    pytest is asked which tests there are. Exit code 1 if there are orphans that were not removed.
    """
    store = Store(folder)
    with progress('collecting tests'):
        orphans = _orphans(store)
    if not as_json:
        for orphan in orphans:
            say(f'{shown_path(orphan.path)}   test {printable(orphan.test)} is gone')
    remove = bool(orphans) and not dry_run and (yes or (not as_json and _asked(len(orphans))))
    for orphan in orphans if remove else ():
        store.remove(orphan.name, pending=orphan.pending)
    if as_json:
        paths = [shown_path(orphan.path) for orphan in orphans]
        say_json({'orphans': list(paths), 'removed': list(paths) if remove else []})
    elif not orphans:
        say(f'no orphans below {shown_path(folder)}')
    else:
        say(f'{len(orphans)} {"removed" if remove else "not removed"}')
        if not (remove or dry_run):
            note('next: replay prune --yes')
    ctx.exit(int(bool(orphans) and not remove and not dry_run))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Orphan:
    """A cassette or pending recording whose test is gone."""

    name: str
    pending: bool
    test: str
    path: Path


def _orphans(store: Store) -> list[_Orphan]:
    """Find them, sorted by path.

    Raises:
        ReplayError: If pytest cannot collect a file that should have some of the tests.
    """
    found: list[_Orphan] = []
    for pending, names in ((False, store.names()), (True, store.pending())):
        for name in names:
            with suppress(ReplayError):  # who owns a damaged one is not known
                test = store.read(name, pending=pending).test
                path = store.path(name, pending=pending)
                found.append(_Orphan(name=name, pending=pending, test=test or '', path=path))
    gone = orphaned({one.name: one.test for one in found if one.test})
    return sorted((one for one in found if one.test and one.name in gone), key=lambda one: str(one.path))


def _asked(number: int) -> bool:
    """Ask a person; where there is none, the answer is no."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    return click.confirm(f'Remove {number} file{"" if number == 1 else "s"}?')
