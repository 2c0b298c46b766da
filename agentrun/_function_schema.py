"""A function as a JSON schema for the model, a validator for what the model sends, and a call.

The schema has to be pydantic-ai 1.38's to the byte, so it is built with the parts of pydantic that are used there, some
of which pydantic keeps private. They are all named in this file.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from dataclasses import field, is_dataclass
from inspect import Parameter, Signature
from types import GenericAlias
from typing import Any, get_origin

from pydantic import BaseModel, ConfigDict
from pydantic._internal._config import ConfigWrapper
from pydantic._internal._decorators import DecoratorInfos
from pydantic._internal._generate_schema import GenerateSchema
from pydantic._internal._typing_extra import get_function_type_hints
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import SchemaValidator, core_schema
from typing_extensions import is_typeddict

from ._callables import is_async_callable, run_in_thread
from ._docstrings import Descriptions, DocstringFormat, read_docstring
from ._json_schema import ObjectJsonSchema, check_object_json_schema
from ._records import full_repr, lean_dataclass
from ._run_context import RunContext
from .exceptions import UserError

__all__ = ('FunctionSchema', 'callable_name', 'function_schema', 'is_model_like', 'takes_run_context')


@lean_dataclass(kw_only=True, show=full_repr)
class FunctionSchema:
    """A function that can be described to a model and called with what the model sends."""

    function: Callable[..., Any]
    description: str | None
    """What it does, for the model."""
    validator: SchemaValidator
    """Turns the model's arguments into `args_dict`, defaults filled in."""
    json_schema: ObjectJsonSchema
    """Its parameters, without the run context."""
    takes_ctx: bool
    """Whether the first parameter is the run context."""
    is_async: bool
    single_arg_name: str | None = None
    """Name of the only parameter, if that is a model: its fields then stand in place of the parameter."""
    positional_fields: list[str] = field(default_factory=list[str])
    """Names of positional-only parameters, in order."""
    var_positional_field: str | None = None
    """Name of the `*args` parameter."""

    @property
    def returns(self) -> Any:
        """Annotation of what the function returns; `Any` if it has none."""
        return get_function_type_hints(_annotated(self.function)).get('return', Any)

    async def call(self, args_dict: Any, ctx: RunContext[Any]) -> Any:
        """Call the function: awaited if it is async, in a worker thread if not.

        Args:
            args_dict: What the validator made of the arguments; not changed.
            ctx: Passed on to a function that takes it.
        """
        kwargs: dict[str, Any] = {self.single_arg_name: args_dict} if self.single_arg_name else args_dict
        args: list[Any] = [ctx] if self.takes_ctx else []
        if self.positional_fields or self.var_positional_field:
            kwargs = dict(kwargs)
            args += [kwargs.pop(name) for name in self.positional_fields]
            if self.var_positional_field:
                args += kwargs.pop(self.var_positional_field)
        if self.is_async:
            return await self.function(*args, **kwargs)
        return await run_in_thread(self.function, *args, **kwargs)


def function_schema(
    function: Callable[..., Any],
    schema_generator: type[GenerateJsonSchema],
    *,
    takes_ctx: bool | None = None,
    docstring_format: DocstringFormat = 'auto',
    require_parameter_descriptions: bool = False,
) -> FunctionSchema:
    """Read a function's signature, annotations and docstring.

    Args:
        function: A function, method, builtin, `functools.partial` or other callable object.
        schema_generator: Writes the JSON schema.
        takes_ctx: Whether the first parameter is the run context; None: told by its annotation.
        docstring_format: The style of the docstring.
        require_parameter_descriptions: Whether each parameter has to be described in the docstring.

    Raises:
        UserError: If parts of the signature cannot be used, with one indented line for each fault.
    """
    if takes_ctx is None:
        takes_ctx = takes_run_context(function)
    errors: list[str] = []
    try:
        signature = inspect.signature(function)
    except ValueError as error:
        errors.append(str(error))
        signature = Signature()
    descriptions = read_docstring(function, signature, docstring_format=docstring_format)
    if require_parameter_descriptions:
        errors += _check_described(signature, descriptions, takes_ctx=takes_ctx)

    parameters = _Parameters(callable_name(function), descriptions)
    hints = get_function_type_hints(_annotated(function))
    for parameter, annotation in _without_context(signature, hints, errors, takes_ctx=takes_ctx):
        parameters.add(parameter, annotation)
    if errors:
        name = getattr(function, '__qualname__', callable_name(function))
        raise UserError('\n  '.join([f'Error generating schema for {name}:', *errors]))

    schema, core_config = parameters.build()
    json_schema = schema_generator().generate(schema)
    description = descriptions.function
    if parameters.single is not None and not description:
        description = json_schema.pop('description', None)
    return FunctionSchema(
        function=function,
        description=description,
        validator=SchemaValidator(schema, core_config),
        json_schema=check_object_json_schema(json_schema),
        takes_ctx=takes_ctx,
        is_async=is_async_callable(function),
        single_arg_name=parameters.single,
        positional_fields=parameters.positional,
        var_positional_field=parameters.var_positional,
    )


