"""The run of an LLM agent as a walk over nodes, and everything a run needs.

Names are looked up when they are first asked for, so that `import agentrun` costs next to nothing.
"""

import gc
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentrun._ambient import deterministic
    from agentrun._callables import sync_inline
    from agentrun._core._nodes import CallToolsNode, ModelRequestNode, SetFinalResult, UserPromptNode
    from agentrun._core._state import EndStrategy, capture_run_messages
    from agentrun._run_context import RunContext
    from agentrun.agent import Agent
    from agentrun.builtin_tools import (
        CodeExecutionTool,
        FileSearchTool,
        ImageGenerationTool,
        MCPServerTool,
        MemoryTool,
        UrlContextTool,  # pyright: ignore[reportDeprecated], still offered, as in pydantic-ai 1.38
        WebFetchTool,
        WebSearchTool,
        WebSearchUserLocation,
    )
    from agentrun.exceptions import (
        AgentRunError,
        ApprovalRequired,
        CallDeferred,
        FallbackExceptionGroup,
        IncompleteToolCall,
        ModelAPIError,
        ModelHTTPError,
        ModelRetry,
        UnexpectedModelBehavior,
        UsageLimitExceeded,
        UserError,
    )
    from agentrun.graph import BaseNode, End, GraphRunContext
    from agentrun.messages import (
        AgentStreamEvent,
        AudioFormat,
        AudioMediaType,
        AudioUrl,
        BaseToolCallPart,
        BaseToolReturnPart,
        BinaryContent,
        BinaryImage,
        BuiltinToolCallPart,
        BuiltinToolReturnPart,
        CachePoint,
        DocumentFormat,
        DocumentMediaType,
        DocumentUrl,
        FilePart,
        FileUrl,
        FinalResultEvent,
        FinishReason,
        FunctionToolCallEvent,
        FunctionToolResultEvent,
        HandleResponseEvent,
        ImageFormat,
        ImageMediaType,
        ImageUrl,
        ModelMessage,
        ModelMessagesTypeAdapter,
        ModelRequest,
        ModelRequestPart,
        ModelResponse,
        ModelResponsePart,
        ModelResponsePartDelta,
        ModelResponseStreamEvent,
        MultiModalContent,
        PartDeltaEvent,
        PartEndEvent,
        PartStartEvent,
        RetryPromptPart,
        SystemPromptPart,
        TextPart,
        TextPartDelta,
        ThinkingPart,
        ThinkingPartDelta,
        ToolCallPart,
        ToolCallPartDelta,
        ToolReturn,
        ToolReturnPart,
        UserContent,
        UserPromptPart,
        VideoFormat,
        VideoMediaType,
        VideoUrl,
    )
    from agentrun.output import NativeOutput, PromptedOutput, StructuredDict, TextOutput, ToolOutput
    from agentrun.profiles import DEFAULT_PROFILE, ModelProfile, ModelProfileSpec
    from agentrun.result import FinalResult
    from agentrun.run import AgentRun, AgentRunResult, AgentRunResultEvent
    from agentrun.settings import ModelSettings
    from agentrun.tools import DeferredToolRequests, DeferredToolResults, Tool, ToolApproved, ToolDefinition, ToolDenied
    from agentrun.toolsets import (
        AbstractToolset,
        ApprovalRequiredToolset,
        CombinedToolset,
        ExternalToolset,
        FilteredToolset,
        FunctionToolset,
        PrefixedToolset,
        PreparedToolset,
        RenamedToolset,
        ToolsetFunc,
        ToolsetTool,
        WrapperToolset,
    )
    from agentrun.usage import RequestUsage, RunUsage, UsageLimits

