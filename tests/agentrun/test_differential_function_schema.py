"""The same functions as tools of both libraries: same names, descriptions, schemas, validation and errors."""

import inspect
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from types import ModuleType
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError
from typing_extensions import TypedDict

import agentrun._docstrings
import agentrun.tools
from tests.helpers import state_of

pydantic_ai = pytest.importorskip('pydantic_ai', reason='the library that is followed is not installed')

from pydantic_ai import _griffe  # noqa: E402 - after the check that it is there
from pydantic_ai import tools as their_tools  # noqa: E402 - same

THEIRS: Any = their_tools
OURS: Any = agentrun.tools


class Colour(Enum):
    RED = 'red'
    BLUE = 'blue'


class Point(BaseModel):
    """A place."""

    x: int
    y: int = Field(default=0, ge=0, description='how far up')


class Bare(BaseModel):
    points: list[Point]
    next: 'Bare | None' = None


class Strict(BaseModel, extra='forbid'):
    a: Colour


class Documented(TypedDict, total=False):
    name: str
    """What it is called."""
    size: int
    """How large it is."""


@dataclass
class Pair:
    """Two."""

    left: Point
    right: Point


SOURCES = {
    'nothing': 'def f(): ...',
    'plain': 'def f(x: int, y: str) -> str: return f"{x}{y}"',
    'async': 'async def f(x: int, y: str) -> str: return f"{x}{y}"',
    'unannotated': 'def f(x, y=1): return x',
    'context': 'def f(ctx: RunContext, x: int): return x',
    'generic context': 'def f(ctx: RunContext[int], x: int): return x',
    'context alone': 'def f(ctx: RunContext[int]): return 1',
    'defaults': "def f(a: int = 1, b: str = 'x', c: float | None = None, d: list[int] = [1]): return a",
    'keyword only': 'def f(*, a: int, b: int = 2): return a',
    'positional only': 'def f(a: int, b: int = 2, /, c: int = 3): return a',
    'args': 'def f(*args: int): return args',
    'unannotated args': 'def f(*args, **kwargs): return args',
    'kwargs': 'def f(**kwargs: int): return kwargs',
    'args and kwargs': 'def f(a: int, *args: str, **kwargs: Point): return a',
    'model': 'def f(point: Point): return point',
    'model with context': 'def f(ctx: RunContext[int], point: Point): return point',
    'model without docstring': 'def f(bare: Strict): return bare',
    'model with a default': 'def f(point: Point = Point(x=1)): return point',
    'recursive model': 'def f(bare: Bare): return bare',
    'dataclass': 'def f(pair: Pair): return pair',
    'typed dict': 'def f(doc: Documented): return doc',
    'model and kwargs': 'def f(point: Point, **more: int): return point',
    'two models': 'def f(a: Point, b: Point): return a',
    'models inside': 'def f(a: list[Point], b: dict[str, Pair], c: Point | None = None): return a',
    'optional model': 'def f(a: Point | None): return a',
    'generic alias': 'def f(a: list[int]): return a',
    'enum and literal': "def f(a: Colour, b: Literal['x', 'y'] = 'x'): return a",
    'any': 'def f(a: Any, b: object = None): return a',
    'tuple': 'def f(a: tuple[int, str], b: tuple[int, ...]): return a',
    'field in annotation': "def f(a: Annotated[int, Field(gt=1, description='big')] = 3): return a",
    'field as default': "def f(a: int = Field(default=3, description='big', alias='A')): return a",
    'field beats docstring': (
        "def f(a: Annotated[int, Field(description='field')], b: int):\n"
        '    """Do.\n\n    Args:\n        a: docstring\n        b: docstring\n    """\n    return a'
    ),
    'docstring of one line': 'def f(x: int):\n    """Do it."""\n    return x',
    'docstring with a colon': 'def f(x: int):\n    """Do: it.\n\n    Note: nothing.\n    """\n    return x',
    'empty docstring': 'def f(x: int):\n    """"""\n    return x',
    'google': (
        'def f(ctx: RunContext[int], foo: int, bar: str):\n'
        '    """Do it.\n\n    At length.\n\n    Args:\n        foo: The foo,\n            continued.\n'
        '        bar (str): The bar.\n'
        '        nobody: Is not there.\n\n    Returns:\n        int: The result.\n    """\n    return foo'
    ),
    'google without types': 'def f(a: int):\n    """Do.\n\n    Returns:\n        What it is.\n    """\n    return a',
    'google returns only': 'def f(a: int):\n    """\n    Returns:\n        What it is.\n    """\n    return a',
    'google raises': (
        'def f(a: int):\n    """Do.\n\n    Raises:\n        ValueError: Never.\n\n    More.\n    """\n    return a'
    ),
    'numpy': (
        'def f(foo: int, bar: str):\n    """Do it.\n\n    Parameters\n    ----------\n    foo : int\n        The foo.\n'
        '    bar\n        The bar.\n\n    Returns\n    -------\n    str\n        It.\n    """\n    return foo'
    ),
    'sphinx': (
        'def f(foo: int, bar: str):\n    """Do it.\n\n    :param foo: The foo.\n    :param str bar: The bar.\n'
        '    :returns: It.\n    :rtype: str\n    """\n    return foo'
    ),
    'code in docstring': (
        'def f(a: int):\n    """Do.\n\n    ```\n    Args:\n        a: no\n    ```\n    """\n    return a'
    ),
    'described model': (
        'def f(point: Point):\n    """Go there.\n\n    Args:\n        point: the place\n    """\n    return point'
    ),
    'method of a class': 'class C:\n    def m(self, x: int): return x\nf = C().m',
    'method with context': 'class C:\n    def m(self, ctx: RunContext[int], x: int): return x\nf = C().m',
    'static method': 'class C:\n    @staticmethod\n    def m(x: int): return x\nf = C.m',
    'class method': 'class C:\n    @classmethod\n    def m(cls, x: int): return x\nf = C().m',
    'lambda': 'f = lambda x: x',
    'wrapped': (
        'import functools\ndef inner(x: int):\n    """Do."""\n    return x\n'
        '@functools.wraps(inner)\ndef f(*args, **kwargs): return inner(*args, **kwargs)'
    ),
    'builtin': 'f = len',
    'builtin with defaults': 'f = print',
}
"""Functions by what is special about them; each is defined with and without annotations kept as text."""

