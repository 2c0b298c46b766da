"""What a model can do and how it wants to be asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field, fields, replace
from typing import Any, Literal, Protocol, Self

from agentrun._records import full_repr, lean_dataclass
from agentrun.builtin_tools import SUPPORTED_BUILTIN_TOOLS, AbstractBuiltinTool

__all__ = ['DEFAULT_PROFILE', 'ModelProfile', 'ModelProfileSpec', 'SchemaTransformer', 'StructuredOutputMode']

StructuredOutputMode = Literal['tool', 'native', 'prompted']
"""How a model is made to answer with data: by calling a tool, by the provider's own means, or by being asked to."""

_PROMPTED_OUTPUT = """
Always respond with a JSON object that's compatible with this schema:

{schema}

Don't include any text or Markdown fencing before or after.
"""


class SchemaTransformer(Protocol):
    """Makes a JSON schema into one that a provider takes.

    Args:
        schema: The schema; it stays as it is.
        strict: Whether the result must be in the provider's strict form; None leaves it to the schema.
    """

    is_strict_compatible: bool
    """After `walk`: whether the result is in the provider's strict form."""

    def __init__(self, schema: dict[str, Any], *, strict: bool | None = None) -> None: ...

    def walk(self) -> dict[str, Any]:
        """Return the transformed schema."""
        ...


@lean_dataclass(kw_only=True, show=full_repr)
class ModelProfile:
    """What a family of models can do, independent of the class that speaks to it. Fields as in pydantic-ai 1.38."""

    supports_tools: bool = True
    """Whether the model calls tools."""
    supports_json_schema_output: bool = False
    """Whether the provider holds answers to a JSON schema; what `NativeOutput` needs."""
    supports_json_object_output: bool = False
    """Whether the provider holds answers to JSON, without a schema; `PromptedOutput` makes use of it."""
    supports_image_output: bool = False
    """Whether the model answers with images."""
    default_structured_output_mode: StructuredOutputMode = 'tool'
    """How data is asked for where the output type leaves it open."""
    prompted_output_template: str = _PROMPTED_OUTPUT
    """Instructions for prompted output; `{schema}` stands for the JSON schema."""
    native_output_requires_schema_in_instructions: bool = False
    """Whether native output needs those instructions too."""
    json_schema_transformer: type[SchemaTransformer] | None = None
    """Makes schemas of tools and outputs into ones that the provider takes."""
    thinking_tags: tuple[str, str] = ('<think>', '</think>')
    """What stands before and after thoughts that come as text."""
    ignore_streamed_leading_whitespace: bool = False
    """Whether blank text at the start of a stream is dropped, so that it does not pass for a result."""
    supported_builtin_tools: frozenset[type[AbstractBuiltinTool]] = field(
        default_factory=lambda: SUPPORTED_BUILTIN_TOOLS
    )
    """The built-in tools that the provider runs."""

    @classmethod
    def from_profile(cls, profile: ModelProfile | None) -> Self:
        """Return the profile itself if it is one of this class, else one of this class with what it sets."""
        return profile if isinstance(profile, cls) else cls().update(profile)

    def update(self, profile: ModelProfile | None) -> Self:
        """Return a copy with those fields of another profile that differ from their plain default.

        Args:
            profile: The profile that wins; fields that this class does not have are left out.
        """
        if not profile:
            return self
        own = {f.name for f in fields(self)}
        given = {f.name: getattr(profile, f.name) for f in fields(profile) if f.name in own}
        defaults = {f.name: f.default for f in fields(profile)}
        return replace(self, **{name: value for name, value in given.items() if value != defaults[name]})


ModelProfileSpec = ModelProfile | Callable[[str], ModelProfile | None]
"""A profile, or a function from a model's name to one."""

DEFAULT_PROFILE = ModelProfile()
"""What holds of a model of which nothing is known."""
