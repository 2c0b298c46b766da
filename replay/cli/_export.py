"""`replay export`: a recorded run as its messages, or as a Python module with a model that gives its answers."""

from pathlib import Path

import click

from replay.canon import dumps
from replay.cassette import Run
from replay.errors import NotSupported, Where
from replay.history import to_history
from replay.store import read_cassette

from ._files import cassette_at, shown_path, write_new
from ._out import note, say

__all__ = ('export_command',)

LIBRARIES = ('agentrun', 'pydantic_ai')


@click.command('export')
@click.argument('cassette', type=cassette_at)
@click.option('--run', 'run_name', metavar='NAME', help='Which run, if the cassette has several.')
@click.option(
    '--as',
    'form',
    type=click.Choice(['messages', 'function-model']),
    default='messages',
    show_default=True,
    help='messages: what all_messages_json() gave; function-model: a module whose model gives the recorded answers.',
)
@click.option(
    '--library',
    type=click.Choice(LIBRARIES),
    default=LIBRARIES[0],
    show_default=True,
    help='Library that the module is for.',
)
@click.option('-o', '--output', type=click.Path(path_type=Path), help='Write here instead of to the output.')
@click.option('--force', is_flag=True, help='Replace a file that holds something else.')
def export_command(
    *, cassette: Path, run_name: str | None, form: str, library: str, output: Path | None, force: bool
) -> None:
    """Write the messages of a run, byte for byte what all_messages_json() gave, or a model that gives its answers."""
    found = read_cassette(cassette)
    text = to_history(found, run_name).decode()  # refuses a name that tells no run
    if form == 'function-model':
        text = _module(
            next(run for run in found.runs if run_name in {None, run.name}), library=library, source=cassette
        )
    if output is None:
        click.echo(text.encode(), nl=False, color=False)
        return
    written = write_new(output, text, force=force)
    say(f'{"exported to" if written else "unchanged"} {shown_path(output)}', colour='green')
    if form == 'function-model':
        note('with agent.override(model=recorded_model()): ...   runs an agent with it')


_MODULE = '''\
"""Recorded answers of a model, as a model that gives them again. Made by `replay export`."""

from {library}.messages import ModelMessage, ModelMessagesTypeAdapter, ModelResponse
from {library}.models.function import AgentInfo, FunctionModel

CASSETTE = {cassette}
RUN = {run}
MODEL_NAME = {model}
ANSWERS = (
{answers}
)


def recorded_model() -> FunctionModel:
    """Make a model that gives the recorded answers in their order, whatever it is asked."""
    answers = iter(ModelMessagesTypeAdapter.validate_json(f"[{{','.join(ANSWERS)}}]"))

    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        found = next(answers, None)
        if not isinstance(found, ModelResponse):
            raise AssertionError(f'{{len(ANSWERS)}} answers of run {{RUN!r}} were recorded, and one more was asked for')
        return found

    return FunctionModel(answer, model_name=MODEL_NAME)
'''
"""What stands in it of a recording is written as literals of Python in ASCII."""


def _module(run: Run, *, library: str, source: Path) -> str:
    answers = [message for message in run.new_messages if message.get('kind') == 'response']
    if not answers:
        raise NotSupported(
            'a run without answers makes no model',
            expected='responses',
            got='none',
            where=Where(cassette=source.as_posix(), run=run.name),
        )
    return _MODULE.format(
        library=library,
        cassette=ascii(source.name),
        run=ascii(run.name),
        model=ascii(answers[0].get('model_name')),
        answers='\n'.join(f'    {dumps(answer).decode()!a},' for answer in answers),
    )