FAULTY = {
    'builtin without a signature': 'f = min',
    'class without a signature': 'f = int',
    'context not first': 'def f(x: int, ctx: RunContext[int]): ...',
    'context twice': 'def f(ctx: RunContext[int], x: int, other: RunContext[int]): ...',
    'context last and no schema': 'def f(x: int, y: RunContext, z: RunContext): ...',
}


@pytest.fixture
def define(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Define a function of a source in a module of its own, in which `RunContext` is that of a library."""

    def make(source: str, library: Any, *, as_text: bool = False) -> Any:
        module = ModuleType('defined_by_a_test')
        vars(module).update(globals(), RunContext=library.RunContext, __name__='defined_by_a_test')
        monkeypatch.setitem(sys.modules, 'defined_by_a_test', module)
        code = compile(
            f'from __future__ import annotations\n{source}' if as_text else source, 'a test', 'exec', dont_inherit=True
        )
        exec(code, vars(module))
        return vars(module)['f']

    return make


def told(tool_def: Any) -> str:
    """All that a model is told of a tool, in order."""
    return json.dumps(vars(tool_def), default=str) + repr(tool_def)


def raised(make: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(Exception) as caught:
        make()
    return type(caught.value).__name__, str(caught.value)


@pytest.mark.parametrize('as_text', [False, True], ids=['objects', 'text'])
@pytest.mark.parametrize('name', SOURCES)
def test_a_model_is_told_the_same_of_a_function(name: str, as_text: bool, define: Callable[..., Any]):
    theirs = THEIRS.Tool(define(SOURCES[name], THEIRS, as_text=as_text))
    ours = OURS.Tool(define(SOURCES[name], OURS, as_text=as_text))
    assert told(ours.tool_def) == told(theirs.tool_def)
    assert ours.takes_ctx == theirs.takes_ctx
    own, other = ours.function_schema, theirs.function_schema
    assert own.is_async == other.is_async
    assert own.single_arg_name == other.single_arg_name
    assert own.positional_fields == other.positional_fields
    assert own.var_positional_field == other.var_positional_field


ARGUMENTS: list[Any] = [
    {},
    {'x': 1, 'y': 'a'},
    {'x': '1', 'y': 2},
    {'x': 'no'},
    {'a': 1},
    {'a': '2', 'b': 3, 'c': '4', 'd': []},
    {'args': [1, '2', 'x'], 'kwargs': 3},
    {'a': 1, 'args': ['q'], 'more': {'x': 1}},
    {'point': {'x': 1}},
    {'a': {'x': 1}, 'b': {'x': 2, 'y': -1}},
    {'left': {'x': 1}, 'right': {'x': 2}},
    {'name': 'n', 'size': 'large'},
    {'a': [{'x': 1}], 'b': {'k': {'left': {'x': 1}, 'right': {'x': 2}}}},
    {'a': 'red', 'b': 'z'},
    {'A': 5},
    {'unknown': None},
    [1],
    None,
]


def validated(validator: Any, arguments: Any) -> Any:
    try:
        return validator.validate_json(json.dumps(arguments)), validator.validate_python(arguments)
    except ValidationError as error:
        return str(error), error.errors()


@pytest.mark.parametrize('name', SOURCES)
def test_arguments_are_validated_alike(name: str, define: Callable[..., Any]):
    theirs = THEIRS.Tool(define(SOURCES[name], THEIRS)).function_schema.validator
    ours = OURS.Tool(define(SOURCES[name], OURS)).function_schema.validator
    for arguments in ARGUMENTS:
        assert validated(ours, arguments) == validated(theirs, arguments)


@pytest.mark.parametrize('style', ['google', 'numpy', 'sphinx'])
@pytest.mark.parametrize('name', [name for name, source in SOURCES.items() if '"""' in source])
def test_a_docstring_is_read_alike_in_every_style(name: str, style: str, define: Callable[..., Any]):
    theirs = THEIRS.Tool(define(SOURCES[name], THEIRS), docstring_format=style)
    ours = OURS.Tool(define(SOURCES[name], OURS), docstring_format=style)
    assert told(ours.tool_def) == told(theirs.tool_def)


@given(st.lists(st.sampled_from(['', ' ', '  a', 'Args', 'a b', '---', '>>> 1', '```', '\t', ':param x: y', 'Args:'])))
def test_the_lines_of_a_docstring_are_read_alike(lines: list[str]):
    def f(x: int) -> int:
        return x

    f.__doc__ = '\n    '.join(lines)
    signature = inspect.signature(f)
    ours = agentrun._docstrings.read_docstring(f, signature, docstring_format='auto')
    assert (ours.function, ours.parameters) == _griffe.doc_descriptions(f, signature, docstring_format='auto')


@pytest.mark.parametrize('takes_ctx', [None, True, False])
@pytest.mark.parametrize('name', FAULTY)
def test_a_faulty_signature_is_refused_alike(name: str, takes_ctx: bool | None, define: Callable[..., Any]):
    source = FAULTY[name]
    assert raised(lambda: OURS.Tool(define(source, OURS), takes_ctx=takes_ctx)) == raised(
        lambda: THEIRS.Tool(define(source, THEIRS), takes_ctx=takes_ctx)
    )


@pytest.mark.parametrize('takes_ctx', [True, False])
@pytest.mark.parametrize('name', ['plain', 'context', 'context alone', 'unannotated'])
def test_what_is_said_of_the_context_is_held_against_the_signature(
    name: str, takes_ctx: bool, define: Callable[..., Any]
):
    def outcome(library: Any) -> Any:
        try:
            return told(library.Tool(define(SOURCES[name], library), takes_ctx=takes_ctx).tool_def)
        except RuntimeError as error:
            return type(error).__name__, str(error)

    assert outcome(OURS) == outcome(THEIRS)


@pytest.mark.parametrize('name', ['plain', 'nothing', 'google without types', 'numpy', 'described model'])
def test_missing_descriptions_are_told_alike(name: str, define: Callable[..., Any]):
    def outcome(library: Any) -> Any:
        try:
            return told(library.Tool(define(SOURCES[name], library), require_parameter_descriptions=True).tool_def)
        except RuntimeError as error:
            head, names = (
                str(error).split('descriptions for ') if 'descriptions for' in str(error) else (str(error), '')
            )
            return head, sorted(names.split(', '))  # theirs come in the order of a set

    assert outcome(OURS) == outcome(THEIRS)


def test_options_are_told_alike():
    def f(x: Annotated[int, Field(description='an x')], y: Literal[1] = 1) -> int:
        """Do."""
        return x + y

    options: dict[str, Any] = {
        'name': 'g',
        'description': 'other',
        'strict': True,
        'sequential': True,
        'requires_approval': True,
        'metadata': {'a': 1},
        'timeout': 2.5,
    }
    assert told(OURS.Tool(f, **options).tool_def) == told(THEIRS.Tool(f, **options).tool_def)
    schema = {'type': 'object', 'properties': {'x': {'type': 'integer'}}}
    ours = OURS.Tool.from_schema(f, 'h', None, schema)
    theirs = THEIRS.Tool.from_schema(f, 'h', None, schema)
    assert told(ours.tool_def) == told(theirs.tool_def)


VALUES: list[Callable[[Any], Any]] = [
    lambda m: m.ToolDefinition(name='a'),
    lambda m: m.ToolDefinition(name='a', kind='output', parameters_json_schema={}, outer_typed_dict_key='response'),
    lambda m: m.DeferredToolRequests(metadata={'a': {}}),
    lambda m: m.DeferredToolResults(calls={'a': 1}, approvals={'b': True, 'c': m.ToolDenied('no')}),
    lambda m: m.ToolApproved(override_args={'x': 1}),
    lambda m: m.ToolDenied(),
]


@pytest.mark.parametrize('value', VALUES)
def test_values_show_alike(value: Callable[[Any], Any]):
    assert repr(value(OURS)) == repr(value(THEIRS))
    assert value(OURS) == value(OURS)
    assert list(state_of(value(OURS))) == list(state_of(value(THEIRS)))


@pytest.mark.parametrize(
    'sent',
    [
        {'calls': {'a': {'kind': 'tool-return', 'return_value': 1}}},
        {'calls': {'a': {'kind': 'model-retry', 'message': 'again'}}},
        {'calls': {'a': {'part_kind': 'retry-prompt', 'content': 'again', 'tool_name': 't', 'tool_call_id': 'i'}}},
        {'calls': {'a': 5, 'b': {'kind': 'other'}}, 'approvals': {'b': True}},
        {'approvals': {'b': {'kind': 'tool-denied', 'message': 'no'}, 'c': {'kind': 'tool-approved'}}},
    ],
)
def test_results_load_and_dump_alike(sent: dict[str, Any]):
    from pydantic import TypeAdapter

    def round_trip(library: Any) -> Any:
        adapter = TypeAdapter[Any](library.DeferredToolResults)
        results = adapter.validate_python(sent)
        dumped = json.loads(adapter.dump_json(results))
        calls: dict[str, Any] = dumped['calls']
        for value in calls.values():
            if 'timestamp' in str(value):
                value['timestamp'] = ''
        return dumped, [type(value).__name__ for value in (results.calls | results.approvals).values()]

    assert round_trip(OURS) == round_trip(THEIRS)
