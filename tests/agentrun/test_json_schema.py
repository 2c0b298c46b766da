from copy import deepcopy
from typing import Any

import pytest
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from agentrun._json_schema import (
    GenerateToolJsonSchema,
    check_object_json_schema,
    inline_definitions,
    merge_definitions,
)
from agentrun.exceptions import UserError

LEAF = {'type': 'object', 'properties': {'x': {'type': 'integer'}}}
REF = {'$ref': '#/$defs/Leaf'}


def generated(schema: core_schema.CoreSchema) -> dict[str, Any]:
    return GenerateToolJsonSchema().generate(schema)


def test_properties_have_no_titles_and_the_whole_keeps_its_own():
    from pydantic import BaseModel

    class Foo(BaseModel):
        first_name: str

    assert TypeAdapter(Foo).json_schema(schema_generator=GenerateToolJsonSchema) == {
        'properties': {'first_name': {'type': 'string'}},
        'required': ['first_name'],
        'title': 'Foo',
        'type': 'object',
    }


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        ({'extra_behavior': 'forbid'}, {'additionalProperties': False}),
        ({'extra_behavior': 'allow'}, {'additionalProperties': True}),
        ({'extra_behavior': 'ignore'}, {}),
        ({}, {}),
        ({'config': {'extra_fields_behavior': 'forbid'}}, {'additionalProperties': False}),
        (
            {'config': {'extra_fields_behavior': 'allow'}, 'extras_schema': core_schema.int_schema()},
            {'additionalProperties': {'type': 'integer'}},
        ),
        (
            {'config': {'extra_fields_behavior': 'allow'}, 'extras_schema': core_schema.any_schema()},
            {'additionalProperties': True},
        ),
    ],
)
@pytest.mark.parametrize('version', ['this', 'before 2.12'])
def test_a_typed_dict_says_whether_it_takes_further_keys(
    options: dict[str, Any], expected: dict[str, Any], version: str, monkeypatch: pytest.MonkeyPatch
):
    if version == 'before 2.12':
        generate = GenerateJsonSchema.typed_dict_schema

        def forget(self: GenerateJsonSchema, schema: Any) -> dict[str, Any]:
            return {key: value for key, value in generate(self, schema).items() if key != 'additionalProperties'}

        monkeypatch.setattr(GenerateJsonSchema, 'typed_dict_schema', forget)
    fields = {'a': core_schema.typed_dict_field(core_schema.int_schema())}
    schema = generated({**core_schema.typed_dict_schema(fields), **options})  # pyright: ignore[reportArgumentType]
    schema.pop('title', None)
    assert schema == {'type': 'object', 'properties': {'a': {'type': 'integer'}}, 'required': ['a']} | expected


def test_the_schema_of_an_object_is_returned_as_it_is():
    assert check_object_json_schema(LEAF) is LEAF


def test_a_reference_to_an_object_is_resolved():
    assert check_object_json_schema(REF | {'$defs': {'Leaf': LEAF}}) is LEAF


LEADING_ON: list[dict[str, Any]] = [
    REF | {'$defs': {'Leaf': LEAF | {'properties': {'next': REF}}}},
    REF | {'$defs': {'Leaf': LEAF | {'anyOf': [REF]}}},
    REF | {'$defs': {'Leaf': {'type': 'string'}}},
    REF | {'$defs': {}},
    REF,
    {'$ref': 'https://x.test/schema'},
]


@pytest.mark.parametrize('schema', LEADING_ON)
def test_a_reference_that_leads_on_stays(schema: dict[str, Any]):
    assert check_object_json_schema(schema) is schema


@pytest.mark.parametrize('schema', [{'type': 'string'}, {}, {'anyOf': [LEAF]}])
def test_what_is_no_object_is_refused(schema: dict[str, Any]):
    with pytest.raises(UserError, match=r'^Schema must be an object$'):
        check_object_json_schema(schema)


