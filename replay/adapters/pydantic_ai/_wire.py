"""Objects of pydantic_ai to wire JSON and back."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any, cast

from pydantic import TypeAdapter
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    ModelResponseStreamEvent,
    SystemPromptPart,
    TextPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.tools import ToolDefinition
from pydantic_core import PydanticSerializationError, ValidationError, to_jsonable_python

from replay.adapters.agentrun._objects import same
from replay.canon import Json, JsonObject, dumps, own
from replay.cassette import Definition
from replay.errors import CassetteInconsistent, Where
from replay.shapes import FULL, TABLES

_USUAL_TOOL: Mapping[str, Json] = {
    'kind': 'function',
    'outer_typed_dict_key': None,
    'strict': None,
    'sequential': False,
    'metadata': None,
    'timeout': None,
}
"""Fields of a tool definition that a cassette leaves out where they have these values."""

_USUAL_OUTPUT: Mapping[str, Json] = {
    'mode': 'text',
    'tools': None,
    'object': None,
    'template': None,
    'allow_text': True,
    'allow_image': False,
}


_LATER: Mapping[str, Json] = {'optional': False, 'external_web_access': None, 'provider_settings': None}
"""Fields of the provider's tools that versions after 1.38 have, with the values that go without saying."""

_RESULTS = ('calls', 'approvals')
"""What deferred results have in every version; what else they may have is left out where it is empty."""


def messages_bytes(messages: Sequence[ModelMessage]) -> bytes:
    """Wire JSON of messages: the bytes of `all_messages_json()`, without the warnings that dumping may give."""
    return ModelMessagesTypeAdapter.dump_json(list(messages), warnings=False)


def message_bytes(message: ModelMessage) -> bytes:
    """Wire JSON of one message."""
    return messages_bytes([message])[1:-1]


def message_json(message: ModelMessage) -> JsonObject:
    """Wire JSON of one message, as it is now."""
    return cast('JsonObject', own(message_bytes(message)))


def restored_messages(messages: Sequence[JsonObject]) -> list[ModelMessage]:
    """Messages of wire JSON. Keys that the installed version does not know are ignored.

    Raises:
        CassetteInconsistent: If one of them is no message of this library.
    """
    try:
        return ModelMessagesTypeAdapter.validate_json(dumps(cast('Json', list(messages))))
    except ValidationError as error:
        raise _foreign('a message is none that pydantic_ai takes', error) from None


def restored_response(message: JsonObject) -> ModelResponse:
    """A response of wire JSON. The time in its provider's details is a datetime, as providers give it."""
    found = cast('ModelResponse', restored_messages([message])[0])
    details = found.provider_details
    if details and isinstance(when := details.get('timestamp'), str):
        details['timestamp'] = _as_time(when)
    return found


def as_in_a_replay(response: ModelResponse, written: JsonObject) -> ModelResponse:
    """The response itself where a replay restores an equal one; else what a replay will give.

    Args:
        response: What the model answered.
        written: Its wire JSON.
    """
    found = restored_response(written)
    return response if same(response, found) else found


