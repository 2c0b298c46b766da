from copy import deepcopy
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from agentrun.exceptions import UserError
from agentrun.output import NativeOutput, OutputObjectDefinition, PromptedOutput, StructuredDict, TextOutput, ToolOutput

SCHEMA: dict[str, Any] = {'type': 'object', 'title': 'Own', 'properties': {'a': {'type': 'integer'}}, 'required': ['a']}


@pytest.mark.parametrize(
    ('marker', 'shown'),
    [
        (
            ToolOutput(int),
            "ToolOutput(output=<class 'int'>, name=None, description=None, max_retries=None, strict=None)",
        ),
        (
            NativeOutput(int, name='n'),
            "NativeOutput(outputs=<class 'int'>, name='n', description=None, strict=None, template=None)",
        ),
        (PromptedOutput(int), "PromptedOutput(outputs=<class 'int'>, name=None, description=None, template=None)"),
        (TextOutput(str.upper), "TextOutput(output_function=<method 'upper' of 'str' objects>)"),
        (
            OutputObjectDefinition({'type': 'object'}),
            "OutputObjectDefinition(json_schema={'type': 'object'}, name=None, description=None, strict=None)",
        ),
    ],
)
def test_markers_show_all_they_say(marker: object, shown: str):
    assert repr(marker) == shown


def test_a_structured_dict_takes_any_dictionary():
    adapter = TypeAdapter(StructuredDict(SCHEMA))
    assert adapter.validate_python({'a': 'no integer'}) == {'a': 'no integer'}
    with pytest.raises(ValidationError):
        adapter.validate_python([1])


def test_a_structured_dict_has_the_schema_it_was_made_of():
    before = deepcopy(SCHEMA)
    assert TypeAdapter(StructuredDict(SCHEMA)).json_schema() == SCHEMA
    named = StructuredDict(SCHEMA, name='New', description='What it is.')
    assert TypeAdapter(named).json_schema() == SCHEMA | {'title': 'New', 'description': 'What it is.'}
    assert before == SCHEMA


def test_the_definitions_of_a_structured_dict_are_put_in_place():
    schema = {'type': 'object', 'properties': {'b': {'$ref': '#/$defs/B'}}, '$defs': {'B': {'type': 'string'}}}
    assert TypeAdapter(StructuredDict(schema)).json_schema() == {
        'type': 'object',
        'properties': {'b': {'type': 'string'}},
    }


def test_a_structured_dict_of_no_object_is_refused():
    with pytest.raises(UserError, match=r'^Schema must be an object$'):
        StructuredDict({'type': 'array'})
