import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import pytest
from pydantic import BaseModel, Field, ValidationError
from typing_extensions import TypedDict

from agentrun._function_schema import callable_name, function_schema, is_model_like, takes_run_context
from agentrun._json_schema import GenerateToolJsonSchema
from agentrun._run_context import RunContext
from agentrun.exceptions import UserError
from agentrun.output import StructuredDict
from tests.tool_helpers import run_context

pytestmark = pytest.mark.anyio

T = TypeVar('T')


BUILTIN_WITHOUT_SIGNATURE: Callable[..., Any] = min


class Point(BaseModel):
    x: int
    y: int = 0


@dataclass
class Pair:
    a: int


class Doc(TypedDict):
    a: int


class Box(BaseModel, Generic[T]):
    item: T


class Adder:
    """Adds."""

    def __call__(self, ctx: RunContext[int], x: int) -> int:
        return ctx.deps + x

    def method(self, ctx: RunContext[int], x: int) -> int:
        return ctx.deps - x


def subtract(a: int, x: int) -> int:
    return a - x


async def called(function: Callable[..., Any], arguments: dict[str, Any], **options: Any) -> Any:
    """What a function returns for arguments as a model sends them."""
    schema = function_schema(function, GenerateToolJsonSchema, **options)
    return await schema.call(schema.validator.validate_python(arguments), run_context(deps=10))


async def test_arguments_are_validated_and_defaults_filled_in():
    def f(a: int, b: str = 'x', *, c: float = 1.5) -> Any:
        return a, b, c

    assert await called(f, {'a': '3'}) == (3, 'x', 1.5)


async def test_an_async_function_is_awaited():
    async def f(a: int) -> int:
        return a + 1

    assert await called(f, {'a': 1}) == 2


async def test_the_context_comes_first():
    def f(ctx: RunContext[int], a: int) -> Any:
        return ctx.deps, a

    assert await called(f, {'a': 1}) == (10, 1)


async def test_a_context_without_annotation_needs_to_be_announced():
    def f(ctx, a: int) -> Any:  # pyright: ignore[reportMissingParameterType, reportUnknownParameterType]  # noqa: ANN001
        return ctx.deps, a  # pyright: ignore[reportUnknownMemberType]

    assert await called(f, {'a': 1}, takes_ctx=True) == (10, 1)  # pyright: ignore[reportUnknownArgumentType]


async def test_positional_parameters_are_passed_by_position():
    def f(a: int, b: int = 2, /, *rest: int, c: int = 4) -> Any:
        return a, b, rest, c

    def without_rest(a: int, /, b: int) -> Any:
        return a, b

    assert await called(f, {'a': 1, 'rest': ['7', 8]}) == (1, 2, (7, 8), 4)
    assert await called(without_rest, {'a': 1, 'b': 2}) == (1, 2)


async def test_further_keywords_are_passed_on():
    def f(a: int, **more: int) -> Any:
        return a, more

    assert await called(f, {'a': 1, 'b': '2'}) == (1, {'b': 2})


async def test_a_parameter_of_the_name_of_an_option_of_ours_is_passed_on():
    def f(is_async: int, function: int) -> Any:
        return is_async, function

    assert await called(f, {'is_async': 1, 'function': 2}) == (1, 2)


async def test_the_fields_of_an_only_model_stand_for_it():
    def f(point: Point) -> Point:
        return point

    schema = function_schema(f, GenerateToolJsonSchema)
    assert schema.single_arg_name == 'point'
    assert schema.json_schema['properties'].keys() == {'x', 'y'}
    assert await called(f, {'x': 1}) == Point(x=1)


async def test_the_arguments_are_left_as_they_are():
    def f(a: int, /, *rest: int) -> Any:
        return a, rest

    schema = function_schema(f, GenerateToolJsonSchema)
    arguments = {'a': 1, 'rest': [2]}
    assert [await schema.call(arguments, run_context()) for _ in range(2)] == [(1, (2,)), (1, (2,))]
    assert arguments == {'a': 1, 'rest': [2]}


@pytest.mark.parametrize(
    ('function', 'result'),
    [
        (Adder(), 13),
        (Adder().method, 7),
        (functools.partial(Adder(), x=5), 13),
        (functools.partial(subtract, 1), -2),
    ],
)
async def test_methods_partials_and_objects_are_called_like_functions(function: Callable[..., Any], result: int):
    assert await called(function, {'x': 3}) == result


def test_an_object_goes_by_the_name_of_its_type_and_is_described_by_its_docstring():
    schema = function_schema(Adder(), GenerateToolJsonSchema)
    assert schema.description == 'Adds.'
    with pytest.raises(ValidationError, match='1 validation error for Adder'):
        schema.validator.validate_python({'x': 'no'})


@pytest.mark.parametrize(
    ('function', 'name'),
    [
        (len, 'len'),
        (Adder(), 'Adder'),
        (Adder().method, 'method'),
        (functools.partial(Adder().method, x=1), 'method'),
        (functools.partial(Adder(), x=1), 'Adder'),
    ],
)
def test_every_callable_has_a_name(function: Callable[..., Any], name: str):
    assert callable_name(function) == name