@pytest.mark.parametrize(
    ('schema', 'expected'),
    [
        (LEAF, LEAF),
        (REF, LEAF),
        (REF | {'description': 'dropped'}, LEAF),
        ({'$ref': '#/$defs/Alias'}, LEAF),
        ({'type': 'string', 'anyOf': [REF]}, {'type': 'string', 'anyOf': [REF]}),
        (
            {'type': 'object', 'properties': {'a': REF}, 'additionalProperties': REF, 'patternProperties': {'b': REF}},
            {
                'type': 'object',
                'properties': {'a': LEAF},
                'additionalProperties': LEAF,
                'patternProperties': {'b': LEAF},
            },
        ),
        ({'type': 'object', 'additionalProperties': False}, {'type': 'object', 'additionalProperties': False}),
        (
            {'type': 'array', 'items': REF, 'prefixItems': [REF, {'type': 'null'}]},
            {'type': 'array', 'items': LEAF, 'prefixItems': [LEAF, {'type': 'null'}]},
        ),
        ({'type': 'array'}, {'type': 'array'}),
        ({'anyOf': [REF, {'type': 'null'}], 'title': 'T'}, {'title': 'T', 'anyOf': [LEAF, {'type': 'null'}]}),
        ({'oneOf': [REF], 'title': 'T'}, LEAF | {'title': 'T'}),
        (
            {'type': 'array', 'prefixItems': [{'$ref': '#/$defs/Union'}, {'$ref': '#/$defs/Union'}]},
            {'type': 'array', 'prefixItems': [{'anyOf': [LEAF, LEAF]}, {'anyOf': [LEAF, LEAF]}]},
        ),
    ],
)
def test_definitions_are_put_where_they_are_referred_to(schema: dict[str, Any], expected: dict[str, Any]):
    definitions = {'Leaf': LEAF, 'Alias': REF, 'Union': {'anyOf': [REF, REF]}}
    whole = schema | {'$defs': definitions}
    before = deepcopy(whole)
    assert inline_definitions(whole) == expected
    assert whole == before


def test_a_definition_inside_itself_is_refused():
    with pytest.raises(UserError, match=r'^`StructuredDict` does not currently support recursive'):
        inline_definitions(REF | {'$defs': {'Leaf': {'type': 'array', 'items': REF}}})


def test_a_reference_to_nothing_is_refused():
    with pytest.raises(UserError, match=r'^Could not find \$ref definition for Leaf$'):
        inline_definitions(REF)


def test_equal_definitions_are_merged_into_one():
    schemas = [REF | {'$defs': {'Leaf': LEAF}}, LEAF, {'anyOf': [REF], '$defs': {'Leaf': dict(LEAF)}}]
    assert merge_definitions(schemas) == ([REF, LEAF, {'anyOf': [REF]}], {'Leaf': LEAF})


def test_different_definitions_of_a_name_get_names_of_their_own():
    def schema(number: int, **more: Any) -> dict[str, Any]:
        return {'$ref': '#/$defs/A', '$defs': {'A': {'const': number}}, **more}

    rewritten, definitions = merge_definitions(
        [schema(1), schema(2), schema(3), schema(4, title='T'), schema(5, title='T')]
    )
    names = ['A', 'A_1', 'A_2', 'T_A_1', 'T_A_2']
    assert [one['$ref'] for one in rewritten] == [f'#/$defs/{name}' for name in names]
    assert definitions == {name: {'const': number} for number, name in enumerate(names, start=1)}


def test_references_follow_wherever_they_stand():
    first = {'$defs': {'Leaf': {'const': 0}}}
    deep = {
        'properties': {'a': REF},
        'items': REF,
        'prefixItems': [REF],
        'anyOf': [REF],
        'oneOf': [{'$ref': 'https://x.test/schema'}],
    }
    new = {'$ref': '#/$defs/Leaf_1'}
    rewritten, _ = merge_definitions([first, deep | {'$defs': {'Leaf': LEAF}}, {'items': False}])
    assert rewritten[1] == {
        'properties': {'a': new},
        'items': new,
        'prefixItems': [new],
        'anyOf': [new],
        'oneOf': [{'$ref': 'https://x.test/schema'}],
    }
    assert rewritten[2] == {'items': False}
