"""Markers with which users say what a run may end in, and how the model is to be asked for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, Literal

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema
from typing_extensions import TypeAliasType, TypeVar

from ._json_schema import ObjectJsonSchema, check_object_json_schema, inline_definitions
from ._records import full_repr, lean_dataclass
from ._run_context import RunContext
from .profiles import StructuredOutputMode
from .tools import DeferredToolRequests

__all__ = (
    'DeferredToolRequests',
    'NativeOutput',
    'OutputDataT',
    'OutputMode',
    'OutputObjectDefinition',
    'OutputSpec',
    'OutputSpecItem',
    'OutputTypeOrFunction',
    'PromptedOutput',
    'StructuredDict',
    'StructuredOutputMode',
    'TextOutput',
    'TextOutputFunc',
    'ToolOutput',
)

T_co = TypeVar('T_co', covariant=True)

OutputDataT = TypeVar('OutputDataT', default=str, covariant=True)  # noqa: PLC0105 - a public name
"""Type of the output of a run."""

OutputMode = Literal['text', 'tool', 'native', 'prompted', 'tool_or_text', 'image', 'auto']
"""How a model is asked for its output.

`'auto'` leaves it to the profile of the model; `'tool_or_text'` is no longer in use.
"""

OutputTypeOrFunction = TypeAliasType(
    'OutputTypeOrFunction', type[T_co] | Callable[..., Awaitable[T_co] | T_co], type_params=(T_co,)
)
"""A type that the output is validated as, or a function that makes the output of what the model sends."""

TextOutputFunc = TypeAliasType(
    'TextOutputFunc',
    Callable[[RunContext[Any], str], Awaitable[T_co] | T_co] | Callable[[str], Awaitable[T_co] | T_co],
    type_params=(T_co,),
)
"""A function that makes the output of the model's text, with or without the run context, sync or async."""


@lean_dataclass(show=full_repr)
class ToolOutput(Generic[OutputDataT]):
    """The output comes as the arguments of a tool call."""

    output: OutputTypeOrFunction[OutputDataT]
    """Type of the output, or a function that makes it."""
    name: str | None
    """Name of the tool; None: `final_result`, with the name of the output appended if there are several."""
    description: str | None
    """What the model is told, before what the docstring of the output says."""
    max_retries: int | None
    """Not in use, as in pydantic-ai 1.38: the retries of an output are the agent's."""
    strict: bool | None
    """Whether a provider that can is to hold the model to the schema."""

    def __init__(
        self,
        type_: OutputTypeOrFunction[OutputDataT],
        *,
        name: str | None = None,
        description: str | None = None,
        max_retries: int | None = None,
        strict: bool | None = None,
    ) -> None:
        """Mark an output; see the attributes."""
        self.output = type_
        self.name = name
        self.description = description
        self.max_retries = max_retries
        self.strict = strict


@lean_dataclass(show=full_repr)
class NativeOutput(Generic[OutputDataT]):
    """The output comes as text that the provider holds to a JSON schema."""

    outputs: OutputTypeOrFunction[OutputDataT] | Sequence[OutputTypeOrFunction[OutputDataT]]
    """One output or several, of which the model chooses."""
    name: str | None
    """Name of the schema; None: that of the only output."""
    description: str | None
    """What the model is told before what the docstring says; of a single output only, as in pydantic-ai 1.38."""
    strict: bool | None
    """Whether a provider that can is to hold the model to the schema."""
    template: str | None
    """Instructions with the schema, `{schema}` standing for it; None: the profile's, if the model needs any."""

    def __init__(
        self,
        outputs: OutputTypeOrFunction[OutputDataT] | Sequence[OutputTypeOrFunction[OutputDataT]],
        *,
        name: str | None = None,
        description: str | None = None,
        strict: bool | None = None,
        template: str | None = None,
    ) -> None:
        """Mark outputs; see the attributes."""
        self.outputs = outputs
        self.name = name
        self.description = description
        self.strict = strict
        self.template = template


@lean_dataclass(show=full_repr)
class PromptedOutput(Generic[OutputDataT]):
    """The output comes as text, and the model is asked to hold itself to a JSON schema."""

    outputs: OutputTypeOrFunction[OutputDataT] | Sequence[OutputTypeOrFunction[OutputDataT]]
    """One output or several, of which the model chooses."""
    name: str | None
    """Name of the schema; None: that of the only output."""
    description: str | None
    """What the model is told before what the docstring says; of a single output only, as in pydantic-ai 1.38."""
    template: str | None
    """Instructions with the schema, `{schema}` standing for it; None: the profile's."""

    def __init__(
        self,
        outputs: OutputTypeOrFunction[OutputDataT] | Sequence[OutputTypeOrFunction[OutputDataT]],
        *,
        name: str | None = None,
        description: str | None = None,
        template: str | None = None,
    ) -> None:
        """Mark outputs; see the attributes."""
        self.outputs = outputs
        self.name = name
        self.description = description
        self.template = template


@lean_dataclass(show=full_repr)
class OutputObjectDefinition:
    """What a model is told of an output that comes as text."""

    json_schema: ObjectJsonSchema
    name: str | None = None
    description: str | None = None
    strict: bool | None = None
    """Whether a provider that can is to hold the model to the schema."""


@lean_dataclass(show=full_repr)
class TextOutput(Generic[OutputDataT]):
    """The output is made of the model's plain text."""

    output_function: TextOutputFunc[OutputDataT]
    """Makes the output; takes one `str`."""


OutputSpecItem = TypeAliasType(
    'OutputSpecItem',
    OutputTypeOrFunction[T_co] | ToolOutput[T_co] | NativeOutput[T_co] | PromptedOutput[T_co] | TextOutput[T_co],
    type_params=(T_co,),
)
"""One output that a run may end in."""

OutputSpec = TypeAliasType('OutputSpec', OutputSpecItem[T_co] | Sequence['OutputSpec[T_co]'], type_params=(T_co,))
"""What a run may end in: a type, a function, a marker, or a sequence of these, nested or not."""


def StructuredDict(  # noqa: N802 - it stands where a type does
    json_schema: JsonSchemaValue, name: str | None = None, description: str | None = None
) -> type[JsonSchemaValue]:
    """Make a type for outputs that are dictionaries of a schema which somebody else wrote.

    The model is sent the schema; what it answers is not checked against it, only for being a dictionary.

    Args:
        json_schema: Schema of an object.
        name: Name of the output; None: the schema's title.
        description: What the model is told; None: what the schema says.

    Raises:
        UserError: If the schema is not one of an object, or refers to itself.
    """
    schema = check_object_json_schema(json_schema)
    # pydantic cannot place the `$defs` of a schema written by hand.
    if '$defs' in schema:
        schema = inline_definitions(schema)
    schema = schema | ({'title': name} if name else {}) | ({'description': description} if description else {})

    class _StructuredDict(JsonSchemaValue):
        __is_model_like__ = True

        @classmethod
        def __get_pydantic_core_schema__(
            cls, source_type: Any, handler: GetCoreSchemaHandler
        ) -> core_schema.CoreSchema:
            return core_schema.dict_schema(keys_schema=core_schema.str_schema(), values_schema=core_schema.any_schema())

        @classmethod
        def __get_pydantic_json_schema__(
            cls, core_schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
        ) -> JsonSchemaValue:
            return schema

    return _StructuredDict
