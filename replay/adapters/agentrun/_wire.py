"""Objects of agentrun to wire JSON and back."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError, ValidationError, to_json, to_jsonable_python

from agentrun._effects import ModelCall
from agentrun._outcomes import ToolDeferred, ToolOutcome, ToolRetried, ToolReturned, return_parts
from agentrun.exceptions import ModelRetry
from agentrun.messages import (
    AgentStreamEvent,
    AgentStreamEventsTypeAdapter,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    RetryPromptPart,
    ToolCallPart,
    ToolReturn,
    ToolReturnPart,
    UserPromptPart,
)
from agentrun.messages._wire import dump_one, dump_plain
from agentrun.models._base import ModelRequestParameters
from agentrun.tools import ToolDefinition
from replay.adapters.agentrun._objects import canonical, restored, same, types_of
from replay.canon import Json, JsonObject, dumps, own
from replay.cassette import Definition, Run, ToolResult
from replay.errors import CassetteInconsistent, Where
from replay.streams import TAKES_RESPONSE

_USUAL_TOOL: Mapping[str, Json] = {
    'kind': 'function',
    'outer_typed_dict_key': None,
    'strict': None,
    'sequential': False,
    'metadata': None,
    'timeout': None,
}
"""Fields of a tool definition that a cassette leaves out where they have these values."""

_STAMPED: Mapping[str, Json] = {'timestamp': '2000-01-01T00:00:00Z', 'tool_call_id': ''}
"""What a part has to have so that loading it reads neither clock nor ids, which are the run's."""

_USUAL_OUTPUT: Mapping[str, Json] = {
    'mode': 'text',
    'tools': None,
    'object': None,
    'template': None,
    'allow_text': True,
    'allow_image': False,
}


def messages_bytes(messages: Sequence[ModelMessage]) -> bytes:
    """Wire JSON of messages: the bytes of `all_messages_json()`.

    Without its warnings: a file whose type cannot be guessed earns one when the user dumps it, and none of ours.
    """
    plain = dump_plain(messages)
    return ModelMessagesTypeAdapter.dump_json(list(messages), warnings=False) if plain is None else plain


def message_bytes(message: ModelMessage) -> bytes:
    """Wire JSON of one message."""
    plain = dump_one(message)
    return messages_bytes([message])[1:-1] if plain is None else plain


def message_json(message: ModelMessage) -> JsonObject:
    """Wire JSON of one message, as it is now."""
    return cast('JsonObject', own(message_bytes(message)))


def restored_messages(messages: Sequence[JsonObject]) -> list[ModelMessage]:
    """Messages of wire JSON.

    Raises:
        CassetteInconsistent: If one of them is no message of this library.
    """
    try:
        return ModelMessagesTypeAdapter.validate_json(dumps(cast('Json', list(messages))))
    except ValidationError as error:
        raise _foreign('a message is none that agentrun takes', error) from None


def restored_response(message: JsonObject) -> ModelResponse:
    """A response of wire JSON. The time in its provider's details is a datetime, as providers give it."""
    return _as_given(cast('ModelResponse', restored_messages([message])[0]))


class Responses:
    """The responses of a recorded run, restored together when the first one is asked for.

    One by one they would take more than twice as long.

    Args:
        run: The recording; None if there is none.
    """

    def __init__(self, run: Run | None) -> None:
        self._run = run
        self._written: list[JsonObject] = []
        self._restored: list[ModelResponse] = []
        self._next = 0

    def restored(self, message: JsonObject) -> ModelResponse:
        """A response of wire JSON, one of the recording as a rule; a new object each time."""
        if self._run is not None:
            recorded = [node.message for node in self._run.nodes if node.kind in TAKES_RESPONSE]
            self._run = None
            self._written = [one for one in recorded if one is not None]
            self._restored = _together(self._written)
        for at in range(self._next, len(self._restored)):  # they are asked for in their order
            if self._written[at] is message:
                self._next = at + 1
                return _as_given(self._restored[at])
        return restored_response(message)


def _together(messages: list[JsonObject]) -> list[ModelResponse]:
    """Messages of wire JSON; none if one is foreign, which is told where the run comes to it."""
    try:
        return cast('list[ModelResponse]', restored_messages(messages))
    except CassetteInconsistent:
        return []


def _as_given(found: ModelResponse) -> ModelResponse:
    """A response with the time in its provider's details as providers give it."""
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


def restored_events(events: Sequence[JsonObject]) -> list[AgentStreamEvent]:
    """Events of wire JSON.

    Raises:
        CassetteInconsistent: If one of them is no event of this library.
    """
    try:
        return AgentStreamEventsTypeAdapter.validate_json(dumps(cast('Json', list(events))))
    except ValidationError as error:
        raise _foreign('an event is none that agentrun takes', error) from None


def prompt_json(prompt: object) -> Json:
    """A user prompt as its part writes it."""
    if prompt is None or type(prompt) is str:
        return prompt
    return _part(UserPromptPart(cast('Any', prompt)))['content']


def restored_prompt(content: Json) -> Any:
    """A user prompt of the content of its part."""
    part = {**_STAMPED, 'content': content, 'part_kind': 'user-prompt'}
    request = restored_messages([{'kind': 'request', 'parts': [cast('Json', part)]}])[0]
    return cast('UserPromptPart', request.parts[0]).content


