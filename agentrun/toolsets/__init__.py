"""Toolsets: collections of tools that agents share, combine and change."""

from ._abstract import (
    AbstractToolset,
    ApprovalRequiredToolset,
    FilteredToolset,
    PrefixedToolset,
    PreparedToolset,
    RenamedToolset,
    ToolsetTool,
    WrapperToolset,
)
from ._combinators import CombinedToolset, DeferredToolset, ExternalToolset  # pyright: ignore[reportDeprecated]
from ._dynamic import ToolsetFunc
from ._function import FunctionToolset

__all__ = (
    'AbstractToolset',
    'ApprovalRequiredToolset',
    'CombinedToolset',
    'DeferredToolset',
    'ExternalToolset',
    'FilteredToolset',
    'FunctionToolset',
    'PrefixedToolset',
    'PreparedToolset',
    'RenamedToolset',
    'ToolsetFunc',
    'ToolsetTool',
    'WrapperToolset',
)
