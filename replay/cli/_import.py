"""`replay import`: a message history that was kept, as a cassette."""

import os
from dataclasses import replace
from pathlib import Path
from typing import cast

import click

from replay.canon import CanonError, JsonObject, loads
from replay.cassette import Cassette
from replay.codec import dumps
from replay.errors import ReplayError
from replay.history import ENTRIES, from_history
from replay.keep import kept
from replay.printable import printable
from replay.redact import Redactor
from replay.store import read_cassette, refuse_secrets
from replay.veil import marked, veiled_run

from ._files import read_input, shown_path, write_new
from ._out import note, say

__all__ = ('import_command',)


@click.command('import')
@click.argument('history', metavar='HISTORY.json')
@click.option('-o', '--output', type=click.Path(path_type=Path), help='Write here instead of to the output.')
@click.option('--force', is_flag=True, help='Replace a file that holds something else.')
@click.option('--new-from', type=click.IntRange(min=0), help='Index of the first message that is new in the run.')
@click.option('--output-mode', help='text, tool, native, prompted, ...')
@click.option('--output-tool', help='Name of the output tool that ended the run.')
@click.option('--end-strategy', type=click.Choice(['early', 'exhaustive']))
@click.option('--entry', type=click.Choice(ENTRIES), help='How the run was started.')
@click.option('--error-type', help='Class of the error that ended the run.')
@click.option('--error-message', help='Its message; only with --error-type.')
@click.option('--deferred-tool-results', metavar='JSON', help='Results that were handed in for calls of the history.')
def import_command(
    *,
    history: str,
    output: Path | None,
    force: bool,
    new_from: int | None,
    output_mode: str | None,
    output_tool: str | None,
    end_strategy: str | None,
    entry: str | None,
    error_type: str | None,
    error_message: str | None,
    deferred_tool_results: str | None,
) -> None:
    """Turn the JSON of all_messages_json() into a cassette, and say what had to be assumed.

    HISTORY.json is an array of messages, or an object with messages and any of the facts that the options name; - reads
    it from the input. An option wins over the object. Stand-ins take the place of secrets.
    """
    if error_message is not None and error_type is None:
        raise click.UsageError('--error-message needs --error-type')
    imported = from_history(
        read_input(history),
        name=history,
        new_from=new_from,
        output_mode=output_mode,
        output_tool=output_tool,
        end_strategy=end_strategy,
        entry=entry,
        error=None if error_type is None else {'type': error_type, 'message': error_message or ''},
        deferred_tool_results=_deferred(deferred_tool_results),
    )
    redactor = Redactor(os.environ)
    cassette = _veiled(imported.cassette, redactor)
    found = cassette if output is None else _kept(cassette, output)
    text = dumps(found, name=history)
    refuse_secrets(history if output is None else output.as_posix(), found, text, redactor)
    if output is None:
        say(text.removesuffix('\n'))
    else:
        written = write_new(output, text, force=force)
        say(f'{"imported to" if written else "unchanged"} {shown_path(output)}', colour='green')
    for sentence in imported.assumed:
        note(printable(sentence))
    if cassette != imported.cassette:
        note('secrets were found: stand-ins are in their places, and the run is marked redacted.')
    if found != cassette:
        note('what only a provider or a clock churns stayed as the file had it: ids, times, signatures, usage.')
    if output is not None:
        note(f'next: replay check {shown_path(output)}')


def _veiled(cassette: Cassette, redactor: Redactor) -> Cassette:
    """Put stand-ins in the place of secrets: a history from production was never recorded by us."""
    veiled = ((run, veiled_run(run, redactor)) for run in cassette.runs)
    runs = tuple(run if other is run else marked(other) for run, other in veiled)
    return replace(cassette, runs=runs) if runs != cassette.runs else cassette


def _kept(cassette: Cassette, output: Path) -> Cassette:
    """Leave what only churned as the cassette has it that is replaced, if it is one."""
    try:
        return kept(read_cassette(output), cassette)
    except ReplayError:
        return cassette


def _deferred(text: str | None) -> JsonObject | None:
    """Read the option that holds JSON."""
    if text is None:
        return None
    try:
        value = loads(text)
    except CanonError as error:
        raise click.BadParameter(str(error), param_hint='--deferred-tool-results') from None
    if not isinstance(value, dict):
        raise click.BadParameter('an object is expected', param_hint='--deferred-tool-results')
    return cast('JsonObject', value)
