"""`replay view`: one cassette as one HTML page, without scripts and without anything that it would have to fetch."""

from dataclasses import dataclass
from pathlib import Path

import click
from jinja2 import Environment, StrictUndefined

from replay.canon import Json, JsonObject, dumps
from replay.cassette import Cassette, Run
from replay.outline import Item, outline_of
from replay.printable import printable, printable_lines
from replay.store import read_bytes, read_cassette

from ._files import cassette_at, shown_path, write_new
from ._list import tokens_of
from ._out import say

__all__ = ('page', 'view_command')

_TEMPLATE = Path(__file__).with_name('_view.html.jinja')


@click.command('view')
@click.argument('cassette', type=cassette_at)
@click.option('-o', '--output', type=click.Path(path_type=Path), help='Write here instead of to the output.')
@click.option('--force', is_flag=True, help='Replace a file that holds something else.')
def view_command(*, cassette: Path, output: Path | None, force: bool) -> None:
    """Write CASSETTE as one HTML page that needs nothing else: no network, no scripts, no files beside it."""
    text = page(read_cassette(cassette), title=shown_path(cassette))
    if output is None:
        click.echo(text.encode(), nl=False, color=False)
        return
    written = write_new(output, text, force=force)
    say(f'{"written to" if written else "unchanged"} {shown_path(output)}', colour='green')


def page(cassette: Cassette, *, title: str) -> str:
    """Write a cassette as an HTML page.

    Args:
        cassette: What is shown. All text in it is escaped; none of it becomes markup, an address or a style.
        title: Title of the page.
    """
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(read_bytes(_TEMPLATE).decode())
    facts = [('test', cassette.test)] if cassette.test else []
    facts += [(key, _text(value)) for key, value in cassette.recorded.items()]
    return template.render(
        title=printable(title),
        facts=[(printable(label), printable(value)) for label, value in facts],
        runs=list(map(_shown_run, cassette.runs)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _ShownRun:
    """What the template needs of a run."""

    name: str
    marks: list[str]
    facts: list[tuple[str, str]]
    nodes: list['_ShownNode']


@dataclass(frozen=True, slots=True, kw_only=True)
class _ShownNode:
    """What the template needs of a node: its line, and whatever has come with it in full."""

    index: int
    line: str
    values: list[tuple[str, str]]


def _shown_run(run: Run) -> _ShownRun:
    held: JsonObject = {}
    nodes: list[_ShownNode] = []
    for item in outline_of(run):
        nodes.append(_shown_node(item, held))
        held.update(item.holds)
    return _ShownRun(
        name=printable(run.name),
        marks=list(map(printable, run.marks)),
        facts=[('tokens', str(tokens_of(run))), *((printable(key), _text(value)) for key, value in run.facts.items())],
        nodes=nodes,
    )


def _shown_node(item: Item, held: JsonObject) -> _ShownNode:
    """A node with what changed at it, and with its content."""
    values = [(key, value) for key, value in item.holds.items() if held.get(key) != value and value not in ([], {})]
    for key, value in item.content.items():
        if key == 'parts' and isinstance(value, list):
            values.extend(_part(part) for part in value)
        else:
            values.append((key, value))
    return _ShownNode(
        index=item.index, line=item.line, values=[(printable(label), _text(value)) for label, value in values]
    )


def _part(part: Json) -> tuple[str, Json]:
    """A part: what it is as the label, and what it says."""
    if not isinstance(part, dict):
        return 'part', part
    kind, name = part.get('part'), part.get('tool_name')
    label = f'{kind} {name}' if name else str(kind)
    rest = {key: value for key, value in part.items() if key not in {'part', 'tool_name'}}
    return label, next(iter(rest.values())) if len(rest) == 1 else rest


def _text(value: Json) -> str:
    """A value in full, safe to read: text as it is, anything else as JSON."""
    return '\n'.join(printable_lines(value if isinstance(value, str) else dumps(value).decode()))
