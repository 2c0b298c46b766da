"""`replay show`: one cassette as text, whole texts below the lines of the nodes."""

from collections.abc import Iterator
from pathlib import Path

import click

from replay.canon import Json, JsonObject, dumps
from replay.cassette import Cassette, Run
from replay.outline import TEXT_LIMIT, Item, compact, outline_of
from replay.printable import printable, printable_lines, shortened
from replay.store import read_cassette

from ._files import cassette_at, shown_path
from ._out import say, say_json

__all__ = ('show_command', 'told')

VALUE_LIMIT = 2000
"""Most characters shown of a value that is no text: files among them are long and say nothing."""

_SPOKEN = frozenset(('text', 'thinking', 'system-prompt'))
"""Parts of which the line of their node tells the length only."""


@click.command('show')
@click.argument('cassette', type=cassette_at)
@click.option('--json', 'as_json', is_flag=True, help='One object, every value in full.')
def show_command(cassette: Path, *, as_json: bool) -> None:
    """Show CASSETTE as text: each run with its nodes, their texts in full."""
    found = read_cassette(cassette)
    if as_json:
        say_json(_as_json(found))
        return
    say(shown_path(cassette), bold=True)
    for text, colour in told(found):
        say(text, colour=colour)


def told(cassette: Cassette) -> Iterator[tuple[str, str | None]]:
    """Tell a cassette in lines.

    Yields:
        Safe lines without newlines, each with a colour or None.
    """
    if cassette.test:
        yield f'test      {printable(cassette.test)}', None
    if cassette.recorded:
        yield f'recorded  {", ".join(f"{key} {_plain(value)}" for key, value in cassette.recorded.items())}', None
    for run in cassette.runs:
        yield '', None
        yield from _told_run(run)


def _told_run(run: Run) -> Iterator[tuple[str, str | None]]:
    yield f'run {printable(run.name)}', 'cyan'
    facts: JsonObject = {**run.facts, **({'marks': list(run.marks)} if run.marks else {})}
    for key, value in facts.items():
        yield f'  {printable(key)} {_plain(value)}', None
    held: JsonObject = {}
    for item in outline_of(run):
        turned = {key: value for key, value in item.holds.items() if held.get(key) != value and value not in ([], {})}
        held.update(item.holds)
        yield f'  {item.index} {item.line}', None
        for key, value in turned.items():
            if key == 'tools' and isinstance(value, dict):
                yield '      tools', 'blue'
                yield from ((f'        {_tool_line(name, tool)}', None) for name, tool in value.items())
            else:
                yield from _told_value(key, value)
        yield from _told_parts(item)


def _told_parts(item: Item) -> Iterator[tuple[str, str | None]]:
    parts = item.content.get('parts')
    for part in parts if isinstance(parts, list) else []:
        if isinstance(part, dict):
            key = 'args' if 'args' in part else 'content'
            value = part.get(key)
            if part.get('part') in _SPOKEN or len(dumps(value)) > TEXT_LIMIT:
                label = part.get('tool_name') or part.get('part')
                yield from _told_value(str(label), value)


def _told_value(label: str, value: Json) -> Iterator[tuple[str, str | None]]:
    yield f'      {printable(label)}', 'blue'
    lines = printable_lines(value) if isinstance(value, str) else [compact(value, limit=VALUE_LIMIT)]
    for line in lines:
        yield f'        {line}', None


def _tool_line(name: str, tool: Json) -> str:
    """A tool as a signature with its description; `?` stands after what may be left out."""
    told = tool if isinstance(tool, dict) else {}
    schema = told.get('parameters')
    properties = schema.get('properties') if isinstance(schema, dict) else None
    required = schema.get('required') if isinstance(schema, dict) else None
    needed = required if isinstance(required, list) else []
    parameters = [
        f'{key}{"" if key in needed else "?"}: {_type_of(value)}'
        for key, value in (properties.items() if isinstance(properties, dict) else ())
    ]
    description = told.get('description')
    about = f'   {description}' if isinstance(description, str) else ''
    return printable(shortened(f'{name}({", ".join(parameters)}){about}', limit=VALUE_LIMIT))


def _type_of(schema: Json) -> str:
    named = schema.get('type', schema.get('$ref')) if isinstance(schema, dict) else None
    return named if isinstance(named, str) else compact(schema)


def _plain(value: Json) -> str:
    return printable(value if isinstance(value, str) else dumps(value).decode())


def _as_json(cassette: Cassette) -> JsonObject:
    return {
        'test': cassette.test,
        'wire': cassette.wire,
        'recorded': cassette.recorded,
        'runs': [
            {
                'run': run.name,
                'agent': run.agent,
                'facts': run.facts,
                'marks': list(run.marks),
                'history': list(run.history),
                'nodes': [
                    {'node': node.kind, 'index': item.index, 'line': item.line, 'message': node.message}
                    for node, item in zip(run.nodes, outline_of(run)[len(run.history) :], strict=True)
                ],
                'messages': list(run.messages),
            }
            for run in cassette.runs
        ],
    }