class _Parameters:
    """Collects parameters as fields of a typed dict, and what is needed to call with them."""

    def __init__(self, title: str, descriptions: Descriptions) -> None:
        self.positional: list[str] = []
        self.var_positional: str | None = None
        self._descriptions = descriptions.parameters
        self._config = ConfigWrapper(ConfigDict(title=title, use_attribute_docstrings=True))
        self._generator = GenerateSchema(self._config)
        self._fields: dict[str, core_schema.TypedDictField] = {}
        self._extras: core_schema.CoreSchema | None = None
        self._model_like: list[str] = []

    @property
    def single(self) -> str | None:
        """Name of the parameter that stands for all, because it is the only one and a model."""
        return self._model_like[0] if self._model_like and len(self._fields) == 1 and self._extras is None else None

    def add(self, parameter: Parameter, annotation: Any) -> None:
        """Take in one parameter, in the order of the signature."""
        if parameter.kind is Parameter.VAR_KEYWORD:
            self._extras = self._generator.generate_schema(annotation)
            return
        if parameter.kind is Parameter.VAR_POSITIONAL:
            annotation = list[annotation]
            self.var_positional = parameter.name
        elif parameter.kind is Parameter.POSITIONAL_ONLY:
            self.positional.append(parameter.name)
        if is_model_like(annotation):
            self._model_like.append(parameter.name)
        self._fields[parameter.name] = self._field(parameter, annotation)

    def _field(self, parameter: Parameter, annotation: Any) -> core_schema.TypedDictField:
        from pydantic.fields import FieldInfo  # loads a dozen milliseconds' worth of modules

        required = parameter.default is Parameter.empty
        if required:
            info = FieldInfo.from_annotation(annotation)
        else:
            info = FieldInfo.from_annotated_attribute(annotation, parameter.default)
        if info.description is None:
            info.description = self._descriptions.get(parameter.name)
        make_field = self._generator._generate_td_field_schema  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - see the top
        return make_field(parameter.name, info, DecoratorInfos(), required=required)

    def build(self) -> tuple[core_schema.CoreSchema, core_schema.CoreConfig]:
        """Make the core schema of all parameters, and the configuration it is validated with."""
        config = self._config.core_config(None)
        config['extra_fields_behavior'] = 'allow' if self._extras else 'forbid'
        if self.single is not None:
            schema = self._fields[self.single]['schema']
        else:
            schema = core_schema.typed_dict_schema(self._fields, config=config, extras_schema=self._extras)
        return self._generator.clean_schema(schema), config


def takes_run_context(function: Callable[..., Any]) -> bool:
    """Tell by its annotation whether the first parameter of a callable is the run context."""
    try:
        first = next(iter(inspect.signature(function).parameters), None)
    except ValueError:  # builtins without a signature
        return False
    if first is None:
        return False
    return _is_run_context(get_function_type_hints(_annotated(function)).get(first))


def callable_name(function: Callable[..., Any]) -> str:
    """Name a callable; an object without a name of its own goes by its type's, a partial by that of its function."""
    if isinstance(function, functools.partial):
        return callable_name(function.func)
    return getattr(function, '__name__', type(function).__name__)


def is_model_like(type_: Any) -> bool:
    """Tell whether a type has an object's schema: a pydantic model, dataclass, typed dict or `StructuredDict`."""
    if not inspect.isclass(type_) or isinstance(type_, GenericAlias):  # `list[int]` passes for a class
        return False
    return issubclass(type_, BaseModel) or is_dataclass(type_) or is_typeddict(type_) or _is_structured_dict(type_)


def _is_structured_dict(type_: type[Any]) -> bool:
    return getattr(type_, '__is_model_like__', False)


def _annotated(function: Callable[..., Any]) -> Callable[..., Any]:
    """Find the function that carries the annotations: under partials, behind an object's `__call__`."""
    while isinstance(function, functools.partial):
        function = function.func
    return function if inspect.isroutine(function) else type(function).__call__


def _is_run_context(annotation: Any) -> bool:
    return annotation is RunContext or get_origin(annotation) is RunContext


def _without_context(
    signature: Signature, hints: dict[str, Any], errors: list[str], *, takes_ctx: bool
) -> Iterable[tuple[Parameter, Any]]:
    """Go through the parameters that the model fills in, with their annotations; note misplaced run contexts."""
    for index, parameter in enumerate(signature.parameters.values()):
        bare = parameter.annotation is Parameter.empty
        annotation: Any = Any if bare else hints[parameter.name]
        if takes_ctx and index == 0:
            if not bare and not _is_run_context(annotation):
                errors.append('First parameter of tools that take context must be annotated with RunContext[...]')
        elif not _is_run_context(annotation):
            yield parameter, annotation
        elif not takes_ctx:
            errors.append('RunContext annotations can only be used with tools that take context')
        else:
            errors.append('RunContext annotations can only be used as the first argument')


def _check_described(signature: Signature, descriptions: Descriptions, *, takes_ctx: bool) -> list[str]:
    if not descriptions.parsed:
        return ["Reading parameter descriptions needs griffelib: pip install 'agentrun-replay[docstrings]'"]
    names = list(signature.parameters)[1 if takes_ctx else 0 :]
    missing = [name for name in names if name not in descriptions.parameters]
    return [f'Missing parameter descriptions for {", ".join(missing)}'] if missing else []
