"""`replay view`: a cassette or a comparison as one HTML page, without scripts and without anything to be fetched."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import click
from jinja2 import Environment, StrictUndefined, Template

from replay.canon import Json, JsonObject, spaced
from replay.cassette import Cassette, Run
from replay.codec._layout import WIDTH, render
from replay.diff import CassetteDiff, diff_cassettes
from replay.diff_formats import Mark, marked_lines, summary
from replay.outline import Item, outline_of
from replay.printable import printable, printable_lines
from replay.store import read_bytes, read_cassette

from ._files import cassette_at, shown_path, write_new
from ._list import tokens_of
from ._out import say

__all__ = ('diff_page', 'page', 'view_command')

_TEMPLATE = Path(__file__).with_name('_view.html.jinja')


@click.command('view')
@click.argument('cassettes', type=cassette_at, nargs=-1, required=True, metavar='CASSETTE | OLD NEW')
@click.option('-o', '--output', type=click.Path(path_type=Path), help='Write here instead of to the output.')
@click.option('--force', is_flag=True, help='Replace a file that holds something else.')
def view_command(*, cassettes: tuple[Path, ...], output: Path | None, force: bool) -> None:
    """Write CASSETTE, or what differs from OLD to NEW, as one HTML page that needs nothing else.

    It has no scripts, fetches nothing, and shows the size of files that messages carry.
    """
    match cassettes:
        case [path]:
            text = page(read_cassette(path), title=shown_path(path))
        case [old, new]:
            before, after = read_cassette(old), read_cassette(new)
            text = diff_page(diff_cassettes(before, after, old_label=shown_path(old), new_label=shown_path(new)))
        case _:
            raise click.UsageError('one cassette, or two to compare')
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
    facts = [('test', cassette.test)] if cassette.test else []
    facts += [(key, _text(value)) for key, value in cassette.recorded.items()]
    return _template().render(
        title=printable(title),
        lines=[],
        facts=[(printable(label), printable(value)) for label, value in facts],
        runs=list(map(_shown_run, cassette.runs)),
    )


def diff_page(diff: CassetteDiff) -> str:
    """Write a comparison as an HTML page, safe in the same way."""
    return _template().render(
        title=summary([diff]),
        facts=[('old', printable(diff.old or 'none')), ('new', printable(diff.new or 'none'))],
        lines=[(_CLASSES[line.mark], str(line)) for line in marked_lines(diff)[2:]],
        runs=[],
    )


_CLASSES: dict[Mark, str] = {'#': 'run', ' ': 'same', '~': 'changed', '+': 'added', '-': 'removed'}


def _template() -> Template:
    return Environment(autoescape=True, undefined=StrictUndefined).from_string(read_bytes(_TEMPLATE).decode())


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
    """A value in full but for files, safe to read: text as it is, anything else as JSON laid out like a cassette."""
    if not isinstance(value, str):
        value = _laid_out(_without_files(value))
    return '\n'.join(printable_lines(value))


def _laid_out(value: Json) -> str:
    line = spaced(value)
    return line if len(line) <= WIDTH else render(cast('JsonObject', value)).rstrip('\n')


def _without_files(value: Json) -> Json:
    """A value in which files are their sizes: base64 says nothing to a reader and hides what does."""
    if isinstance(value, list):
        return [_without_files(item) for item in value]
    if not isinstance(value, dict):
        return value
    data = value.get('data')
    if value.get('kind') == 'binary' and isinstance(data, str):
        return {**value, 'data': f'({len(data) * 3 // 4 - data[-2:].count("=")} bytes, in the cassette)'}
    return {key: _without_files(item) for key, item in value.items()}
