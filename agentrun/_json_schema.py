"""JSON schemas of tools and outputs: how they are generated, checked, inlined and merged.

All functions leave their arguments as they are and keep the order of keys, which is part of what a model is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema
from typing_extensions import override

from .exceptions import UserError

__all__ = (
    'GenerateToolJsonSchema',
    'ObjectJsonSchema',
    'check_object_json_schema',
    'inline_definitions',
    'merge_definitions',
)

ObjectJsonSchema: TypeAlias = dict[str, Any]
"""A JSON schema of an object: `{"type": "object", ...}`, or a `$ref` to one with its `$defs`."""

_PREFIX = '#/$defs/'


class GenerateToolJsonSchema(GenerateJsonSchema):
    """Generates the schemas that models are sent: no titles on properties, and `additionalProperties` always said."""

    @override
    def typed_dict_schema(self, schema: core_schema.TypedDictSchema) -> JsonSchemaValue:
        """Say of a typed dict whether it takes further keys; pydantic before 2.12 left it out."""
        json_schema = super().typed_dict_schema(schema)
        if 'additionalProperties' in json_schema:
            return json_schema
        extra = schema.get('extra_behavior') or schema.get('config', {}).get('extra_fields_behavior')
        if extra == 'forbid':
            json_schema['additionalProperties'] = False
        elif extra == 'allow':
            extras = schema.get('extras_schema')
            json_schema['additionalProperties'] = (extras is None or self.generate_inner(extras)) or True
        return json_schema

    @override
    def _named_required_fields_schema(self, named_required_fields: Sequence[tuple[str, bool, Any]]) -> JsonSchemaValue:
        """Drop the titles of properties: they only repeat the names."""
        json_schema = super()._named_required_fields_schema(named_required_fields)
        for property_schema in json_schema.get('properties', {}).values():
            property_schema.pop('title', None)
        return json_schema


def check_object_json_schema(schema: JsonSchemaValue) -> ObjectJsonSchema:
    """Return the schema of an object, without the detour over `$ref` where it has one that can be resolved.

    Raises:
        UserError: If the schema is not one of an object.
    """
    if schema.get('type') == 'object':
        return schema
    ref: str | None = schema.get('$ref')
    if not ref:
        raise UserError('Schema must be an object')
    resolved = schema.get('$defs', {}).get(ref.removeprefix(_PREFIX)) if ref.startswith(_PREFIX) else None
    if resolved and resolved.get('type') == 'object' and not _contains_ref(resolved):
        return resolved
    return schema


def _contains_ref(node: Any) -> bool:
    if isinstance(node, dict):
        return '$ref' in node or any(_contains_ref(value) for value in cast('dict[str, Any]', node).values())
    return isinstance(node, list) and any(_contains_ref(value) for value in cast('list[Any]', node))


def inline_definitions(schema: JsonSchemaValue) -> JsonSchemaValue:
    """Replace each `$ref` by the definition it names and drop `$defs`.

    Follows pydantic-ai 1.38: what stands beside a `$ref` is dropped, and a union of one is that one.

    Raises:
        UserError: If a definition refers to itself, or a `$ref` names none.
    """
    definitions = schema.get('$defs', {})
    body = {key: value for key, value in schema.items() if key != '$defs'}
    return _inline(body, definitions, ())


def _inline(
    schema: JsonSchemaValue, definitions: Mapping[str, JsonSchemaValue], path: tuple[str, ...]
) -> JsonSchemaValue:
    """Inline one schema; `path` names the definitions that it lies inside of."""
    while ref := schema.get('$ref'):
        name = ref.removeprefix(_PREFIX)
        if name in path:
            raise UserError(
                '`StructuredDict` does not currently support recursive `$ref`s and `$defs`. '
                'See https://github.com/pydantic/pydantic/issues/12145 for more information.'
            )
        if name not in definitions:
            raise UserError(f'Could not find $ref definition for {name}')
        schema, path = definitions[name], (*path, name)

    def inline(node: JsonSchemaValue) -> JsonSchemaValue:
        return _inline(node, definitions, path)

    match schema.get('type'):
        case 'object':
            return schema | _inline_object(schema, inline)
        case 'array':
            return schema | _inline_array(schema, inline)
        case None:
            return _inline_union(_inline_union(schema, 'anyOf', inline), 'oneOf', inline)
        case _:
            return schema


_Inline: TypeAlias = Callable[[JsonSchemaValue], JsonSchemaValue]


def _inline_object(schema: JsonSchemaValue, inline: _Inline) -> JsonSchemaValue:
    inlined: JsonSchemaValue = {}
    for key in ('properties', 'patternProperties'):
        if key in schema:
            inlined[key] = {name: inline(value) for name, value in schema[key].items()}
    if isinstance(schema.get('additionalProperties'), dict):
        inlined['additionalProperties'] = inline(schema['additionalProperties'])
    return inlined


def _inline_array(schema: JsonSchemaValue, inline: _Inline) -> JsonSchemaValue:
    inlined: JsonSchemaValue = {}
    if 'prefixItems' in schema:
        inlined['prefixItems'] = [inline(item) for item in schema['prefixItems']]
    if schema.get('items'):
        inlined['items'] = inline(schema['items'])
    return inlined


def _inline_union(schema: JsonSchemaValue, kind: str, inline: _Inline) -> JsonSchemaValue:
    if kind not in schema:
        return schema
    members = [inline(member) for member in schema[kind]]
    rest = {key: value for key, value in schema.items() if key != kind}
    return members[0] | rest if len(members) == 1 else rest | {kind: members}


def merge_definitions(schemas: Sequence[JsonSchemaValue]) -> tuple[list[JsonSchemaValue], dict[str, JsonSchemaValue]]:
    """Gather the `$defs` of several schemas in one place.

    Different definitions of one name get a new name each, and the references to them follow. References from inside a
    definition do not, as in pydantic-ai 1.38.

    Returns:
        The schemas without `$defs`, in the order given, and all definitions by name.
    """
    merged: dict[str, JsonSchemaValue] = {}
    rewritten: list[JsonSchemaValue] = []
    for schema in schemas:
        names: dict[str, str] = {}
        for name, definition in schema.get('$defs', {}).items():
            if name not in merged or merged[name] != definition:
                names[name] = _free_name(name, schema.get('title'), merged)
                merged[names[name]] = definition
        body = {key: value for key, value in schema.items() if key != '$defs'}
        rewritten.append(_rename_refs(body, names))
    return rewritten, merged


def _free_name(name: str, title: str | None, taken: Mapping[str, Any]) -> str:
    if name not in taken:
        return name
    stem = f'{title}_{name}' if title else name
    number = 1
    while f'{stem}_{number}' in taken:
        number += 1
    return f'{stem}_{number}'


def _rename_refs(schema: JsonSchemaValue, names: Mapping[str, str]) -> JsonSchemaValue:
    renamed = dict(schema)
    ref = schema.get('$ref', '')
    if ref.startswith(_PREFIX):
        name = ref.removeprefix(_PREFIX)
        renamed['$ref'] = f'{_PREFIX}{names.get(name, name)}'
    if 'properties' in schema:
        renamed['properties'] = {key: _rename_refs(value, names) for key, value in schema['properties'].items()}
    if isinstance(schema.get('items'), dict):
        renamed['items'] = _rename_refs(schema['items'], names)
    for key in ('prefixItems', 'anyOf', 'oneOf'):
        if key in schema:
            renamed[key] = [_rename_refs(item, names) for item in schema[key]]
    return renamed
