"""The same output types in both libraries: same tools, schemas, instructions, outputs, retries and errors."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, TypeVar

import pytest
from pydantic import BaseModel, Field, ValidationError, model_validator
from typing_extensions import TypeAliasType, TypedDict

import agentrun._output
import agentrun._run_context
import agentrun.exceptions
import agentrun.messages
import agentrun.output
from tests.helpers import state_of
from tests.tool_helpers import run_context

pydantic_ai = pytest.importorskip('pydantic_ai', reason='the library that is followed is not installed')

from pydantic_ai import _output as their_output  # noqa: E402 - after the check that it is there
from pydantic_ai import exceptions as their_exceptions  # noqa: E402 - same
from pydantic_ai import output as their_markers  # noqa: E402 - same
from pydantic_ai.models.test import TestModel as TheirModel  # noqa: E402 - same

pytestmark = pytest.mark.anyio


class Ours:
    markers: Any = agentrun.output
    schema: Any = agentrun._output.OutputSchema
    image: Any = agentrun.messages.BinaryImage
    run_context: Any = agentrun._run_context.RunContext
    retry: Any = agentrun.exceptions.ModelRetry


class Theirs:
    markers: Any = their_markers
    schema: Any = their_output.OutputSchema
    image: Any = pydantic_ai.BinaryImage
    run_context: Any = pydantic_ai.RunContext
    retry: Any = their_exceptions.ModelRetry


T = TypeVar('T')


class Place(BaseModel):
    x: str = Field(description='the x')


class Foo(BaseModel):
    """A foo."""

    a: int
    place: Place | None = None


class Tree(BaseModel):
    leaves: list['Tree']


class Checked(BaseModel):
    """Checked as a whole."""

    a: int

    @model_validator(mode='after')
    def check(self) -> 'Checked':
        if self.a < 0:
            raise ValueError('below zero')
        return self


class Box(BaseModel, Generic[T]):
    item: T


@dataclass
class Data:
    """Data of mine."""

    foos: list[Foo]


class Doc(TypedDict):
    """A doc."""

    a: int
    """What a is."""


def other_place() -> Any:
    class Place(BaseModel):
        """Another one of this name."""

        z: int

    class Holder(BaseModel):
        place: Place
        places: list[Place]

    return Holder


def function(x: int, y: str = 'a') -> int:
    """Make it.

    Args:
        x: an x
    """
    return x + len(y)


async def of_model(foo: Foo) -> int:
    return foo.a


def number() -> int:
    return 1


def of_text(text: str) -> int:
    return len(text)


class Maker:
    def make(self, x: int) -> int:
        return x


def with_context(m: Any) -> Callable[..., Any]:
    def made(ctx: Any, x: int) -> Any:
        if x < 0:
            raise m.retry('not below zero')
        return ctx.deps, x

    made.__annotations__['ctx'] = m.run_context
    return made


def misplaced(m: Any) -> Any:
    def f(x: int, ctx: Any) -> int:
        return x

    f.__annotations__['ctx'] = m.run_context
    return f


STRUCTURE: dict[str, Any] = {
    'type': 'object',
    'properties': {'a': {'$ref': '#/$defs/A'}, 'b': {'anyOf': [{'$ref': '#/$defs/A'}, {'type': 'null'}], 'title': 'B'}},
    'patternProperties': {'^c': {'type': 'array', 'items': {'$ref': '#/$defs/A'}}},
    'additionalProperties': {'$ref': '#/$defs/A'},
    '$defs': {'A': {'type': 'object', 'properties': {'x': {'oneOf': [{'type': 'string'}]}}}},
}
Alias = TypeAliasType('Alias', Foo | Place)

SPECS: dict[str, Callable[[Any], Any]] = {
    'text': lambda _: str,
    'int': lambda _: int,
    'model': lambda _: Foo,
    'recursive model': lambda _: Tree,
    'generic model': lambda _: Box[Place],
    'dataclass': lambda _: Data,
    'typed dict': lambda _: Doc,
    'list': lambda _: list[Foo],
    'dict': lambda _: dict[str, int],
    'literal': lambda _: Literal['a', 'b'],
    'annotated': lambda _: Annotated[int, Field(ge=0, description='count')],
    'union': lambda _: Foo | Place,
    'annotated union': lambda _: Annotated[Foo | Annotated[Place, Field(description='p')], Field(description='u')],
    'alias of a union': lambda _: Alias,
    'optional': lambda _: Foo | None,
    'nested': lambda _: [Foo, [Place, [int | str]]],
    'two of a name': lambda _: [Foo, Foo],
    'generic models': lambda _: [Box[Place], Box[int]],
    'definitions of a name': lambda _: [Foo, other_place(), other_place()],
    'text or model': lambda _: [Foo, str],
    'function': lambda _: function,
    'function of a model': lambda _: of_model,
    'method': lambda _: Maker().make,
    'function with context': with_context,
    'function and model': lambda _: [function, Foo],
    'lambda': lambda _: lambda x: x,  # pyright: ignore[reportUnknownLambdaType]
    'tool': lambda m: m.markers.ToolOutput(Foo, name='n', description='d', strict=True, max_retries=3),
    'tools': lambda m: [m.markers.ToolOutput(Foo, name='n'), m.markers.ToolOutput(Place), m.markers.ToolOutput(int)],
    'tools of a name': lambda m: [m.markers.ToolOutput(Foo, name='n'), m.markers.ToolOutput(Place, name='n')],
    'tool and types and text': lambda m: [Place, str, m.markers.ToolOutput(Foo, description='d')],
    'native': lambda m: m.markers.NativeOutput(Foo, name='n', description='d', strict=True, template='T {schema}'),
    'native union': lambda m: m.markers.NativeOutput([Foo, Place | Data], name='n', description='d', strict=False),
    'prompted': lambda m: m.markers.PromptedOutput(Foo, name='n', description='d', template='Do.'),
    'prompted union': lambda m: m.markers.PromptedOutput([int, Foo, other_place(), other_place()]),
    'prompted function': lambda m: m.markers.PromptedOutput(function),
    'text function': lambda m: m.markers.TextOutput(of_text),
    'text function and model': lambda m: [m.markers.TextOutput(of_text), Foo],
    'structured dict': lambda m: m.markers.StructuredDict(STRUCTURE, name='N', description='D'),
    'structured dict as it is': lambda m: m.markers.StructuredDict({'type': 'object', 'title': 'T', 'properties': {}}),
    'structured dicts': lambda m: [m.markers.StructuredDict({'type': 'object'}), m.markers.StructuredDict(STRUCTURE)],
    'deferred': lambda m: [Foo, m.markers.DeferredToolRequests],
    'deferred and text': lambda m: [str, m.markers.DeferredToolRequests],
    'native and deferred': lambda m: [m.markers.NativeOutput(Foo), m.markers.DeferredToolRequests, m.image],
    'image': lambda m: m.image,
    'image and text': lambda m: [str, m.image],
    'image and deferred': lambda m: [m.image, m.markers.DeferredToolRequests],
}

FAULTY: dict[str, Callable[[Any], Any]] = {
    'nothing': lambda _: [],
    'only deferred': lambda m: m.markers.DeferredToolRequests,
    'two texts': lambda m: [str, m.markers.TextOutput(of_text)],
    'native beside others': lambda m: [m.markers.NativeOutput(Foo), Place],
    'prompted beside others': lambda m: [m.markers.PromptedOutput(Foo), str],
    'native of deferred': lambda m: m.markers.NativeOutput([Foo, m.markers.DeferredToolRequests]),
    'native of images': lambda m: m.markers.NativeOutput([Foo, m.image]),
    'prompted of deferred': lambda m: m.markers.PromptedOutput([Foo, m.markers.DeferredToolRequests]),
    'prompted of images': lambda m: m.markers.PromptedOutput([Foo, m.image]),
    'text function of a number': lambda m: m.markers.TextOutput(function),
    'text function of nothing': lambda m: m.markers.TextOutput(number),
    'text function of a model': lambda m: m.markers.TextOutput(of_model),
    'structured dict of no object': lambda m: m.markers.StructuredDict({'type': 'string'}),
    'structured dict inside itself': lambda m: m.markers.StructuredDict(
        {
            'type': 'object',
            'properties': {'a': {'$ref': '#/$defs/A'}},
            '$defs': {'A': {'type': 'array', 'items': {'$ref': '#/$defs/A'}}},
        }
    ),
    'misplaced context': misplaced,
}


def told_of_object(schema: Any) -> str:
    return json.dumps(schema.object_def and state_of(schema.object_def))


def told_of_tools(schema: Any) -> list[str]:
    tool_defs: list[Any] = schema.toolset._tool_defs if schema.toolset else []
    return [json.dumps(state_of(tool_def)) for tool_def in tool_defs]


@pytest.mark.parametrize('name', SPECS)
def test_a_model_is_told_the_same_of_an_output(name: str):
    ours, theirs = Ours.schema.build(SPECS[name](Ours)), Theirs.schema.build(SPECS[name](Theirs))
    for attribute in ('mode', 'allows_text', 'allows_image', 'allows_deferred_tools'):
        assert getattr(ours, attribute) == getattr(theirs, attribute), attribute
    assert ours.template == getattr(theirs, 'template', None)
    assert told_of_object(ours) == told_of_object(theirs)
    assert told_of_tools(ours) == told_of_tools(theirs)


@pytest.mark.parametrize('name', ['model', 'tools', 'union', 'native union', 'text or model'])
def test_what_is_said_for_all_outputs_is_told_alike(name: str):
    options: dict[str, Any] = {'name': 'all', 'description': 'everything', 'strict': True}
    ours, theirs = Ours.schema.build(SPECS[name](Ours), **options), Theirs.schema.build(SPECS[name](Theirs), **options)
    assert told_of_object(ours) == told_of_object(theirs)
    assert told_of_tools(ours) == told_of_tools(theirs)


@pytest.mark.parametrize('template', ['Do {schema} so.', 'Do so.', ''])
@pytest.mark.parametrize('name', ['prompted', 'prompted union', 'model', 'structured dict'])
def test_instructions_are_written_alike(name: str, template: str):
    ours, theirs = Ours.schema.build(SPECS[name](Ours)), Theirs.schema.build(SPECS[name](Theirs))
    write: Any = their_output.StructuredTextOutputSchema.build_instructions
    assert agentrun._output.build_instructions(template, ours.object_def) == write(template, theirs.object_def)


@pytest.mark.parametrize('name', FAULTY)
def test_outputs_that_cannot_be_are_refused_alike(name: str):
    def refusal(m: Any) -> tuple[str, str]:
        with pytest.raises(RuntimeError) as caught:
            m.schema.build(FAULTY[name](m))
        return type(caught.value).__name__, str(caught.value)

    assert refusal(Ours) == refusal(Theirs)


TEXTS = [
    '',
    '{}',
    'plain words',
    '5',
    '{"response": 5}',
    '{"response": "5"}',
    '{"response": "[{\\"a\\": 1}]"}',
    '{"response": [{"a": "1"}]}',
    '{"response": "b"}',
    '{"response": {"k": 1}}',
    '{"a": 1}',
    '{"a": -1}',
    '{"a": "x"}',
    '{"x": 3}',
    '{"x": -3}',
    '{"x": "y"}',
    '{"foos": [{"a": 1}]}',
    '{"item": {"x": "y"}}',
    '{"leaves": [{"leaves": []}]}',
    'Here:\n```json\n{"a": 2}\n```\nDone.',
    '```\n{"a": 2',
    '{"result": {"kind": "Foo", "data": {"a": 1}}}',
    '{"result": {"kind": "Foo_2", "data": {"a": 1}}}',
    '{"result": {"kind": "Foo", "data": {"a": "x"}}}',
    '{"result": {"kind": "int", "data": {"response": 4}}}',
    '{"result": {"kind": "Nobody", "data": {}}}',
    '{"result": {"kind": 1}}',
    '{"result": null}',
]


async def processed(schema: Any, context: Any, text: str, **options: Any) -> Any:
    """What comes of a text, comparable between the libraries."""
    try:
        output = await schema.text_processor.process(text, run_context=context, **options)
    except ValidationError as error:
        return 'validation', error.errors(include_url=False, include_context=False)
    except Exception as error:  # noqa: BLE001 - what is raised is what is compared
        part = getattr(error, 'tool_retry', None)
        if part is None:
            return type(error).__name__, str(error)
        cause = type(error.__cause__).__name__ if 'Invalid kind' not in str(part.content) else ''
        return 'retry', str(error), repr(part.content), part.tool_name, cause
    return type(output).__name__, output


@pytest.mark.parametrize('options', [{}, {'allow_partial': True}, {'wrap_validation_errors': False}], ids=str)
@pytest.mark.parametrize('name', [name for name, spec in SPECS.items() if Ours.schema.build(spec(Ours)).allows_text])
async def test_outputs_are_made_of_text_alike(name: str, options: dict[str, Any]):
    ours, theirs = Ours.schema.build(SPECS[name](Ours)), Theirs.schema.build(SPECS[name](Theirs))
    context = run_context(deps='deps')
    other = pydantic_ai.RunContext(deps='deps', model=TheirModel(), usage=pydantic_ai.RunUsage())
    for text in TEXTS:
        assert await processed(ours, context, text, **options) == await processed(theirs, other, text, **options), text


MARKERS: list[Callable[[Any], Any]] = [
    lambda m: m.ToolOutput(int, name='a'),
    lambda m: m.NativeOutput([int, str], template='t'),
    lambda m: m.PromptedOutput(int),
    lambda m: m.TextOutput(len),
    lambda m: m.OutputObjectDefinition({'type': 'object'}, 'a'),
]


@pytest.mark.parametrize('marker', MARKERS)
def test_markers_show_and_compare_alike(marker: Callable[[Any], Any]):
    assert repr(marker(Ours.markers)) == repr(marker(Theirs.markers))
    assert marker(Ours.markers) == marker(Ours.markers)
