"""Descriptions of a function and its parameters, read from its docstring.

The sections of a docstring are read by griffe, as in pydantic-ai 1.38, so that a tool has the same description in both.
griffe takes longer to import than the rest of this package, so it is imported for the first docstring that may have
sections; one without any is its own description. Where griffe is not installed (the extra `docstrings` brings it), a
docstring with sections is taken whole as the description of the function, and parameters have none.
"""

import inspect
import re
from collections.abc import Callable
from dataclasses import field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from ._records import full_repr, lean_dataclass

if TYPE_CHECKING:
    from griffe import DocstringReturn, DocstringSection
    from griffe import Object as GriffeObject

__all__ = ('Descriptions', 'DocstringFormat', 'read_docstring')

DocstringFormat: TypeAlias = Literal['google', 'numpy', 'sphinx', 'auto']
"""How docstrings are written: Google's style, numpy's, Sphinx's, or `'auto'` to tell from the text."""

_Style: TypeAlias = Literal['google', 'numpy', 'sphinx']


@lean_dataclass(show=full_repr)
class Descriptions:
    """What a docstring says."""

    function: str | None = None
    """Description of the function; None without a docstring, empty if the docstring has no text of its own."""
    parameters: dict[str, str] = field(default_factory=dict[str, str])
    """Descriptions by parameter name, in the order of the docstring."""
    parsed: bool = True
    """False if the docstring may have sections and griffe was not there to read them."""


def read_docstring(
    function: Callable[..., Any], signature: inspect.Signature, *, docstring_format: DocstringFormat
) -> Descriptions:
    """Read a function's docstring.

    A section on what is returned becomes part of the description, marked up as `<summary>` and `<returns>`.

    Args:
        function: The function whose docstring is read.
        signature: Its signature: where griffe looks up the types of documented parameters.
        docstring_format: The style the docstring is written in.
    """
    doc = function.__doc__
    if doc is None:
        return Descriptions()
    if docstring_format in {'auto', 'google'} and ':' not in doc and '---' not in doc:
        return Descriptions(inspect.cleandoc(doc.rstrip()).rstrip('\n'))
    style = _infer_style(doc) if docstring_format == 'auto' else docstring_format
    try:
        sections = _parse(doc, style, signature)
    except ModuleNotFoundError:
        return Descriptions(inspect.cleandoc(doc), parsed=False)
    return _describe(sections)


def _parse(doc: str, style: _Style, signature: inspect.Signature) -> 'list[DocstringSection]':
    """Parse a docstring with griffe.

    Raises:
        ModuleNotFoundError: If griffe is not installed.
    """
    from griffe import Docstring

    options: dict[str, Any] = {'warnings': False}
    if style == 'google':
        options |= {'returns_named_value': False, 'returns_multiple_items': False}
    # griffe asks the parent for `.parameters` only, which a signature has too.
    parent = cast('GriffeObject', signature)
    return Docstring(doc, lineno=1, parent=parent).parse(style, **options)


def _describe(sections: 'list[DocstringSection]') -> Descriptions:
    by_kind: dict[str, Any] = {}
    for section in sections:
        by_kind.setdefault(section.kind.value, section.value)
    text: str = by_kind.get('text', '')
    if returns := by_kind.get('returns'):
        text = _with_returns(text, returns[0])
    return Descriptions(text, {item.name: item.description for item in by_kind.get('parameters', ())})


def _with_returns(text: str, returned: 'DocstringReturn') -> str:
    type_tag = f'<type>{returned.annotation}</type>\n' if returned.annotation else ''
    returns = f'<returns>\n{type_tag}<description>{returned.description}</description>\n</returns>'
    return f'<summary>{text}</summary>\n{returns}' if text else returns


def _infer_style(doc: str) -> _Style:
    """Tell the style of a docstring by the first kind of heading that it has; Google's if it has none."""
    for style, (pattern, words) in _HEADINGS.items():
        found = (re.search(pattern.format(word), doc, re.IGNORECASE | re.MULTILINE) for word in words)
        if any(found):
            return style
    return 'google'


# By style: what a heading looks like, and which headings there are. Tried in this order, as in pydantic-ai 1.38.
_HEADINGS: dict[_Style, tuple[str, tuple[str, ...]]] = {
    'sphinx': (
        r'\n[ \t]*:{0}([ \t]+\w+)*:([ \t]+.+)?\n',
        (
            *('param', 'parameter', 'arg', 'argument', 'key', 'keyword', 'type', 'var', 'ivar', 'cvar', 'vartype'),
            *('returns', 'return', 'rtype', 'raises', 'raise', 'except', 'exception'),
        ),
    ),
    'google': (
        r'\n[ \t]*{0}:([ \t]+.+)?\n[ \t]+.+',
        (
            *('args', 'arguments', 'params', 'parameters', 'keyword args', 'keyword arguments', 'other args'),
            *('other arguments', 'other params', 'other parameters', 'raises', 'exceptions', 'returns', 'yields'),
            *('receives', 'examples', 'attributes', 'functions', 'methods', 'classes', 'modules', 'warns', 'warnings'),
        ),
    ),
    'numpy': (
        r'\n[ \t]*{0}\n[ \t]*---+\n',
        (
            *('deprecated', 'parameters', 'other parameters', 'returns', 'yields', 'receives', 'raises', 'warns'),
            *('attributes', 'functions', 'methods', 'classes', 'modules'),
        ),
    ),
}
