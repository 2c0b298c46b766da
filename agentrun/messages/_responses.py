"""What a model answers: the response and its parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, field
from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias, cast

import pydantic
import pydantic_core
from typing_extensions import deprecated

from agentrun import _ambient
from agentrun._records import lean_dataclass, told_apart_by
from agentrun.messages._content import BinaryContent, BinaryImage
from agentrun.messages._requests import BaseToolReturnPart
from agentrun.usage import RequestUsage

FinishReason: TypeAlias = Literal['stop', 'length', 'content_filter', 'tool_call', 'error']
"""Why the model stopped, in the words of OpenTelemetry."""


@lean_dataclass()
class TextPart:
    """Text from the model."""

    content: str
    """The text."""

    _: KW_ONLY

    id: str | None = None
    """The provider's id of the part."""
    provider_details: dict[str, Any] | None = None
    """What else the provider sent with the part."""
    part_kind: Literal['text'] = 'text'
    """Tells this kind of part from others."""

    def has_content(self) -> bool:
        """Return whether there is any text."""
        return bool(self.content)


@lean_dataclass()
class ThinkingPart:
    """What the model thought before it answered."""

    content: str
    """The thoughts; may be empty where the provider keeps them to itself."""

    _: KW_ONLY

    id: str | None = None
    """The provider's id of the part."""
    signature: str | None = None
    """The provider's proof or encrypted form of the thoughts, to be sent back to it."""
    provider_name: str | None = None
    """The provider; a signature is only sent back to the one it came from."""
    provider_details: dict[str, Any] | None = None
    """What else the provider sent with the part."""
    part_kind: Literal['thinking'] = 'thinking'
    """Tells this kind of part from others."""

    def has_content(self) -> bool:
        """Return whether there are any thoughts to read."""
        return bool(self.content)


@lean_dataclass()
class FilePart:
    """A file from the model."""

    content: Annotated[BinaryContent, pydantic.AfterValidator(BinaryImage.narrow_type)]
    """The file; an image comes back from JSON as a `BinaryImage`."""

    _: KW_ONLY

    id: str | None = None
    """The provider's id of the part."""
    provider_name: str | None = None
    """The provider the file came from."""
    provider_details: dict[str, Any] | None = None
    """What else the provider sent with the part."""
    part_kind: Literal['file'] = 'file'
    """Tells this kind of part from others."""

    def has_content(self) -> bool:
        """Return whether the file has any bytes."""
        return bool(self.content.data)


@lean_dataclass()
class BaseToolCallPart:
    """What calls of function tools and of built-in tools have in common."""

    tool_name: str
    """The tool to call."""
    args: str | dict[str, Any] | None = None
    """The arguments as the provider sent them: JSON text, kept to the letter, or an object."""
    tool_call_id: str = field(default_factory=_ambient.new_tool_call_id)
    """Id of the call; generated if the provider gave none."""

    _: KW_ONLY

    id: str | None = None
    """The provider's id of the part, where it is not the id of the call."""
    provider_details: dict[str, Any] | None = None
    """What else the provider sent with the part."""

    def args_as_dict(self) -> dict[str, Any]:
        """Return the arguments as an object; the call's own object, if it holds one.

        Raises:
            ValueError: If they are text that is not JSON.
            AssertionError: If they are JSON but no object.
        """
        if not self.args:
            return {}
        if isinstance(self.args, dict):
            return self.args
        args = pydantic_core.from_json(self.args)
        if not isinstance(args, dict):
            raise AssertionError('args should be a dict')  # noqa: TRY004, the followed class
        return cast('dict[str, Any]', args)

    def args_as_json_str(self) -> str:
        """Return the arguments as JSON text; as it came, if it came as text."""
        if not self.args:
            return '{}'
        return self.args if isinstance(self.args, str) else pydantic_core.to_json(self.args).decode()

    def has_content(self) -> bool:
        """Return whether any argument is given; values that are false (0, '', []) do not count."""
        return any(self.args.values()) if isinstance(self.args, dict) else bool(self.args)


@lean_dataclass()
class ToolCallPart(BaseToolCallPart):
    """The model calls a function tool or an output tool."""

    _: KW_ONLY

    part_kind: Literal['tool-call'] = 'tool-call'
    """Tells this kind of part from others."""


@lean_dataclass()
class BuiltinToolCallPart(BaseToolCallPart):
    """The model called a tool that its provider runs."""

    _: KW_ONLY

    provider_name: str | None = None
    """The provider; the call is only sent back to the one it came from."""
    part_kind: Literal['builtin-tool-call'] = 'builtin-tool-call'
    """Tells this kind of part from others."""


