"""Tools that a model's provider runs itself, as data that a request carries."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Union

import pydantic
from pydantic_core import CoreSchema
from typing_extensions import TypedDict, deprecated

from agentrun._records import full_repr, lean_dataclass

__all__ = [
    'BUILTIN_TOOLS_REQUIRING_CONFIG',
    'BUILTIN_TOOL_TYPES',
    'DEPRECATED_BUILTIN_TOOLS',
    'SUPPORTED_BUILTIN_TOOLS',
    'AbstractBuiltinTool',
    'CodeExecutionTool',
    'FileSearchTool',
    'ImageAspectRatio',
    'ImageGenerationTool',
    'MCPServerTool',
    'MemoryTool',
    'UrlContextTool',
    'WebFetchTool',
    'WebSearchTool',
    'WebSearchUserLocation',
]

BUILTIN_TOOL_TYPES: dict[str, type[AbstractBuiltinTool]] = {}
"""Every built-in tool by its kind; a subclass enters itself when it is defined."""

ImageAspectRatio = Literal['21:9', '16:9', '4:3', '3:2', '1:1', '9:16', '3:4', '2:3', '5:4', '4:5']
"""Width to height of a generated image."""


@lean_dataclass(kw_only=True, show=full_repr)
class AbstractBuiltinTool(ABC):  # noqa: B024, no method is left open, as in pydantic-ai 1.38
    """What all built-in tools have in common. Fields and kinds are those of pydantic-ai 1.38."""

    kind: str = 'unknown_builtin_tool'
    """Tells this kind of tool from others."""

    @property
    def unique_id(self) -> str:
        """Tells one tool of a request from another; the kind, unless a request may have several of it."""
        return self.kind

    @property
    def label(self) -> str:
        """A name to show to people."""
        return self.kind.replace('_', ' ').title()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        BUILTIN_TOOL_TYPES[cls.kind] = cls

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, handler: pydantic.GetCoreSchemaHandler) -> CoreSchema:
        if cls is not AbstractBuiltinTool:
            return handler(cls)
        tagged = tuple(Annotated[tool, pydantic.Tag(tool.kind)] for tool in BUILTIN_TOOL_TYPES.values())
        return handler(Annotated[Union[tagged], pydantic.Discriminator(_kind)])  # noqa: UP007, the members are not known here


def _kind(tool: dict[str, Any] | AbstractBuiltinTool) -> str:
    return tool.get('kind', AbstractBuiltinTool.kind) if isinstance(tool, dict) else tool.kind


class WebSearchUserLocation(TypedDict, total=False):
    """Where the user is, for results that depend on it."""

    city: str
    """Name of the city."""
    country: str
    """The country; OpenAI takes its two-letter code."""
    region: str
    """Name of the region or state."""
    timezone: str
    """Name of the time zone."""


@lean_dataclass(kw_only=True, show=full_repr)
class WebSearchTool(AbstractBuiltinTool):
    """Lets the model search the web."""

    search_context_size: Literal['low', 'medium', 'high'] = 'medium'
    """How much of the results the model gets to read."""
    user_location: WebSearchUserLocation | None = None
    """Where the user is."""
    blocked_domains: list[str] | None = None
    """Domains that no result comes from."""
    allowed_domains: list[str] | None = None
    """The only domains that results come from."""
    max_uses: int | None = None
    """Most searches of one request."""
    kind: str = 'web_search'
    """Tells this kind of tool from others."""


@lean_dataclass(kw_only=True, show=full_repr)
class CodeExecutionTool(AbstractBuiltinTool):
    """Lets the model run code."""

    kind: str = 'code_execution'
    """Tells this kind of tool from others."""


@lean_dataclass(kw_only=True, show=full_repr)
class WebFetchTool(AbstractBuiltinTool):
    """Lets the model read pages by their URL."""

    max_uses: int | None = None
    """Most pages of one request."""
    allowed_domains: list[str] | None = None
    """The only domains that are read from."""
    blocked_domains: list[str] | None = None
    """Domains that are never read from."""
    enable_citations: bool = False
    """Whether the model cites what it read."""
    max_content_tokens: int | None = None
    """Most tokens of a page that the model gets to read."""
    kind: str = 'web_fetch'
    """Tells this kind of tool from others."""


@deprecated('Use `WebFetchTool` instead.')
@lean_dataclass(kw_only=True, show=full_repr)
class UrlContextTool(WebFetchTool):
    """The older form of `WebFetchTool`; its kind still loads."""

    kind: str = 'url_context'
    """Tells this kind of tool from others."""


@lean_dataclass(kw_only=True, show=full_repr)
class ImageGenerationTool(AbstractBuiltinTool):
    """Lets the model make images."""

    background: Literal['transparent', 'opaque', 'auto'] = 'auto'
    """The background; transparent ones need the format png or webp."""
    input_fidelity: Literal['high', 'low'] | None = None
    """How closely the features of given images are followed."""
    moderation: Literal['auto', 'low'] = 'auto'
    """How strictly content is moderated."""
    output_compression: int | None = None
    """Compression, from 0 to 100; for jpeg and webp."""
    output_format: Literal['png', 'webp', 'jpeg'] | None = None
    """The format; the provider's default if not given."""
    partial_images: int = 0
    """How many unfinished images a stream shows, from 0 to 3."""
    quality: Literal['low', 'medium', 'high', 'auto'] = 'auto'
    """The quality."""
    size: Literal['auto', '1024x1024', '1024x1536', '1536x1024', '1K', '2K', '4K'] | None = None
    """The size, in pixels (OpenAI) or as a class (Google); the provider's default if not given."""
    aspect_ratio: ImageAspectRatio | None = None
    """Width to height."""
    kind: str = 'image_generation'
    """Tells this kind of tool from others."""


