"""What comes of tool calls in pydantic_ai, to wire JSON and back."""

import inspect
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NoReturn, cast, get_type_hints

from pydantic import ValidationError
from pydantic_ai.exceptions import ApprovalRequired, CallDeferred, ModelRetry, UserError
from pydantic_ai.messages import (
    ModelRequest,
    MultiModalContent,
    ToolReturn,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_core import PydanticCustomError, to_json, to_jsonable_python

from replay.adapters.agentrun._errors import raised, rebuilt
from replay.adapters.agentrun._objects import canonical, restored, types_of
from replay.adapters.pydantic_ai._wire import message_json, prompt_json, restored_messages
from replay.canon import Json, JsonObject, own
from replay.cassette import ToolResult

__all__ = ('error_result', 'restored_value', 'return_annotation', 'return_result', 'stand_for')

_KEEPS_FILES = hasattr(ToolReturnPart, 'files')
"""Whether files that a tool returns stay in the part that answers the call; earlier they went into a user prompt."""
_STAMPED: Mapping[str, Json] = {'timestamp': '2000-01-01T00:00:00Z', 'tool_call_id': ''}


def return_result(tool_name: str, value: Any, annotation: Any) -> ToolResult:
    """Write down what a tool returned, as it is now.

    Args:
        tool_name: Name of the tool.
        value: What it returned.
        annotation: What it says that it returns; `Any` if that is unknown.

    Raises:
        pydantic_core.PydanticSerializationError: If JSON cannot hold it.
        UserError: If a tool must not return such a value.
    """
    content, user_content, metadata, tools = _divided(tool_name, value)
    content, metadata = canonical(content), canonical(metadata)
    part = _part(ToolReturnPart(tool_name, content, tool_call_id='', metadata=metadata))
    annotation = Any if isinstance(value, ToolReturn) else annotation
    types = types_of(content, part['content'], annotation, path='content')
    types |= types_of(metadata, part['metadata'], Any, path='metadata')
    if tools:
        types['tools'] = list(tools)
    return ToolResult(
        kind='return',
        content=part['content'],
        metadata=part['metadata'],
        user_content=prompt_json(user_content) if user_content else None,
        types=types,
    )


def error_result(error: Exception) -> ToolResult:
    """Write down what a tool raised: a retry, a deferral, or an error that the library decides about."""
    if isinstance(error, ModelRetry):
        return ToolResult(kind='retry', content=error.message)
    if isinstance(error, ValidationError):
        details = error.errors(include_url=False, include_context=False)
        return ToolResult(kind='retry', content=to_jsonable_python(details, bytes_mode='base64'))
    if isinstance(error, ApprovalRequired | CallDeferred) and getattr(error, 'kind', 'external') == 'external':
        metadata = canonical(getattr(error, 'metadata', None))
        written = own(to_json(metadata, bytes_mode='base64', inf_nan_mode='null'))
        kind = 'unapproved' if isinstance(error, ApprovalRequired) else 'external'
        return ToolResult(kind=kind, metadata=written, types=types_of(metadata, written, Any, path='metadata'))
    return ToolResult(kind='raised', raised=raised(error))


def restored_value(result: ToolResult, annotation: Any) -> Any:
    """Make again what a tool returned, for the library to make its parts of.

    Args:
        result: What was written down.
        annotation: As for `return_result`.

    Raises:
        NotFitting: If the content is none that the annotation takes.
    """
    types = dict(result.types)
    tools = types.pop('tools', None)
    value = restored(_with_files(result, types), types, annotation, path='content')
    metadata = restored(result.metadata, types, Any, path='metadata')
    if metadata is None and result.user_content is None and not tools:
        return value
    content = None if result.user_content is None else _prompt(result.user_content)
    more = {'tools': tools} if tools else {}
    return ToolReturn(return_value=value, content=content, metadata=metadata, **cast('Any', more))


def stand_for(result: ToolResult) -> NoReturn:
    """Raise again what a tool raised.

    Raises:
        Exception: Always.
    """
    if result.raised is not None:
        raise rebuilt(result.raised)
    if result.kind == 'retry':
        raise _retry(result.content)
    metadata = restored(result.metadata, result.types, Any, path='metadata')
    error = cast('Any', ApprovalRequired if result.kind == 'unapproved' else CallDeferred)
    raise error(metadata) if hasattr(error(), 'metadata') else error()


def return_annotation(tool: Any) -> Any:
    """The annotation of what the function behind a tool returns; `Any` if there is none, or no function."""
    while hasattr(tool, 'source_tool'):
        tool = tool.source_tool
    schema = getattr(getattr(tool, 'call_func', None), '__self__', None)
    function = getattr(schema, 'function', None)
    return Any if function is None else _returns(function)


@lru_cache(maxsize=256)
def _returns(function: Any) -> Any:
    function = function if inspect.isroutine(function) else type(function).__call__
    try:
        return get_type_hints(function, include_extras=True).get('return', Any)
    except (NameError, TypeError, AttributeError):  # names that are known to a type checker alone
        return Any


def _divided(tool_name: str, value: Any) -> tuple[Any, Any, Any, Sequence[str] | None]:
    """What a tool returned, as content of the answer, user content, metadata, and tools that it reveals."""
    if isinstance(value, ToolReturn):
        told = cast('Any', value)
        if not _KEEPS_FILES and any(map(_is_file, _items(told.return_value))):
            raise UserError(
                f'The `return_value` of tool {tool_name!r} contains invalid nested `MultiModalContent` objects. '
                f'Please use `content` instead.'
            )
        return told.return_value, told.content, told.metadata, getattr(told, 'tools', None)
    if isinstance(value, list) and any(isinstance(item, ToolReturn) for item in cast('list[Any]', value)):
        raise UserError(
            f'The return value of tool {tool_name!r} contains invalid nested `ToolReturn` objects. '
            f'`ToolReturn` should be used directly.'
        )
    files = [] if _KEEPS_FILES else [item for item in _items(value) if _is_file(item)]
    if not files:
        return cast('Any', value), None, None, None
    kept = [f'See file {item.identifier}' if _is_file(item) else item for item in _items(value)]
    prompt = [part for file in files for part in (f'This is file {file.identifier}:', file)]
    return cast('Any', kept if isinstance(value, list) else kept[0]), prompt, None, None


def _items(value: Any) -> list[Any]:
    return cast('list[Any]', value) if isinstance(value, list) else [value]


def _is_file(value: Any) -> bool:
    return isinstance(value, cast('Any', MultiModalContent))


def _with_files(result: ToolResult, types: JsonObject) -> Any:
    """The content of a result, files in it as objects, unless a type is named that makes it."""
    if not _KEEPS_FILES or types or not isinstance(result.content, dict | list):
        return result.content
    part = {**_STAMPED, 'part_kind': 'tool-return', 'tool_name': '', 'content': result.content, 'metadata': None}
    return cast('ToolReturnPart', _request(part).parts[0]).content


def _prompt(content: Json) -> Any:
    return cast(
        'UserPromptPart', _request({**_STAMPED, 'content': content, 'part_kind': 'user-prompt'}).parts[0]
    ).content


def _request(part: Mapping[str, Json]) -> ModelRequest:
    return cast('ModelRequest', restored_messages([{'kind': 'request', 'parts': [dict(part)]}])[0])


def _part(part: ToolReturnPart) -> JsonObject:
    return cast('list[JsonObject]', message_json(ModelRequest(parts=[part]))['parts'])[0]


def _retry(content: Json) -> Exception:
    """What makes the library tell a retry: a text, or errors of arguments."""
    if not isinstance(content, list):
        return ModelRetry(cast('str', content))
    errors = cast('list[dict[str, Any]]', content)
    lines: list[Any] = [
        {
            'type': PydanticCustomError(error['type'], '{text}', {'text': error['msg']}),
            'loc': tuple(error['loc']),
            'input': error['input'],
        }
        for error in errors
    ]
    return ValidationError.from_exception_data('arguments', lines)
