"""`replay migrate`: cassettes of older formats, written anew in the format of today."""

from pathlib import Path

import click

from replay.cassette import FORMAT
from replay.store import read_cassette

from ._files import cassettes_in, shown_path
from ._out import say, say_json
from ._project import dir_option

__all__ = ('migrate_command',)


@click.command('migrate')
@click.argument('paths', nargs=-1, type=click.Path(path_type=Path), metavar='[PATH ...]')
@dir_option
@click.option('--json', 'as_json', is_flag=True, help='One object instead of lines.')
def migrate_command(*, paths: tuple[Path, ...], folder: Path, as_json: bool) -> None:
    """Write cassettes of older formats anew in the format of today; without PATH all there are.

    There is one format so far, agentrun-replay/1, so this only sees to it that each of them is of that format.
    """
    found = cassettes_in(paths, folder)
    for path in found:
        read_cassette(path)
    if as_json:
        say_json({'format': FORMAT, 'migrated': [], 'unchanged': [shown_path(path) for path in found]})
    else:
        number = f'{len(found)} cassette{"" if len(found) == 1 else "s"}'
        say(f'{number} of format {FORMAT}, the only one there is: nothing to do')