__all__ = (
    'DEFAULT_PROFILE',
    'AbstractToolset',
    'Agent',
    'AgentRun',
    'AgentRunError',
    'AgentRunResult',
    'AgentRunResultEvent',
    'AgentStreamEvent',
    'ApprovalRequired',
    'ApprovalRequiredToolset',
    'AudioFormat',
    'AudioMediaType',
    'AudioUrl',
    'BaseNode',
    'BaseToolCallPart',
    'BaseToolReturnPart',
    'BinaryContent',
    'BinaryImage',
    'BuiltinToolCallPart',
    'BuiltinToolReturnPart',
    'CachePoint',
    'CallDeferred',
    'CallToolsNode',
    'CodeExecutionTool',
    'CombinedToolset',
    'DeferredToolRequests',
    'DeferredToolResults',
    'DocumentFormat',
    'DocumentMediaType',
    'DocumentUrl',
    'End',
    'EndStrategy',
    'ExternalToolset',
    'FallbackExceptionGroup',
    'FilePart',
    'FileSearchTool',
    'FileUrl',
    'FilteredToolset',
    'FinalResult',
    'FinalResultEvent',
    'FinishReason',
    'FunctionToolCallEvent',
    'FunctionToolResultEvent',
    'FunctionToolset',
    'GraphRunContext',
    'HandleResponseEvent',
    'ImageFormat',
    'ImageGenerationTool',
    'ImageMediaType',
    'ImageUrl',
    'IncompleteToolCall',
    'MCPServerTool',
    'MemoryTool',
    'ModelAPIError',
    'ModelHTTPError',
    'ModelMessage',
    'ModelMessagesTypeAdapter',
    'ModelProfile',
    'ModelProfileSpec',
    'ModelRequest',
    'ModelRequestNode',
    'ModelRequestPart',
    'ModelResponse',
    'ModelResponsePart',
    'ModelResponsePartDelta',
    'ModelResponseStreamEvent',
    'ModelRetry',
    'ModelSettings',
    'MultiModalContent',
    'NativeOutput',
    'PartDeltaEvent',
    'PartEndEvent',
    'PartStartEvent',
    'PrefixedToolset',
    'PreparedToolset',
    'PromptedOutput',
    'RenamedToolset',
    'RequestUsage',
    'RetryPromptPart',
    'RunContext',
    'RunUsage',
    'SetFinalResult',
    'StructuredDict',
    'SystemPromptPart',
    'TextOutput',
    'TextPart',
    'TextPartDelta',
    'ThinkingPart',
    'ThinkingPartDelta',
    'Tool',
    'ToolApproved',
    'ToolCallPart',
    'ToolCallPartDelta',
    'ToolDefinition',
    'ToolDenied',
    'ToolOutput',
    'ToolReturn',
    'ToolReturnPart',
    'ToolsetFunc',
    'ToolsetTool',
    'UnexpectedModelBehavior',
    'UrlContextTool',
    'UsageLimitExceeded',
    'UsageLimits',
    'UserContent',
    'UserError',
    'UserPromptNode',
    'UserPromptPart',
    'VideoFormat',
    'VideoMediaType',
    'VideoUrl',
    'WebFetchTool',
    'WebSearchTool',
    'WebSearchUserLocation',
    'WrapperToolset',
    'capture_run_messages',
    'deterministic',
    'sync_inline',
)

_HOMES = {
    'agentrun._ambient': 'deterministic',
    'agentrun._callables': 'sync_inline',
    'agentrun._core._nodes': 'CallToolsNode ModelRequestNode SetFinalResult UserPromptNode',
    'agentrun._core._state': 'EndStrategy capture_run_messages',
    'agentrun._run_context': 'RunContext',
    'agentrun.agent': 'Agent',
    'agentrun.builtin_tools': """
        CodeExecutionTool FileSearchTool ImageGenerationTool MCPServerTool MemoryTool UrlContextTool
        WebFetchTool WebSearchTool WebSearchUserLocation
    """,
    'agentrun.exceptions': """
        AgentRunError ApprovalRequired CallDeferred FallbackExceptionGroup IncompleteToolCall ModelAPIError
        ModelHTTPError ModelRetry UnexpectedModelBehavior UsageLimitExceeded UserError
    """,
    'agentrun.graph': 'BaseNode End GraphRunContext',
    'agentrun.messages': """
        AgentStreamEvent AudioFormat AudioMediaType AudioUrl BaseToolCallPart BaseToolReturnPart
        BinaryContent BinaryImage BuiltinToolCallPart BuiltinToolReturnPart CachePoint DocumentFormat
        DocumentMediaType DocumentUrl FilePart FileUrl FinalResultEvent FinishReason FunctionToolCallEvent
        FunctionToolResultEvent HandleResponseEvent ImageFormat ImageMediaType ImageUrl ModelMessage
        ModelMessagesTypeAdapter ModelRequest ModelRequestPart ModelResponse ModelResponsePart
        ModelResponsePartDelta ModelResponseStreamEvent MultiModalContent PartDeltaEvent PartEndEvent
        PartStartEvent RetryPromptPart SystemPromptPart TextPart TextPartDelta ThinkingPart
        ThinkingPartDelta ToolCallPart ToolCallPartDelta ToolReturn ToolReturnPart UserContent
        UserPromptPart VideoFormat VideoMediaType VideoUrl
    """,
    'agentrun.output': 'NativeOutput PromptedOutput StructuredDict TextOutput ToolOutput',
    'agentrun.profiles': 'DEFAULT_PROFILE ModelProfile ModelProfileSpec',
    'agentrun.result': 'FinalResult',
    'agentrun.run': 'AgentRun AgentRunResult AgentRunResultEvent',
    'agentrun.settings': 'ModelSettings',
    'agentrun.tools': 'DeferredToolRequests DeferredToolResults Tool ToolApproved ToolDefinition ToolDenied',
    'agentrun.toolsets': """
        AbstractToolset ApprovalRequiredToolset CombinedToolset ExternalToolset FilteredToolset
        FunctionToolset PrefixedToolset PreparedToolset RenamedToolset ToolsetFunc ToolsetTool
        WrapperToolset
    """,
    'agentrun.usage': 'RequestUsage RunUsage UsageLimits',
}
"""Modules and the names that are taken from them."""

_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names.split()}


def _load(module: str) -> ModuleType:
    """Import a module with garbage collection paused: an import makes much that stays and hardly anything that goes.

    Going through all of it again and again would be a tenth of the import's time.
    """
    paused = gc.isenabled()
    gc.disable()
    try:
        return import_module(module)
    finally:
        if paused:
            gc.enable()


if not TYPE_CHECKING:  # which would take every misspelt name for one that there is

    def __getattr__(name: str) -> object:
        module = _MODULE_OF.get(name)
        if module is None:
            raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
        value = getattr(_load(module), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