@lean_dataclass()
class BuiltinToolReturnPart(BaseToolReturnPart):
    """What a tool returned that the provider ran."""

    _: KW_ONLY

    provider_name: str | None = None
    """The provider that ran the tool."""
    provider_details: dict[str, Any] | None = None
    """What else the provider sent with the part."""
    part_kind: Literal['builtin-tool-return'] = 'builtin-tool-return'
    """Tells this kind of part from others."""


ModelResponsePart = Annotated[
    TextPart | ToolCallPart | BuiltinToolCallPart | BuiltinToolReturnPart | ThinkingPart | FilePart,
    told_apart_by('part_kind'),
]
"""A part of a response."""


@lean_dataclass()
class ModelResponse:
    """What a model answers at once."""

    parts: Sequence[ModelResponsePart]
    """The parts, in the order the model sent them."""

    _: KW_ONLY

    usage: RequestUsage = field(default_factory=RequestUsage)
    """What the request used."""
    model_name: str | None = None
    """The model that answered."""
    timestamp: datetime = field(default_factory=_ambient.now)
    """When the answer came, by the local clock; the provider's own time is in `provider_details['timestamp']`."""
    kind: Literal['response'] = 'response'
    """Tells responses from requests."""
    provider_name: str | None = None
    """The provider that answered."""
    provider_url: str | None = None
    """Base URL of the provider."""
    # Old JSON has `vendor_details` and `vendor_id`.
    provider_details: Annotated[
        dict[str, Any] | None,
        pydantic.Field(validation_alias=pydantic.AliasChoices('provider_details', 'vendor_details')),
    ] = None
    """What else the provider sent."""
    provider_response_id: Annotated[
        str | None, pydantic.Field(validation_alias=pydantic.AliasChoices('provider_response_id', 'vendor_id'))
    ] = None
    """The provider's id of the answer."""
    finish_reason: FinishReason | None = None
    """Why the model stopped; the provider's own word is in `provider_details`."""
    run_id: str | None = None
    """The run that asked."""
    metadata: dict[str, Any] | None = None
    """Kept for the application; the model does not see it."""

    @property
    def text(self) -> str | None:
        """The text parts: neighbours joined as they are, others by a blank line; None if there is none."""
        texts: list[str] = []
        last: ModelResponsePart | None = None
        for part in self.parts:
            if isinstance(part, TextPart) and isinstance(last, TextPart):
                texts[-1] += part.content
            elif isinstance(part, TextPart):
                texts.append(part.content)
            last = part
        return '\n\n'.join(texts) if texts else None

    @property
    def thinking(self) -> str | None:
        """The thinking parts, joined by blank lines; None if there is none."""
        thoughts = [part.content for part in self.parts if isinstance(part, ThinkingPart)]
        return '\n\n'.join(thoughts) if thoughts else None

    @property
    def files(self) -> list[BinaryContent]:
        """The files of the answer."""
        return [part.content for part in self.parts if isinstance(part, FilePart)]

    @property
    def images(self) -> list[BinaryImage]:
        """Those files that are a `BinaryImage`."""
        return [file for file in self.files if isinstance(file, BinaryImage)]

    @property
    def tool_calls(self) -> list[ToolCallPart]:
        """The calls of function tools and output tools."""
        return [part for part in self.parts if isinstance(part, ToolCallPart)]

    @property
    def builtin_tool_calls(self) -> list[tuple[BuiltinToolCallPart, BuiltinToolReturnPart]]:
        """The calls of built-in tools that returned, each with its return."""
        returns = {part.tool_call_id: part for part in self.parts if isinstance(part, BuiltinToolReturnPart)}
        return [
            (part, returns[part.tool_call_id])
            for part in self.parts
            if isinstance(part, BuiltinToolCallPart) and part.tool_call_id in returns
        ]

    @property
    @deprecated('`vendor_details` is deprecated, use `provider_details` instead')
    def vendor_details(self) -> dict[str, Any] | None:
        """The older name of `provider_details`."""
        return self.provider_details

    @property
    @deprecated('`vendor_id` is deprecated, use `provider_response_id` instead')
    def vendor_id(self) -> str | None:
        """The older name of `provider_response_id`."""
        return self.provider_response_id

    @property
    @deprecated('`provider_request_id` is deprecated, use `provider_response_id` instead')
    def provider_request_id(self) -> str | None:
        """A name of `provider_response_id` in between."""
        return self.provider_response_id
