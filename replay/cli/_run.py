"""`replay run`: one run of an agent on the command line, its nodes as they happen."""

import re
import sys
from collections.abc import Callable
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import anyio
import click
from pydantic_core import to_jsonable_python

from replay.canon import Json, JsonObject, dumps, loads
from replay.cassette import Node
from replay.errors import ReplayError
from replay.outline import Item, Outliner
from replay.printable import printable_lines
from replay.store import probe

from ._agents import load_agent
from ._files import shown_path, split_path
from ._out import note, say, say_json

if TYPE_CHECKING:
    from replay.modes import Mode
    from replay.session import Session

__all__ = ('run_command',)


@click.command('run')
@click.argument('agent', metavar='MODULE:AGENT')
@click.argument('prompt')
@click.option('--model', help="Use this model instead of the agent's own: a name that the library knows.")
@click.option('--cassette', type=click.Path(path_type=Path), help='Record the run to this file, or replay it.')
@click.option(
    '--record',
    'mode',
    type=click.Choice(['none', 'once', 'rewrite']),
    help='none: replay only; once: record if there is no cassette (default); rewrite: record anew.',
)
@click.option('--json', 'as_json', is_flag=True, help='One object at the end instead of lines.')
@click.pass_context
def run_command(
    ctx: click.Context,
    *,
    agent: str,
    prompt: str,
    model: str | None,
    cassette: Path | None,
    mode: str | None,
    as_json: bool,
) -> None:
    """Run an agent with PROMPT and show its nodes.

    MODULE is a dotted module or the path of a .py file; AGENT is its name there. With --cassette the run is recorded
    or replayed; without, nothing is kept.
    """
    if mode and cassette is None:
        raise click.UsageError('--record needs --cassette')
    loaded = load_agent(agent)
    story = _Story(show=_say_nothing if as_json else say)
    session = None if cassette is None else _session(cassette, cast('Mode', mode or 'once'))
    try:
        # What tools print must not stand in the middle of the object.
        with session or nullcontext(), redirect_stdout(sys.stderr) if as_json else nullcontext():
            anyio.run(_drive, loaded, prompt, model, story)
    except Exception as error:  # noqa: BLE001  # whatever the agent's own code raises is told, not thrown
        problem = error if isinstance(error, ReplayError) else next(iter(session.problems if session else ()), None)
        if problem is not None:
            raise _advised(problem, f'replay run {agent} PROMPT --cassette {cassette}') from None
        story.error = error
    if as_json:
        say_json(story.as_json(session))
    else:
        story.say_end(session)
        if story.exit_code == 2 and model is None:
            note(f'   next      replay run {agent} PROMPT --model test   if the agent has no model of its own')
    ctx.exit(story.exit_code)


async def _drive(agent: Any, prompt: str, model: str | None, story: '_Story') -> None:
    """Run any agent that has the run interface of pydantic-ai."""
    chosen: dict[str, Any] = {'model': model} if model else {}
    async with agent.iter(prompt, **chosen) as run:
        async for node in run:
            story.node(node)
        story.messages = loads(run.all_messages_json())


def _session(path: Path, mode: 'Mode') -> 'Session':
    """Open a cassette by the path of its file: the folder is where it may be, the rest its name."""
    from replay.session import use_cassette

    store, name = split_path(path)
    if mode != 'none' and not (mode == 'once' and store.exists(name)):
        probe(store.path(name))  # before the model is paid for what cannot be kept
    return use_cassette(name, record=mode, dir=store.folder)


_IN_CODE = re.compile(r"use_cassette\(.*, record='(?P<mode>\w+)'\)")
"""How a session that belongs to no test tells how to record."""


def _advised(problem: ReplayError, command: str) -> ReplayError:
    """Let the advice be the command that was typed, not code."""
    problem.next = tuple(
        _IN_CODE.sub(lambda found: f'{command} --record {found["mode"]}', step) for step in problem.next
    )
    return problem


@dataclass(slots=True, kw_only=True)
class _Story:
    """What is told of a run."""

    show: Callable[[str], None]
    outliner: Outliner = field(default_factory=Outliner)
    items: list[Item] = field(default_factory=list[Item])
    output: Json = None
    messages: Json = None
    error: Exception | None = None

    @property
    def exit_code(self) -> int:
        """2 if the agent was used in a way that it cannot run, 1 if its run failed."""
        if self.error is None:
            return 0
        return 2 if _is_misuse(self.error) else 1

    def node(self, node: Any) -> None:
        """Show a node that the run came to."""
        item = self.outliner.node(len(self.items), _as_node(node))
        self.items.append(item)
        self.show(f'  {item.index} {item.line}')
        if item.kind == 'End':
            self.output = _jsonable(node.data.output)

    def say_end(self, session: 'Session | None') -> None:
        """Show the output whole, or the error, and what became of the cassette."""
        if self.error is not None:
            _note_error(self.error)
        else:
            text = self.output if isinstance(self.output, str) else dumps(self.output).decode()
            for line in printable_lines(text):
                say(line, bold=True)
        if session is not None and self.error is None:
            say(f'{_became(session)} {shown_path(session.cassette_path)}', colour='green')

    def as_json(self, session: 'Session | None') -> JsonObject:
        """All of it for a machine."""
        return {
            'nodes': [{'node': item.kind, 'line': item.line} for item in self.items],
            'output': self.output,
            'messages': self.messages,
            'error': None if self.error is None else f'{type(self.error).__name__}: {self.error}',
            'cassette': None if session is None else shown_path(session.cassette_path),
            'live_requests': None if session is None else session.live_requests,
        }


def _became(session: 'Session') -> str:
    return 'recorded in' if session.live_requests else 'replayed, byte for byte, from'


def _as_node(node: Any) -> Node:
    """Take from a live node what its line needs."""
    message = getattr(node, 'request', None) or getattr(node, 'model_response', None)
    kind = type(node).__name__
    return Node(
        kind=kind,
        message=None if message is None else cast('JsonObject', _jsonable(message)),
        facts={'output': _jsonable(node.data.output)} if kind == 'End' else {},
    )


def _jsonable(value: Any) -> Json:
    """Any value for the eye: what is no JSON is shown by its repr."""
    found = to_jsonable_python(value, serialize_unknown=True, bytes_mode='base64', inf_nan_mode='strings')
    return cast('Json', found)


def _is_misuse(error: Exception) -> bool:
    """Whether the library says that the caller, not the run, did wrong: its `UserError`, whichever library it is."""
    return any(cls.__name__ == 'UserError' for cls in type(error).__mro__)


def _note_error(error: Exception) -> None:
    first, *more = printable_lines(str(error))
    note(f'replay: the run ended in {type(error).__name__}: {first}')
    for line in more:
        note(f'   {line}')


def _say_nothing(_: str) -> None:
    pass
