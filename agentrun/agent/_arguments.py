"""Arguments of agents and runs: not given at all, under an old name, in several shapes, or in place of others."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, TypeAlias

from agentrun._core._prompts import InstructionTexts, SystemPromptRunner
from agentrun._records import fact
from agentrun._run_context import AgentDepsT
from agentrun.models._base import Model
from agentrun.output import OutputSpec
from agentrun.tools import SystemPromptFunc
from agentrun.toolsets import AbstractToolset

__all__ = ('UNSET', 'Instructions', 'Overrides', 'Unset', 'as_list', 'renamed_output_type', 'texts_of')

Instructions: TypeAlias = str | SystemPromptFunc[AgentDepsT] | Sequence[str | SystemPromptFunc[AgentDepsT]] | None
"""Instructions: a text, a function, several of these, or none."""


class Unset:
    """Type of `UNSET`, which stands for an argument that was not given where None is a value."""


UNSET = Unset()


@fact()
class Overrides:
    """What `override` blocks say at some point of a context; `UNSET`: nothing."""

    name: str | Unset = UNSET
    deps: Any = UNSET
    model: Model | Unset = UNSET
    toolsets: Sequence[AbstractToolset[Any]] | Unset = UNSET
    tools: Sequence[Any] | Unset = UNSET
    instructions: Sequence[Any] | Unset = UNSET


def renamed_output_type(output_type: OutputSpec[Any] | None, result_type: OutputSpec[Any] | None) -> Any:
    """Return the output type, wherever it was given; warn whoever called the caller if by its old name."""
    if result_type is None:
        return output_type
    warnings.warn('`result_type` is deprecated, use `output_type` instead', DeprecationWarning, stacklevel=3)
    return result_type


def as_list(instructions: Instructions[AgentDepsT]) -> list[str | SystemPromptFunc[AgentDepsT]]:
    """Return instructions one by one, however they were given."""
    if instructions is None:
        return []
    if isinstance(instructions, str) or callable(instructions):
        return [instructions]
    return list(instructions)


def texts_of(instructions: Sequence[str | SystemPromptFunc[AgentDepsT]]) -> InstructionTexts[AgentDepsT]:
    """Return instructions as a run uses them: the literal ones joined by lines, then the functions in order."""
    literals = [text for text in instructions if isinstance(text, str)]
    return InstructionTexts(
        '\n'.join(literals).strip() or None,
        [SystemPromptRunner[AgentDepsT](function) for function in instructions if not isinstance(function, str)],
    )
