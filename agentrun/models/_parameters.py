"""What a model is told about tools and output when it is asked."""

from __future__ import annotations

from dataclasses import field
from functools import cached_property

from agentrun._output import build_instructions
from agentrun._records import lean_dataclass
from agentrun.builtin_tools import AbstractBuiltinTool
from agentrun.output import OutputMode, OutputObjectDefinition
from agentrun.tools import ToolDefinition

__all__ = ('ModelRequestParameters',)


@lean_dataclass(kw_only=True)
class ModelRequestParameters:
    """What a request offers the model and what it may answer with, beside messages and settings.

    Fields and their order as in pydantic-ai 1.38.
    """

    function_tools: list[ToolDefinition] = field(default_factory=list[ToolDefinition])
    """Tools whose results go back to the model."""
    builtin_tools: list[AbstractBuiltinTool] = field(default_factory=list[AbstractBuiltinTool])
    """Tools that the provider runs."""

    output_mode: OutputMode = 'text'
    """How the output is asked for."""
    output_object: OutputObjectDefinition | None = None
    """Schema of an output given as text (modes `native` and `prompted`)."""
    output_tools: list[ToolDefinition] = field(default_factory=list[ToolDefinition])
    """Tools whose arguments are the output."""
    prompted_output_template: str | None = None
    """Instructions around the schema in mode `prompted`; `{schema}` stands for it."""
    allow_text_output: bool = True
    """Whether plain text may end the run."""
    allow_image_output: bool = False
    """Whether an image may end the run."""

    @cached_property
    def tool_defs(self) -> dict[str, ToolDefinition]:
        """Function tools and then output tools, by name."""
        return {tool.name: tool for tool in (*self.function_tools, *self.output_tools)}

    @cached_property
    def prompted_output_instructions(self) -> str | None:
        """The instructions that ask for the output object; None if nothing asks for one this way."""
        if self.prompted_output_template and self.output_object:
            return build_instructions(self.prompted_output_template, self.output_object)
        return None