@lean_dataclass(kw_only=True, show=full_repr)
class MemoryTool(AbstractBuiltinTool):
    """Lets the model keep notes."""

    kind: str = 'memory'
    """Tells this kind of tool from others."""


@lean_dataclass(kw_only=True, show=full_repr)
class MCPServerTool(AbstractBuiltinTool):
    """Lets the model use the tools of an MCP server that the provider connects to."""

    id: str
    """Tells this server from others of the request."""
    url: str
    """Where the server is; `x-openai-connector:<id>` names a connector of OpenAI."""
    authorization_token: str | None = None
    """Sent to the server as authorization."""
    description: str | None = None
    """What the server is for."""
    allowed_tools: list[str] | None = None
    """The only tools of the server that the model may call."""
    headers: dict[str, str] | None = None
    """HTTP headers sent to the server."""
    kind: str = 'mcp_server'
    """Tells this kind of tool from others."""

    @property
    def unique_id(self) -> str:
        """The kind and the server's id."""
        return f'{self.kind}:{self.id}'

    @property
    def label(self) -> str:
        """A name to show to people."""
        return f'MCP: {self.id}'


@lean_dataclass(kw_only=True, show=full_repr)
class FileSearchTool(AbstractBuiltinTool):
    """Lets the model search in files that were uploaded to the provider."""

    file_store_ids: Sequence[str]
    """The stores to search in, by the provider's ids."""
    kind: str = 'file_search'
    """Tells this kind of tool from others."""


DEPRECATED_BUILTIN_TOOLS: frozenset[type[AbstractBuiltinTool]] = frozenset(
    {
        UrlContextTool,  # pyright: ignore[reportDeprecated]
    }
)
"""Tools that load but should not be offered any more."""

SUPPORTED_BUILTIN_TOOLS: frozenset[type[AbstractBuiltinTool]] = (
    frozenset(BUILTIN_TOOL_TYPES.values()) - DEPRECATED_BUILTIN_TOOLS
)
"""All tools but the deprecated ones."""

BUILTIN_TOOLS_REQUIRING_CONFIG: frozenset[type[AbstractBuiltinTool]] = frozenset({MCPServerTool, MemoryTool})
"""Tools that need more than their defaults to work."""
