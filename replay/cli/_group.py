"""The commands by name, and how each of them ends: exit codes and errors without a traceback."""

from importlib import import_module
from typing import cast

import click

from replay.errors import ReplayError

from ._out import fail

__all__ = ('replay',)

COMMANDS = {
    'run': ('_run', 'Run an agent, record or replay it, show its nodes.'),
    'record': ('_record', 'Record cassettes anew by running their tests.'),
    'pending': ('_pending', 'List the recordings that wait for a decision.'),
    'review': ('_review', 'Go through pending recordings, one key each.'),
    'accept': ('_pending', 'Put pending recordings in the place of the accepted ones.'),
    'reject': ('_pending', 'Throw pending recordings away.'),
    'rebind': ('_rebind', 'Keep recorded answers for requests that have changed.'),
    'drift': ('_drift', 'Compare what models answer now with the cassettes.'),
    'move': ('_move', 'Let the cassettes of a renamed test follow it.'),
    'seal': ('_seal', 'Seal cassettes again that were edited by hand.'),
    'prune': ('_prune', 'Remove cassettes of tests that are gone.'),
    'migrate': ('_migrate', 'Write cassettes of older formats anew.'),
    'list': ('_list', 'List cassettes: runs, nodes, tokens, age.'),
    'show': ('_show', 'Show a cassette as text.'),
    'diff': ('_diff', 'Compare node sequences of two cassettes, or with a revision.'),
    'check': ('_check', 'Check that cassettes are intact and play to the same bytes.'),
    'view': ('_view', 'Write a cassette as one HTML page.'),
    'import': ('_import', 'Turn a recorded message history into a cassette.'),
    'export': ('_export', 'Write a run as its messages, or as a model that gives its answers.'),
}
"""Module and one line of help, in the order in which they are listed."""


class Commands(click.Group):
    """Imports a command when it is asked for, and tells every known error in its own words."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's interface
        """Name the commands in the order of a first use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # same
        """Import the command of that name; None if there is none."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f'.{COMMANDS[cmd_name][0]}', __package__)
        return cast('click.Command', getattr(module, f'{cmd_name}_command'))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # same
        """List the commands without importing them."""
        with formatter.section('Commands'):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; an error that this package knows becomes its text and its exit code."""
        try:
            return super().invoke(ctx)
        except ReplayError as error:
            ctx.exit(fail(error))


@click.group(cls=Commands, context_settings={'help_option_names': ['-h', '--help'], 'max_content_width': 100})
def replay() -> None:
    """Record agent runs as readable cassettes, replay them byte for byte, see what changed.

    Exit codes: 0 clean, 1 differs or fails, 2 usage or bad input.
    """
