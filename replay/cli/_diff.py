"""`replay diff`: what changed between two recordings, node by node."""

from collections.abc import Sequence
from pathlib import Path

import click

from replay.codec import loads
from replay.diff import CassetteDiff, diff_cassettes
from replay.diff_formats import Line, diff_to_json, diff_to_markdown, marked_lines, summary
from replay.errors import CassetteNotFound
from replay.names import SUFFIX
from replay.printable import printable
from replay.store import read_cassette

from . import _git
from ._files import cassette_at, shown_path
from ._out import say, say_json
from ._project import dir_option

__all__ = ('diff_command', 'say_diff', 'say_lines')

_COLOURS = {'+': 'green', '-': 'red', '~': 'yellow', '#': 'cyan'}


@click.command('diff')
@click.argument('paths', nargs=-1, type=click.Path(path_type=Path), metavar='[A B | PATH ...]')
@click.option('--base', metavar='REV', help='Compare the working tree with this git revision.')
@click.option('--format', 'form', type=click.Choice(['text', 'markdown', 'json']), default='text', show_default=True)
@click.option('--json', 'form', flag_value='json', help='The same as --format json.')
@dir_option
@click.pass_context
def diff_command(ctx: click.Context, *, paths: tuple[Path, ...], base: str | None, form: str, folder: Path) -> None:
    """Compare cassettes A and B, or with --base each changed cassette below PATHs with what it was.

    Times, ids, usage and provider details are no difference. Exit code 1 if anything else differs.
    """
    if base is None and len(paths) != 2:
        raise click.UsageError('two cassettes to compare, or --base REV to compare with a revision')
    diffs = (
        [_two(*(cassette_at(str(path)) for path in paths))] if base is None else _with_base(base, paths or (folder,))
    )
    _say(diffs, form)
    ctx.exit(any(diff.differs for diff in diffs))


def say_diff(diff: CassetteDiff) -> None:
    """Write a comparison to the output, coloured if it is a terminal."""
    say_lines(marked_lines(diff))


def say_lines(lines: Sequence[Line]) -> None:
    """Write lines of a comparison to the output, coloured if it is a terminal."""
    for line in lines:
        say(str(line), colour=_COLOURS.get(line.mark))


def _two(old: Path, new: Path) -> CassetteDiff:
    return diff_cassettes(read_cassette(old), read_cassette(new), old_label=shown_path(old), new_label=shown_path(new))


def _with_base(base: str, paths: tuple[Path, ...]) -> list[CassetteDiff]:
    commit = _git.resolve(base)
    changed = _git.changed_files(commit, paths)
    missing = [path for path in paths if not path.exists() and not any(_below(file.path, path) for file in changed)]
    if missing:
        raise CassetteNotFound(
            f'nothing at {shown_path(missing[0])}',
            expected=f'a cassette or a folder of cassettes, here or in {base}',
            got='neither',
            next=(f'replay diff --base {base} PATH',),
        )
    return [_changed(base, commit, file) for file in changed if file.path.suffix == SUFFIX]


def _below(file: Path, path: Path) -> bool:
    return file.is_relative_to(path.absolute())


def _changed(base: str, commit: str, file: _git.Changed) -> CassetteDiff:
    was = printable(f'{base}:{file.in_revision}') if file.in_revision else None
    old = loads(_git.content_at(commit, file.in_revision), name=was or '') if file.in_revision else None
    new = read_cassette(file.path) if file.path.exists() else None
    return diff_cassettes(old, new, old_label=was, new_label=shown_path(file.path) if new else None)


def _say(diffs: Sequence[CassetteDiff], form: str) -> None:
    if form == 'json':
        say_json(diff_to_json(diffs))
    elif form == 'markdown':
        say(diff_to_markdown(diffs).removesuffix('\n'))
    else:
        for diff in diffs:
            say_diff(diff)
            say()
        say(summary(diffs))
