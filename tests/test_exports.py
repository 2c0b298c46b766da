"""The public names: there, resolving, and none by accident."""

from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

CORE = {
    'agentrun': """
        Agent AgentRun AgentRunResult AgentStreamEvent BinaryContent BinaryImage BuiltinToolCallPart
        BuiltinToolReturnPart CallToolsNode End FilePart FinalResultEvent FunctionToolCallEvent FunctionToolResultEvent
        ImageUrl IncompleteToolCall ModelMessage ModelMessagesTypeAdapter ModelRequest ModelRequestNode
        ModelRequestPart ModelResponse ModelResponsePart ModelRetry PartDeltaEvent PartEndEvent PartStartEvent
        RequestUsage RetryPromptPart RunContext SystemPromptPart TextPart TextPartDelta ThinkingPart ThinkingPartDelta
        Tool ToolCallPart ToolReturnPart UnexpectedModelBehavior UsageLimitExceeded UserError UserPromptNode
        UserPromptPart capture_run_messages deterministic
        """,
    'agentrun.agent': 'Agent AgentRun AgentRunResult WrapperAgent',
    'agentrun.direct': """
        StreamedResponseSync model_request model_request_stream model_request_stream_sync model_request_sync
        """,
    'agentrun.exceptions': """
        AgentRunError ApprovalRequired CallDeferred IncompleteToolCall ModelAPIError ModelHTTPError ModelRetry
        ToolRetryError UnexpectedModelBehavior UsageLimitExceeded UserError
        """,
    'agentrun.graph': 'BaseNode End GraphRunContext',
    'agentrun.messages': 'ModelMessage ModelMessagesTypeAdapter ModelResponse RetryPromptPart TextPart',
    'agentrun.models.fallback': 'FallbackModel',
    'agentrun.models.function': 'AgentInfo FunctionModel',
    'agentrun.models.test': 'TestModel',
    'agentrun.models.wrapper': 'WrapperModel',
    'agentrun.output': 'TextOutput ToolOutput',
    'agentrun.result': 'FinalResult RunUsage',
    'agentrun.run': 'AgentRun AgentRunResult',
    'agentrun.settings': 'ModelSettings',
    'agentrun.tools': 'RunContext ToolDefinition',
    'agentrun.usage': 'RequestUsage RunUsage UsageLimits',
    'replay': 'use_cassette',
}
"""What users of pydantic-ai 1.38 import from these places, and what is ours beside it."""


def public_modules() -> list[str]:
    """Every importable module whose path has no private part, entry points of programs left out."""
    paths = [
        path.relative_to(ROOT).with_suffix('')
        for name in ('agentrun', 'replay')
        for path in (ROOT / name).rglob('*.py')
    ]
    names = ['.'.join(path.parts).removesuffix('.__init__') for path in paths]
    return sorted(name for name in names if '._' not in name and not name.startswith('replay.cli'))


def public_names() -> dict[str, list[str]]:
    """What `agentrun`'s public modules, `replay` and its errors offer, sorted."""
    modules = [name for name in public_modules() if name.startswith('agentrun')] + ['replay', 'replay.errors']
    return {module: sorted(getattr(import_module(module), '__all__', ())) for module in modules}


def test_no_public_name_comes_or_goes_unnoticed():
    lines = (Path(__file__).parent / 'public_names.txt').read_text(encoding='utf-8').splitlines()
    agreed = {module: names.split() for module, _, names in (line.partition(': ') for line in lines)}
    assert public_names() == agreed, 'if that is meant, change tests/public_names.txt'


@pytest.mark.parametrize('module', public_modules())
def test_every_name_in_all_resolves(module: str):
    loaded = import_module(module)
    names = list(getattr(loaded, '__all__', ()))
    assert len(set(names)) == len(names)
    assert [name for name in names if not hasattr(loaded, name)] == []


def test_names_that_are_loaded_late_are_listed_like_the_others():
    assert set(import_module('agentrun').__all__) <= set(dir(import_module('agentrun')))


@pytest.mark.parametrize(
    ('module', 'name'), [(module, name) for module, names in CORE.items() for name in names.split()]
)
def test_a_name_that_users_rely_on_is_there(module: str, name: str):
    assert hasattr(import_module(module), name)
