"""Which outputs a run may end in, and how the model is asked for them."""

from __future__ import annotations

from collections.abc import Sequence
from types import UnionType
from typing import Annotated, Any, Generic, Union, cast, get_args, get_origin

from agentrun._records import full_repr, lean_dataclass
from agentrun.exceptions import UserError
from agentrun.messages import BinaryImage
from agentrun.output import (
    NativeOutput,
    OutputDataT,
    OutputMode,
    OutputObjectDefinition,
    OutputSpec,
    PromptedOutput,
    TextOutput,
    ToolOutput,
)
from agentrun.tools import DeferredToolRequests

from ._processors import (
    BaseObjectOutputProcessor,
    BaseOutputProcessor,
    ObjectOutputProcessor,
    TextFunctionOutputProcessor,
    TextOutputProcessor,
    UnionOutputProcessor,
)
from ._toolset import OutputToolset

__all__ = ('OutputSchema', 'build_instructions')


@lean_dataclass(kw_only=True, show=full_repr)
class OutputSchema(Generic[OutputDataT]):
    """What a run may end in.

    `build` makes one of what users write; one with processors of another making is made by its fields.
    """

    mode: OutputMode
    """How the model is asked; `'auto'` until its profile says."""
    text_processor: BaseOutputProcessor[OutputDataT] | None = None
    """Makes an output of text; None if text is no output."""
    toolset: OutputToolset[Any] | None = None
    """The output tools; set for `'auto'` too, in which they may come to be used."""
    object_def: OutputObjectDefinition | None = None
    """What the model is told of an output that comes as JSON text."""
    template: str | None = None
    """Instructions with the schema, for native and prompted output; None: the profile's."""
    allows_deferred_tools: bool = False
    """Whether a run may end in calls that somebody else answers."""
    allows_image: bool = False
    """Whether an image may be the output."""

    @property
    def allows_text(self) -> bool:
        """Whether text may be the output, or hold it."""
        return self.text_processor is not None

    @classmethod
    def build(
        cls,
        output_spec: OutputSpec[OutputDataT],
        *,
        name: str | None = None,
        description: str | None = None,
        strict: bool | None = None,
    ) -> OutputSchema[OutputDataT]:
        """Make the schema of what a user wrote as `output_type`.

        Args:
            output_spec: Types, output functions and markers, in unions, sequences or alone.
            name: Name of outputs that give none.
            description: What the model is told of outputs that say nothing.
            strict: Whether a provider that can is to hold the model to the schema.

        Raises:
            UserError: If the outputs do not go together, or one of them cannot be used.
        """
        outputs = _flatten(output_spec)
        deferred, image = DeferredToolRequests in outputs, BinaryImage in outputs
        outputs = [output for output in outputs if output is not DeferredToolRequests and output is not BinaryImage]
        if deferred and not image and not outputs:
            raise UserError('At least one output type must be provided other than `DeferredToolRequests`.')
        schema = _schema_of_marker(outputs)
        if schema is None:
            schema = _schema_of_rest(outputs, image=image, name=name, description=description, strict=strict)
        schema.allows_deferred_tools = deferred
        schema.allows_image = image
        return schema


def build_instructions(template: str, object_def: OutputObjectDefinition) -> str:
    """Write the instructions for an output that the model is asked for in words.

    Args:
        template: Text with `{schema}` where the JSON schema goes; without it, the schema follows the text.
        object_def: The output.
    """
    import json  # noqa: TID251 - the prompt holds the schema in json's own spelling, as in pydantic-ai 1.38

    schema = object_def.json_schema
    if object_def.name:
        schema = schema | {'title': object_def.name}
    if object_def.description:
        schema = schema | {'description': object_def.description}
    if '{schema}' not in template:
        template = f'{template}\n\n{{schema}}'
    return template.format(schema=json.dumps(schema))


def _schema_of_marker(outputs: list[Any]) -> OutputSchema[Any] | None:
    """Make the schema of the marker that has to stand alone; None if there is none."""
    markers: list[Any] = [output for output in outputs if isinstance(output, NativeOutput | PromptedOutput)]
    if not markers:
        return None
    marker = markers[0]
    native = isinstance(marker, NativeOutput)
    marker_name, mode = ('NativeOutput', 'native') if native else ('PromptedOutput', 'prompted')
    if len(outputs) > 1:
        raise UserError(f'`{marker_name}` must be the only output type.')
    inner = _flatten(marker.outputs)
    for stranger in (DeferredToolRequests, BinaryImage):
        if stranger in inner:
            raise UserError(
                f'`{marker_name}` cannot contain `{stranger.__name__}`. Include it alongside the {mode} output marker '
                f'instead: `output_type=[{marker_name}(...), {stranger.__name__}]`'
            )
    processor = _object_processor(
        inner, name=marker.name, description=marker.description, strict=marker.strict if native else None
    )
    return OutputSchema(mode=mode, text_processor=processor, object_def=processor.object_def, template=marker.template)


def _schema_of_rest(
    outputs: list[Any], *, image: bool, name: str | None, description: str | None, strict: bool | None
) -> OutputSchema[Any]:
    """Make the schema of types, functions and the markers of text and tools."""
    texts: list[Any] = []
    tools: list[Any] = []
    others: list[Any] = []
    for output in outputs:
        if output is str or isinstance(output, TextOutput):
            texts.append(output)
        else:
            (tools if isinstance(output, ToolOutput) else others).append(output)
    toolset = OutputToolset[Any].build([*tools, *others], name=name, description=description, strict=strict)
    if texts:
        if len(texts) > 1:
            raise UserError('Only one `str` or `TextOutput` is allowed.')
        return OutputSchema(
            mode='tool' if toolset else 'text', text_processor=_text_processor(texts[0]), toolset=toolset
        )
    if tools:
        return OutputSchema(mode='tool', toolset=toolset)
    if others:
        processor = _object_processor(others, name=name, description=description, strict=strict)
        return OutputSchema(mode='auto', text_processor=processor, toolset=toolset, object_def=processor.object_def)
    if image:
        return OutputSchema(mode='image')
    raise UserError('At least one output type must be provided.')


def _text_processor(output: type[str] | TextOutput[Any]) -> BaseOutputProcessor[Any]:
    if isinstance(output, TextOutput):
        return TextFunctionOutputProcessor(output.output_function)
    return TextOutputProcessor()


def _object_processor(
    outputs: list[Any], *, name: str | None, description: str | None, strict: bool | None
) -> BaseObjectOutputProcessor[Any]:
    if len(outputs) == 1:
        return ObjectOutputProcessor(outputs[0], name=name, description=description, strict=strict)
    return UnionOutputProcessor(outputs, name=name, strict=strict)


def _flatten(output_spec: Any) -> list[Any]:
    """List the outputs of sequences and unions, however deep, in order."""
    if isinstance(output_spec, Sequence):
        return [output for item in cast('Sequence[Any]', output_spec) for output in _flatten(item)]
    return _union_members(output_spec) or [output_spec]


def _union_members(type_: Any) -> list[Any]:
    """List the members of a union, seen through a type alias and `Annotated`; none if it is no union."""
    type_ = _bare(getattr(type_, '__value__', type_))
    if get_origin(type_) not in {Union, UnionType}:
        return []
    return [_bare(member) for member in get_args(type_)]


def _bare(type_: Any) -> Any:
    return type_.__origin__ if get_origin(type_) is Annotated else type_
