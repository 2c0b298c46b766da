"""Built-in tools as data."""

import pytest
from pydantic import TypeAdapter, ValidationError

from agentrun.builtin_tools import (
    BUILTIN_TOOL_TYPES,
    DEPRECATED_BUILTIN_TOOLS,
    SUPPORTED_BUILTIN_TOOLS,
    AbstractBuiltinTool,
    CodeExecutionTool,
    FileSearchTool,
    ImageGenerationTool,
    MCPServerTool,
    MemoryTool,
    UrlContextTool,  # pyright: ignore[reportDeprecated]
    WebFetchTool,
    WebSearchTool,
)

EACH: list[tuple[AbstractBuiltinTool, str, str]] = [
    (WebSearchTool(max_uses=1, user_location={'city': 'Paris'}), 'web_search', 'Web Search'),
    (CodeExecutionTool(), 'code_execution', 'Code Execution'),
    (WebFetchTool(allowed_domains=['x.test']), 'web_fetch', 'Web Fetch'),
    (ImageGenerationTool(size='1K'), 'image_generation', 'Image Generation'),
    (MemoryTool(), 'memory', 'Memory'),
    (MCPServerTool(id='wiki', url='https://x.test'), 'mcp_server:wiki', 'MCP: wiki'),
    (FileSearchTool(file_store_ids=['a']), 'file_search', 'File Search'),
]


@pytest.mark.parametrize(('tool', 'unique_id', 'label'), EACH)
def test_a_tool_has_an_id_and_a_label(tool: AbstractBuiltinTool, unique_id: str, label: str):
    assert (tool.unique_id, tool.label) == (unique_id, label)


@pytest.mark.parametrize(('tool', 'unique_id', 'label'), EACH)
def test_a_tool_comes_back_from_json_by_its_kind(tool: AbstractBuiltinTool, unique_id: str, label: str):
    adapter = TypeAdapter(AbstractBuiltinTool)
    assert adapter.validate_json(adapter.dump_json(tool)) == tool


def test_a_tool_can_be_loaded_by_its_class():
    assert TypeAdapter(WebSearchTool).validate_python({'max_uses': 2}) == WebSearchTool(max_uses=2)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValidationError, match='does not match any of the expected tags'):
        TypeAdapter(AbstractBuiltinTool).validate_python({'kind': 'nonsense'})


def test_a_repr_shows_every_field():
    assert repr(MemoryTool()) == "MemoryTool(kind='memory')"


def test_the_older_form_loads_and_warns():
    with pytest.warns(DeprecationWarning, match='Use `WebFetchTool` instead'):
        tool = UrlContextTool()  # pyright: ignore[reportDeprecated]
    assert tool.unique_id == 'url_context'
    assert type(tool) in DEPRECATED_BUILTIN_TOOLS
    assert type(tool) not in SUPPORTED_BUILTIN_TOOLS


def test_a_tool_of_a_users_own_is_registered():
    class Own(AbstractBuiltinTool):
        kind = 'own'

    assert BUILTIN_TOOL_TYPES.pop('own') is Own
