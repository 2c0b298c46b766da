"""Outputs offered to the model as tools."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Self, cast

from typing_extensions import override

from agentrun._run_context import AgentDepsT, RunContext
from agentrun.output import OutputTypeOrFunction, ToolOutput
from agentrun.tools import ToolDefinition
from agentrun.toolsets import AbstractToolset, ToolsetTool

from ._processors import ArgumentsProcessor, ObjectOutputProcessor, OutputValidator, free_name

__all__ = ('DEFAULT_OUTPUT_TOOL_NAME', 'OutputToolset')

DEFAULT_OUTPUT_TOOL_NAME = 'final_result'
_DEFAULT_DESCRIPTION = 'The final response which ends this conversation'
_NOT_IN_NAMES = r'[^a-zA-Z0-9-_]'


class OutputToolset(AbstractToolset[AgentDepsT]):
    """The tools that end a run: what such a tool returns is the output."""

    def __init__(
        self,
        tool_defs: Sequence[ToolDefinition],
        processors: Mapping[str, ArgumentsProcessor],
        max_retries: int = 1,
        output_validators: list[OutputValidator[AgentDepsT, Any]] | None = None,
    ) -> None:
        """Make a toolset.

        Args:
            tool_defs: What the model is told of the tools; all of kind `'output'`.
            processors: What makes an output of the arguments, by tool name.
            max_retries: How often the model may try again in a row.
            output_validators: Check the outputs, in order; shared with whoever adds to them.
        """
        self.processors = processors
        self.max_retries = max_retries
        self.output_validators: list[OutputValidator[AgentDepsT, Any]] = output_validators or []
        self._tool_defs = tool_defs

    @classmethod
    def build(
        cls,
        outputs: Sequence[OutputTypeOrFunction[Any] | ToolOutput[Any]],
        name: str | None = None,
        description: str | None = None,
        strict: bool | None = None,
    ) -> Self | None:
        """Make a tool of each output; None if there are none.

        Args:
            outputs: Types, output functions and markers.
            name: Name of the tools where a marker gives none; several get the names of the outputs appended.
            description: What the model is told where a marker says nothing.
            strict: What holds where a marker says nothing.

        Raises:
            UserError: If the signature of an output function cannot be used.
        """
        if not outputs:
            return None
        processors: dict[str, ObjectOutputProcessor[Any]] = {}
        tool_defs: list[ToolDefinition] = []
        for output in outputs:
            marker = cast('ToolOutput[Any]', output) if isinstance(output, ToolOutput) else ToolOutput(output)
            processor = ObjectOutputProcessor(
                marker.output,
                description=marker.description or description,
                strict=strict if marker.strict is None else marker.strict,
            )
            tool_def = _define(processor, marker.name, name or DEFAULT_OUTPUT_TOOL_NAME, several=len(outputs) > 1)
            tool_def.name = free_name(tool_def.name, processors)
            processors[tool_def.name] = processor
            tool_defs.append(tool_def)
        return cls(tool_defs, processors)

    @property
    @override
    def id(self) -> str | None:
        return '<output>'

    @property
    @override
    def label(self) -> str:
        return "the agent's output tools"

    @override
    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        return {
            tool_def.name: ToolsetTool(
                toolset=self,
                tool_def=tool_def,
                max_retries=self.max_retries,
                args_validator=self.processors[tool_def.name].validator,
            )
            for tool_def in self._tool_defs
        }

    @override
    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> Any:
        """Make the output of validated arguments and have it checked.

        Raises:
            ModelRetry: If the output function or a validator asks for a retry.
        """
        output = await self.processors[name].call(tool_args, ctx, wrap_validation_errors=False)
        for validator in self.output_validators:
            output = await validator.validate(output, ctx, wrap_validation_errors=False)
        return output


def _define(
    processor: ObjectOutputProcessor[Any], name: str | None, default_name: str, *, several: bool
) -> ToolDefinition:
    """Define the tool of an output; one of several says which in its name and its description."""
    object_def = processor.object_def
    if name is None:
        name = f'{default_name}_{re.sub(_NOT_IN_NAMES, "", object_def.name or "")}' if several else default_name
    fallback = f'{object_def.name}: {_DEFAULT_DESCRIPTION}' if several else _DEFAULT_DESCRIPTION
    return ToolDefinition(
        name=name,
        description=object_def.description or fallback,
        parameters_json_schema=object_def.json_schema,
        strict=object_def.strict,
        outer_typed_dict_key=processor.outer_typed_dict_key,
        kind='output',
    )