def _as_time(text: str) -> datetime | str:
    """The time that a text is of; the text, if it is none or would be written otherwise."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return text
    return when if to_jsonable_python(when) == text else text


@cache
def _events() -> TypeAdapter[Any]:
    return TypeAdapter(list[ModelResponseStreamEvent])


def event_json(event: ModelResponseStreamEvent) -> JsonObject:
    """Wire JSON of a streamed event.

    Raises:
        pydantic_core.PydanticSerializationError: If JSON cannot hold it.
    """
    return cast('JsonObject', own(_events().dump_json([event], warnings=False)[1:-1]))


def restored_events(events: Sequence[JsonObject]) -> list[ModelResponseStreamEvent]:
    """Events of wire JSON.

    Raises:
        CassetteInconsistent: If one of them is no event of this library.
    """
    try:
        return _events().validate_json(dumps(cast('Json', list(events))))
    except ValidationError as error:
        raise _foreign('an event is none that pydantic_ai takes', error) from None


def prompt_json(prompt: object) -> Json:
    """A user prompt as its part writes it."""
    if prompt is None:
        return None
    written = message_json(ModelRequest(parts=[UserPromptPart(cast('Any', prompt))]))
    return cast('list[JsonObject]', written['parts'])[0]['content']


def deferred_json(results: object) -> Json:
    """Results handed to a run for calls of its history, as JSON."""
    if results is None:
        return None
    adapter = TypeAdapter[Any](Any, config={'ser_json_bytes': 'base64'})
    found = own(adapter.dump_json(results, fallback=_retry_json))
    if not isinstance(found, dict):
        return found
    return {name: value for name, value in found.items() if value or name in _RESULTS}


def _retry_json(value: object) -> JsonObject:
    """A retry that a caller hands in for a call, which is an error and no value."""
    message = getattr(value, 'message', None)
    if isinstance(value, Exception) and isinstance(message, str):
        return {'kind': 'model-retry', 'message': message}
    raise PydanticSerializationError(f'Unable to serialize unknown type: {type(value)}')


@cache
def table_name() -> str:
    """Name of the wire table that messages of the installed version fit; `full` if none does."""
    response = message_json(ModelResponse(parts=[TextPart('')]))
    request = message_json(ModelRequest(parts=[SystemPromptPart('')]))
    text, prompt = (cast('list[JsonObject]', message['parts'])[0] for message in (response, request))
    found = [response, cast('JsonObject', response['usage']), request, text, prompt]
    for table in TABLES.values():
        shapes = [table.messages['response'], table.usage, table.messages['request']]
        shapes += [table.response_parts['text'], table.request_parts['system-prompt']]
        if all(tuple(one) == shape.keys for one, shape in zip(found, shapes, strict=True)):
            return table.name
    return FULL


class Definitions:
    """Makes the definition of each request, and the same object as long as nothing changes."""

    def __init__(self) -> None:
        self._key: list[object] = []
        self._last = Definition()
        self._open: bool | None = None  # whether text was allowed when the model was left to choose the output mode

    def of(
        self, parameters: ModelRequestParameters, settings: Mapping[str, Any] | None, instructions: str | None
    ) -> Definition:
        """Say what a request carries beside its messages."""
        found = self._unresolved(parameters)
        tools = [*found.function_tools, None, *found.output_tools, None, *_builtin_tools(found)]
        key: list[object] = [instructions, dict(settings or {}), found.output_mode, found.output_object, *tools]
        if key != self._key:
            self._key = deepcopy(key[:2]) + key[2:]
            self._last = _definition(found, settings, instructions)
        return self._last

    def _unresolved(self, parameters: ModelRequestParameters) -> ModelRequestParameters:
        """Say `auto` again where 2.68 keeps, from the second request on, to what the model has made of it."""
        if parameters.output_mode == 'auto':
            self._open = parameters.allow_text_output
        elif self._open is not None:
            return replace(parameters, output_mode=cast('Any', 'auto'), allow_text_output=self._open)
        return parameters


def _builtin_tools(parameters: ModelRequestParameters) -> list[Any]:
    """Tools that the provider runs: `builtin_tools`, in 2.x `native_tools`."""
    name = 'native_tools' if hasattr(parameters, 'native_tools') else 'builtin_tools'
    return cast('list[Any]', getattr(parameters, name))


def _definition(
    parameters: ModelRequestParameters, settings: Mapping[str, Any] | None, instructions: str | None
) -> Definition:
    return Definition(
        instructions=instructions,
        settings=_settings(settings),
        tools={tool.name: _tool(tool) for tool in parameters.function_tools},
        builtin_tools=tuple(map(_builtin_tool, _builtin_tools(parameters))),
        output=_output(parameters),
    )


def _builtin_tool(tool: object) -> JsonObject:
    """A tool of the provider as JSON, without what later versions have added and it does not use."""
    found = cast('JsonObject', to_jsonable_python(tool))
    return {name: value for name, value in found.items() if name not in _LATER or value != _LATER[name]}


def _settings(settings: Mapping[str, Any] | None) -> JsonObject | None:
    """Settings as JSON; a value that JSON cannot hold (a timeout object) by its repr."""
    return {name: to_jsonable_python(value, fallback=repr) for name, value in settings.items()} if settings else None


def _tool(tool: ToolDefinition) -> JsonObject:
    found: JsonObject = {}
    if tool.description is not None:
        found['description'] = tool.description
    found['parameters'] = cast('Json', tool.parameters_json_schema)
    for name, usual in _USUAL_TOOL.items():
        value = getattr(tool, name, usual)
        if value != usual:
            found[name] = to_jsonable_python(value, fallback=repr)
    return found


def _output(parameters: ModelRequestParameters) -> JsonObject | None:
    described: dict[str, Json] = {
        'mode': parameters.output_mode,
        'tools': {tool.name: _tool(tool) | {'kind': None} for tool in parameters.output_tools} or None,
        'object': parameters.output_object and to_jsonable_python(parameters.output_object),
        'template': cast('Any', getattr(parameters, 'prompted_output_template', None)),
        'allow_text': parameters.allow_text_output,
        'allow_image': parameters.allow_image_output,
    }
    found = {name: value for name, value in described.items() if value != _USUAL_OUTPUT[name]}
    for tool in cast('dict[str, JsonObject]', found.get('tools') or {}).values():
        del tool['kind']
    return found or None


def _foreign(headline: str, error: ValidationError) -> CassetteInconsistent:
    first = error.errors(include_url=False, include_context=False)[0]
    return CassetteInconsistent(
        headline,
        expected=first['msg'],
        got=repr(first['input']),
        where=Where(field='.'.join(map(str, first['loc']))),
    )