def bare(x): ...  # pyright: ignore  # noqa: ANN001, PGH003
def with_context(ctx: RunContext) -> None: ...
def with_generic_context(ctx: RunContext[int], x: int) -> None: ...
def with_late_context(ctx: 'RunContext[int]', x: int) -> None: ...
def without(x: int, ctx: RunContext[int]) -> None: ...
def empty() -> None: ...


CONTEXTUAL: list[tuple[Callable[..., Any], bool]] = [
    (with_context, True),
    (with_generic_context, True),
    (with_late_context, True),
    (without, False),
    (empty, False),
    (bare, False),
    (BUILTIN_WITHOUT_SIGNATURE, False),
    (len, False),
    (Adder(), True),
    (Adder().method, True),
    (functools.partial(Adder()), True),
    (Point, False),
]


@pytest.mark.parametrize(('function', 'expected'), CONTEXTUAL)
def test_the_context_is_told_by_the_first_annotation(function: Callable[..., Any], expected: bool):
    assert takes_run_context(function) is expected


@pytest.mark.parametrize(
    ('type_', 'expected'),
    [
        (Point, True),
        (Pair, True),
        (Doc, True),
        (Box[int], True),
        (StructuredDict({'type': 'object'}), True),
        (int, False),
        (dict, False),
        (list[int], False),
        (Point | None, False),
        (Point(x=1), False),
    ],
)
def test_types_with_the_schema_of_an_object_are_told_apart(type_: Any, expected: bool):
    assert is_model_like(type_) is expected


def test_missing_descriptions_are_named_in_the_order_of_the_signature():
    def f(ctx: RunContext[int], zeta: int, alpha: int, mid: int) -> None:
        """Do.

        Args:
            mid: described
        """

    with pytest.raises(UserError) as caught:
        function_schema(f, GenerateToolJsonSchema, require_parameter_descriptions=True)
    assert str(caught.value) == (
        'Error generating schema for test_missing_descriptions_are_named_in_the_order_of_the_signature.<locals>.f:\n'
        '  Missing parameter descriptions for zeta, alpha'
    )


def test_descriptions_that_nothing_can_read_are_an_error_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    def f(x: int) -> None:
        """Do.

        Args:
            x: described
        """

    monkeypatch.setitem(sys.modules, 'griffe', None)
    with pytest.raises(UserError, match=r"needs griffelib: pip install 'agentrun-replay\[docstrings\]'"):
        function_schema(f, GenerateToolJsonSchema, require_parameter_descriptions=True)


def test_all_faults_are_told_at_once():
    def f(x: int, ctx: RunContext[int]) -> None: ...

    with pytest.raises(UserError) as caught:
        function_schema(f, GenerateToolJsonSchema, require_parameter_descriptions=True)
    assert str(caught.value).splitlines()[1:] == [
        '  Missing parameter descriptions for x, ctx',
        '  RunContext annotations can only be used with tools that take context',
    ]


def test_a_faulty_object_without_a_qualified_name_is_named_by_its_type():
    with pytest.raises(UserError, match=r'^Error generating schema for Adder:'):
        function_schema(Adder(), GenerateToolJsonSchema, takes_ctx=False)


async def test_a_builtin_without_a_signature_is_refused():
    with pytest.raises(UserError) as caught:
        function_schema(BUILTIN_WITHOUT_SIGNATURE, GenerateToolJsonSchema)
    assert str(caught.value) == (
        'Error generating schema for min:\n  no signature found for builtin <built-in function min>'
    )


async def test_the_first_parameter_has_to_be_the_context_if_there_is_one():
    with pytest.raises(
        UserError, match=r'First parameter of tools that take context must be annotated with RunContext'
    ):
        function_schema(subtract, GenerateToolJsonSchema, takes_ctx=True)


async def test_the_context_may_only_come_first():
    def f(ctx: RunContext[int], other: RunContext[int]) -> None: ...

    with pytest.raises(UserError, match='RunContext annotations can only be used as the first argument'):
        function_schema(f, GenerateToolJsonSchema)


async def test_a_field_describes_its_parameter_better_than_the_docstring():
    def f(a: Annotated[int, Field(description='field')], b: int) -> None:
        """Do.

        Args:
            a: docstring
            b: docstring
        """

    schema = function_schema(f, GenerateToolJsonSchema).json_schema['properties']
    assert [schema[name]['description'] for name in 'ab'] == ['field', 'docstring']


async def test_an_only_model_describes_a_function_without_docstring():
    def f(pair: Pair) -> None: ...

    class Told(BaseModel):
        """What it is."""

    def g(told: Told) -> None: ...

    assert function_schema(f, GenerateToolJsonSchema).description is None
    schema = function_schema(g, GenerateToolJsonSchema)
    assert schema.description == 'What it is.'
    assert 'description' not in schema.json_schema
