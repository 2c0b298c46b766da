"""Definitions of agents: each distinct one stands in the file once, nodes say where they differ."""

from dataclasses import replace
from typing import cast

from replay import canon
from replay.canon import Json, JsonObject
from replay.cassette import Definition

from ._faults import Place
from ._text import join_lines, pack_long

FIELDS = ('instructions', 'settings', 'tools', 'builtin_tools', 'output')
"""Fields of a definition, in the order in which they stand in the file."""

ALLOWED = frozenset({*FIELDS, 'instructions|'})


class Book:
    """The definitions of one cassette, by name in the order in which they were first needed."""

    def __init__(self) -> None:
        self.found: dict[str, Definition] = {}
        self._by_bytes: dict[tuple[str, bytes], str] = {}
        self._tools: dict[tuple[str, bytes], str] = {}
        self.written: JsonObject = {}

    def name_of(self, agent: str, definition: Definition) -> str:
        """The name under which a definition of an agent stands: the agent's, or that with `~2`, `~3`, ..."""
        key = (agent, plain(definition))
        if key not in self._by_bytes:
            name, number = agent, 1
            while name in self.found:
                number += 1
                name = f'{agent}~{number}'
            self.found[name] = definition
            self._by_bytes[key] = name
            packed = self.pack(definition, name=name)
            if packed or name != agent:  # an agent that says nothing needs no entry
                self.written[name] = packed
        return self._by_bytes[key]

    def pack(self, definition: Definition, *, name: str | None = None, base: Definition | None = None) -> JsonObject:
        """Write a definition, or what differs in it from `base`.

        Args:
            definition: What is written.
            name: Name under which it will stand, for others to refer to its tools; None if it stands in a node.
            base: What goes without saying.
        """
        base = base or Definition()
        packed: JsonObject = {}
        for key in FIELDS:
            value, usual = _field(definition, key), _field(base, key)
            if canon.dumps(value) != canon.dumps(usual):
                packed[key] = self._pack_tools(definition, name) if key == 'tools' else value
        return pack_instructions(packed)

    def _pack_tools(self, definition: Definition, name: str | None) -> JsonObject:
        packed: JsonObject = {}
        for tool, spec in definition.tools.items():
            key = (tool, canon.dumps(spec))
            if key in self._tools:
                packed[tool] = self._tools[key]
            else:
                packed[tool] = _pack_tool(spec)
                if name is not None:
                    self._tools[key] = name
        return packed


def plain(definition: Definition) -> bytes:
    """The canonical bytes of a definition."""
    return canon.dumps({key: _field(definition, key) for key in FIELDS})


def read_book(value: Json, place: Place) -> dict[str, Definition]:
    """Read the definitions of a cassette, by name."""
    book: dict[str, Definition] = {}
    for name, packed in place.object(value, 'agents').items():
        field = f'agents.{name}'
        book[name] = read_definition(place.object(packed, field, ALLOWED), Definition(), book, place, field)
    return book


def read_definition(
    packed: JsonObject, base: Definition, book: dict[str, Definition], place: Place, field: str
) -> Definition:
    """Read what differs from a definition.

    Args:
        packed: Object whose keys in `ALLOWED` count.
        base: What goes without saying.
        book: Definitions that tools may refer to.
        place: For errors.
        field: Path of the object, for errors.
    """
    changed = base
    if 'instructions|' in packed or 'instructions' in packed:
        changed = replace(changed, instructions=read_instructions(packed, place, field))
    if 'settings' in packed:
        value = packed['settings']
        changed = replace(changed, settings=None if value is None else place.object(value, f'{field}.settings'))
    if 'tools' in packed:
        tools = place.object(packed['tools'], f'{field}.tools')
        changed = replace(changed, tools={name: _read_tool(name, tool, book, place) for name, tool in tools.items()})
    if 'builtin_tools' in packed:
        tools = place.array(packed['builtin_tools'], f'{field}.builtin_tools')
        changed = replace(changed, builtin_tools=tuple(place.object(tool, f'{field}.builtin_tools') for tool in tools))
    if 'output' in packed:
        value = packed['output']
        changed = replace(changed, output=None if value is None else _read_output(value, place, f'{field}.output'))
    return changed


def read_instructions(packed: JsonObject, place: Place, field: str, *, name: str = 'instructions') -> str | None:
    """Read instructions that stand under `name`, as a string, as lines, or as null."""
    if f'{name}|' in packed:
        try:
            return join_lines(f'{name}|', packed[f'{name}|'])
        except ValueError as error:
            place.damaged(str(error), field=f'{field}.{name}')
    return place.optional_text(packed[name], f'{field}.{name}')


def pack_instructions(fields: JsonObject, *, name: str = 'instructions') -> JsonObject:
    """Write long instructions as lines and put them first; other fields stay.

    Args:
        fields: Fields of a definition or message; `instructions` may be missing.
        name: Key under which the instructions stand.
    """
    if 'instructions' not in fields:
        return fields
    others = {key: value for key, value in fields.items() if key != 'instructions'}
    return {**pack_long({name: fields['instructions']}), **others}


def _read_output(value: Json, place: Place, field: str) -> JsonObject:
    output = place.object(value, field)
    place.text(output.get('mode', ''), f'{field}.mode')
    place.object(output.get('tools', {}), f'{field}.tools')
    return output


def _field(definition: Definition, key: str) -> Json:
    value = getattr(definition, key)
    if isinstance(value, tuple):
        return [*cast('tuple[Json, ...]', value)]
    return cast('Json', dict(value) if key == 'tools' else value)


def _pack_tool(spec: JsonObject) -> JsonObject:
    """Leave out `additionalProperties: false` where tools have it, first of all; `null` says that it is not there."""
    schema = spec.get('parameters')
    if not isinstance(schema, dict) or schema.get('additionalProperties', False) is not False:
        return spec
    if 'additionalProperties' not in schema:
        return {**spec, 'parameters': {'additionalProperties': None, **schema}}
    if next(iter(schema)) != 'additionalProperties':
        return spec
    return {**spec, 'parameters': {key: value for key, value in schema.items() if key != 'additionalProperties'}}


def _read_tool(name: str, value: Json, book: dict[str, Definition], place: Place) -> JsonObject:
    if isinstance(value, str):
        if value not in book or name not in book[value].tools:
            place.inconsistent(
                f'tool {name} refers to a definition that does not have it',
                expected=f'a definition with {name} that stands before this one',
                got=value,
            )
        return book[value].tools[name]
    spec = place.object(value, f'tools.{name}')
    schema = spec.get('parameters')
    if not isinstance(schema, dict):
        return spec
    if 'additionalProperties' not in schema:
        return {**spec, 'parameters': {'additionalProperties': False, **schema}}
    if schema['additionalProperties'] is not None:
        return spec
    return {**spec, 'parameters': {key: value for key, value in schema.items() if key != 'additionalProperties'}}
