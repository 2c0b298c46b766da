"""Tells the kinds of nodes apart for type checkers, too."""

from __future__ import annotations

from typing import TypeVar

from typing_extensions import TypeIs

from agentrun._core._nodes import AgentNode, CallToolsNode, ModelRequestNode, UserPromptNode
from agentrun.graph import End
from agentrun.result import FinalResult

__all__ = ('NodeKinds',)

T = TypeVar('T')
S = TypeVar('S')


class NodeKinds:
    """What every agent says of a node, be it of its own runs or of others."""

    @staticmethod
    def is_user_prompt_node(node: AgentNode[T, S] | End[FinalResult[S]]) -> TypeIs[UserPromptNode[T, S]]:
        """Tell whether a node is a `UserPromptNode`, and keep its type parameters."""
        return isinstance(node, UserPromptNode)

    @staticmethod
    def is_model_request_node(node: AgentNode[T, S] | End[FinalResult[S]]) -> TypeIs[ModelRequestNode[T, S]]:
        """Tell whether a node is a `ModelRequestNode`, and keep its type parameters."""
        return isinstance(node, ModelRequestNode)

    @staticmethod
    def is_call_tools_node(node: AgentNode[T, S] | End[FinalResult[S]]) -> TypeIs[CallToolsNode[T, S]]:
        """Tell whether a node is a `CallToolsNode`, and keep its type parameters."""
        return isinstance(node, CallToolsNode)

    @staticmethod
    def is_end_node(node: AgentNode[T, S] | End[FinalResult[S]]) -> TypeIs[End[FinalResult[S]]]:
        """Tell whether a node is the `End`, and keep its type parameters."""
        return isinstance(node, End)
