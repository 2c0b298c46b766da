"""Scripted models that call tools."""

from collections.abc import Sequence
from typing import Any

from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import FunctionModel


def calling(*turns: Sequence[Any] | str) -> FunctionModel:
    """A model that answers with these parts or this text, one turn after the other."""
    left = list(turns)

    def answer(_messages: Any, _info: Any) -> ModelResponse:
        turn = left.pop(0)
        return ModelResponse(parts=[TextPart(turn)] if isinstance(turn, str) else list(turn))

    return FunctionModel(answer)


def calling_at(*turns: Sequence[Any] | str) -> FunctionModel:
    """The same, where the turn is told by how many messages there are, whoever gave the answers before."""

    def answer(messages: list[Any], _info: Any) -> ModelResponse:
        turn = turns[len(messages) // 2]
        return ModelResponse(parts=[TextPart(turn)] if isinstance(turn, str) else list(turn))

    return FunctionModel(answer)


def call(name: str, id: str = 'c0', **args: Any) -> ToolCallPart:
    """A call of a tool."""
    return ToolCallPart(name, args, tool_call_id=id)


def calls(*names: str) -> list[ToolCallPart]:
    """Calls of tools without arguments."""
    return [call(name, f'c{at}') for at, name in enumerate(names)]