class Definitions:
    """Makes the definition of each request, and the same object as long as nothing changes."""

    def __init__(self) -> None:
        self._key: list[object] = []
        self._last = Definition()

    def of(self, call: ModelCall, instructions: str | None) -> Definition:
        """Say what a call carries beside its messages."""
        found = call.parameters
        # Each step has new definitions of its tools, equal ones as a rule. Copies of their fields are compared, since
        # they themselves may change, as may the dict of settings.
        tools, outputs = list(map(vars, found.function_tools)), list(map(vars, found.output_tools))
        settings = call.settings or {}
        rest: list[object] = [instructions, found.output_mode, found.output_object, *found.builtin_tools]
        if [tools, outputs, settings, rest] != self._key:
            self._key = [list(map(dict, tools)), list(map(dict, outputs)), dict(settings), rest]
            self._last = _definition(call, instructions)
        return self._last


def _definition(call: ModelCall, instructions: str | None) -> Definition:
    parameters = call.parameters
    return Definition(
        instructions=instructions,
        settings=_settings(cast('Mapping[str, Any] | None', call.settings)),
        tools={tool.name: _tool(tool) for tool in parameters.function_tools},
        builtin_tools=tuple(cast('JsonObject', to_jsonable_python(tool)) for tool in parameters.builtin_tools),
        output=_output(parameters),
    )


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
        'template': parameters.prompted_output_template,
        'allow_text': parameters.allow_text_output,
        'allow_image': parameters.allow_image_output,
    }
    found = {name: value for name, value in described.items() if value != _USUAL_OUTPUT[name]}
    for tool in cast('dict[str, JsonObject]', found.get('tools') or {}).values():
        del tool['kind']
    return found or None


# -- outcomes of tools


def result_json(call: ToolCallPart, outcome: ToolOutcome, annotation: Any = Any) -> ToolResult:
    """Write down what came of a call, as it is now.

    Args:
        call: The call.
        outcome: What came of it.
        annotation: What the tool says that it returns; `Any` if that is unknown.

    Raises:
        pydantic_core.PydanticSerializationError: If JSON cannot hold it.
        agentrun.exceptions.UserError: If a tool must not return such a value.
    """
    match outcome:
        case ToolRetried(content=content):
            return ToolResult(kind='retry', content=to_jsonable_python(content, bytes_mode='base64'))
        case ToolDeferred(kind=kind, metadata=metadata):
            metadata = canonical(metadata)
            written = own(to_json(metadata, bytes_mode='base64', inf_nan_mode='null'))
            return ToolResult(kind=kind, metadata=written, types=types_of(metadata, written, Any, path='metadata'))
        case ToolReturned():
            part, user_content = return_parts(call, outcome)
            part.content, part.metadata = canonical(part.content), canonical(part.metadata)
            written = _part(part)
            if isinstance(outcome.value, ToolReturn):
                annotation = Any
            types = types_of(part.content, written['content'], annotation, path='content')
            types |= types_of(part.metadata, written['metadata'], Any, path='metadata')
            return ToolResult(
                kind='return',
                content=written['content'],
                metadata=written['metadata'],
                user_content=None if user_content is None else prompt_json(user_content),
                types=types,
            )


def restored_outcome(result: ToolResult, annotation: Any = Any) -> ToolOutcome:
    """Make the outcome again that was written down; what raised is no outcome.

    Args:
        result: What was written down.
        annotation: As for `result_json`.

    Raises:
        NotFitting: If the content is none that the annotation takes.
    """
    if result.kind == 'retry':
        return ToolRetried(_restored_retry(result.content))
    if result.kind in {'external', 'unapproved'}:
        return ToolDeferred(cast('Any', result.kind), restored(result.metadata, result.types, Any, path='metadata'))
    content = None if result.user_content is None else restored_prompt(result.user_content)
    value = restored(result.content, result.types, annotation, path='content')
    if content is None and result.metadata is None and type(value) is str:  # most are
        return ToolReturned(value)
    metadata = restored(result.metadata, result.types, Any, path='metadata')
    return ToolReturned(ToolReturn(value, content=content, metadata=metadata))


def _restored_retry(content: Json) -> Any:
    """What a retry says, of the content of its part: places of errors are tuples again."""
    part = {**_STAMPED, 'content': content, 'part_kind': 'retry-prompt'}
    request = restored_messages([{'kind': 'request', 'parts': [cast('Json', part)]}])[0]
    return cast('RetryPromptPart', request.parts[0]).content


def deferred_json(results: object) -> Json:
    """Results handed to a run for calls of its history, as JSON."""
    if results is None:
        return None
    adapter = TypeAdapter[Any](Any, config={'ser_json_bytes': 'base64'})
    return own(adapter.dump_json(results, fallback=_retry_json))


def _retry_json(value: object) -> JsonObject:
    """A retry that a caller hands in for a call, which is an error and no value."""
    if isinstance(value, ModelRetry):
        return {'kind': 'model-retry', 'message': value.message}
    raise PydanticSerializationError(f'Unable to serialize unknown type: {type(value)}')


def _part(part: UserPromptPart | ToolReturnPart) -> JsonObject:
    message = message_json(ModelRequest(parts=[part]))
    return cast('list[JsonObject]', message['parts'])[0]


def _foreign(headline: str, error: ValidationError) -> CassetteInconsistent:
    first = error.errors(include_url=False, include_context=False)[0]
    return CassetteInconsistent(
        headline,
        expected=first['msg'],
        got=repr(first['input']),
        where=Where(field='.'.join(map(str, first['loc']))),
    )
