"""Puts the parts of a streamed response together from what a provider sends piece by piece.

A provider names the part that a piece belongs to in its own way (an index, an id, not at all); that name is the *vendor
id*. Pieces go in, the events that they amount to come out, and the parts as they stand can be asked for at any time.
Nothing here waits: a stream's iterator calls the manager between two arrivals.

Two rules decide where a piece goes. With a vendor id it goes to the part that the id stands for, or begins one.
Without one it goes to the last part if that is of the right kind, or begins one.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import field
from typing import Any, TypeAlias

from agentrun import _ambient
from agentrun._records import changed, full_repr, lean_dataclass
from agentrun.exceptions import UnexpectedModelBehavior
from agentrun.messages import (
    BuiltinToolCallPart,
    ModelResponsePart,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartStartEvent,
    ProviderDetailsDelta,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
    ToolCallPartDelta,
)

__all__ = ('ManagedPart', 'ModelResponsePartsManager', 'VendorId')

VendorId: TypeAlias = Hashable
"""What a provider calls a part."""

ManagedPart: TypeAlias = ModelResponsePart | ToolCallPartDelta
"""A part, or what there is of a tool call whose tool is not known yet."""


@lean_dataclass(show=full_repr)
class ModelResponsePartsManager:
    """Keeps the parts of one streamed response. Its methods and their errors are those of pydantic-ai 1.38.

    The methods that give an iterator there give one here too, but have done their work when they return: a call whose
    events nobody takes counts.
    """

    _parts: list[ManagedPart] = field(default_factory=list[ManagedPart], init=False)
    _vendor_id_to_part_index: dict[VendorId, int] = field(default_factory=dict[VendorId, int], init=False)

    def get_parts(self) -> list[ModelResponsePart]:
        """Return the parts as they stand, in the order in which they began; tool calls without a tool are left out."""
        return [part for part in self._parts if not isinstance(part, ToolCallPartDelta)]

    def handle_text_delta(
        self,
        *,
        vendor_part_id: VendorId | None,
        content: str,
        id: str | None = None,
        provider_details: dict[str, Any] | None = None,
        thinking_tags: tuple[str, str] | None = None,
        ignore_leading_whitespace: bool = False,
    ) -> Iterator[ModelResponseStreamEvent]:
        """Take in text.

        Args:
            vendor_part_id: The provider's name of the part.
            content: Text to append.
            id: The provider's id of the part, if this begins it.
            provider_details: Keys to set in the part's details.
            thinking_tags: Opening and closing tag. A piece that is exactly the opening one begins a thought; with a
                vendor id the following pieces belong to it, until one that is exactly the closing tag.
            ignore_leading_whitespace: Whether a piece of nothing but blanks may not begin a part. Some models send
                such text ahead of tool calls, and it must not pass for a result.

        Returns:
            One event, or none: the closing tag and ignored blanks give none.

        Raises:
            UnexpectedModelBehavior: If the vendor id stands for a part that is no text.
        """
        index = self._index(vendor_part_id, TextPart)
        part = None if index == _NEW else self._parts[index]
        if thinking_tags and isinstance(part, ThinkingPart):
            if content == thinking_tags[1]:
                del self._vendor_id_to_part_index[vendor_part_id]
                return _NONE
            thought = ThinkingPartDelta(content_delta=content, provider_details=provider_details)
            return self._go_on(index, thought.apply(part), thought)
        if part is not None and not isinstance(part, TextPart):
            raise UnexpectedModelBehavior(f'Cannot apply a text delta to existing_part={part!r}')
        if thinking_tags and content == thinking_tags[0]:
            return self._begin(ThinkingPart(content='', provider_details=provider_details), vendor_part_id)
        if part is not None:
            delta = TextPartDelta(content_delta=content, provider_details=provider_details)
            return self._go_on(index, delta.apply(part), delta)
        if ignore_leading_whitespace and (not content or content.isspace()):
            return _NONE
        return self._begin(TextPart(content=content, id=id, provider_details=provider_details), vendor_part_id)

    def handle_thinking_delta(
        self,
        *,
        vendor_part_id: VendorId | None,
        content: str | None = None,
        id: str | None = None,
        signature: str | None = None,
        provider_name: str | None = None,
        provider_details: ProviderDetailsDelta = None,
    ) -> Iterator[ModelResponseStreamEvent]:
        """Take in thoughts.

        Args:
            vendor_part_id: The provider's name of the part.
            content: Text to append.
            id: The provider's id of the part, if this begins it.
            signature: The signature; it takes the place of an earlier one.
            provider_name: The provider; it takes the place of an earlier one.
            provider_details: Keys to set in the part's details, or a function from the old details (None if this begins
                the part) to the new ones.

        Returns:
            One event; none if there is nothing new.

        Raises:
            UnexpectedModelBehavior: If the vendor id stands for a part that is no thought, or if this would begin a
                thought with nothing in it.
        """
        index = self._index(vendor_part_id, ThinkingPart)
        if index == _NEW:
            if content is None and signature is None and provider_details is None:
                raise UnexpectedModelBehavior(
                    'Cannot create a ThinkingPart with no content, signature, or provider_details'
                )
            begun = ThinkingPart(
                content=content or '',
                id=id,
                signature=signature,
                provider_name=provider_name,
                provider_details=provider_details(None) if callable(provider_details) else provider_details,
            )
            return self._begin(begun, vendor_part_id)
        part = self._parts[index]
        if not isinstance(part, ThinkingPart):
            raise UnexpectedModelBehavior(f'Cannot apply a thinking delta to existing_part={part!r}')
        if content is None and signature is None and provider_name is None and provider_details is None:
            return _NONE
        delta = ThinkingPartDelta(
            content_delta=content,
            signature_delta=signature,
            provider_name=provider_name,
            provider_details=provider_details,
        )
        return self._go_on(index, delta.apply(part), delta)

    def handle_tool_call_delta(
        self,
        *,
        vendor_part_id: VendorId | None,
        tool_name: str | None = None,
        args: str | dict[str, Any] | None = None,
        tool_call_id: str | None = None,
        provider_details: dict[str, Any] | None = None,
    ) -> ModelResponseStreamEvent | None:
        """Take in a piece of a tool call.

        Args:
            vendor_part_id: The provider's name of the part. Without one, a piece with a tool name begins a part.
            tool_name: Text to append to the tool's name.
            args: JSON text to append to the arguments, or keys to set in them.
            tool_call_id: Id of the call; it takes the place of an earlier one.
            provider_details: Keys to set in the part's details.

        Returns:
            The start of the part when its tool is known, then deltas (with the call's id on each); None before.

        Raises:
            UnexpectedModelBehavior: If the vendor id stands for a part that is no tool call, or if JSON text meets
                arguments that are an object, or the other way round.
        """
        delta = ToolCallPartDelta(
            tool_name_delta=tool_name, args_delta=args, tool_call_id=tool_call_id, provider_details=provider_details
        )
        begins = vendor_part_id is None and tool_name is not None
        index = _NEW if begins else self._index(vendor_part_id, _TOOL_CALLS)
        if index == _NEW:
            known = delta.as_part()
            index = self._append(known or delta, vendor_part_id)
            return None if known is None else PartStartEvent(index=index, part=known)
        part = self._parts[index]
        if not isinstance(part, _TOOL_CALLS):
            raise UnexpectedModelBehavior(f'Cannot apply a tool call delta to existing_part={part!r}')
        self._parts[index] = updated = delta.apply(part)
        if isinstance(updated, ToolCallPartDelta):
            return None
        if isinstance(part, ToolCallPartDelta):
            return PartStartEvent(index=index, part=updated)
        if updated.tool_call_id and not tool_call_id:
            delta = changed(delta, tool_call_id=updated.tool_call_id)
        return PartDeltaEvent(index=index, delta=delta)

    def handle_tool_call_part(
        self,
        *,
        vendor_part_id: VendorId | None,
        tool_name: str,
        args: str | dict[str, Any] | None,
        tool_call_id: str | None = None,
        id: str | None = None,
        provider_details: dict[str, Any] | None = None,
    ) -> ModelResponseStreamEvent:
        """Take in a whole tool call. It takes the place of the one that the vendor id stands for, if there is one.

        Args:
            vendor_part_id: The provider's name of the part; without one the call is a new part.
            tool_name: The tool to call.
            args: The arguments, as JSON text or as an object.
            tool_call_id: Id of the call; generated if there is none.
            id: The provider's id of the part.
            provider_details: What else the provider sent with the part.

        Returns:
            The start of the part.
        """
        call = ToolCallPart(
            tool_name=tool_name,
            args=args,
            tool_call_id=tool_call_id or _ambient.new_tool_call_id(),
            id=id,
            provider_details=provider_details,
        )
        return self.handle_part(vendor_part_id=vendor_part_id, part=call)

    def handle_part(self, *, vendor_part_id: VendorId | None, part: ModelResponsePart) -> ModelResponseStreamEvent:
        """Take in a whole part. It takes the place of a part of its class that the vendor id stands for.

        Args:
            vendor_part_id: The provider's name of the part; without one the part is a new one.
            part: The part; kept, not copied.

        Returns:
            The start of the part.
        """
        index = _NEW if vendor_part_id is None else self._index(vendor_part_id, type(part))
        if index == _NEW or not isinstance(self._parts[index], type(part)):
            index = self._append(part, vendor_part_id)
        else:
            self._parts[index] = part
        return PartStartEvent(index=index, part=part)

    def _index(self, vendor_part_id: VendorId | None, kinds: _Kinds) -> int:
        """Find the part that a piece belongs to, or `_NEW`. If an id is given, the part may be of any kind."""
        if vendor_part_id is not None:
            return self._vendor_id_to_part_index.get(vendor_part_id, _NEW)
        return len(self._parts) - 1 if self._parts and isinstance(self._parts[-1], kinds) else _NEW

    def _append(self, part: ManagedPart, vendor_part_id: VendorId | None) -> int:
        index = len(self._parts)
        self._parts.append(part)
        if vendor_part_id is not None:
            self._vendor_id_to_part_index[vendor_part_id] = index
        return index

    def _begin(self, part: ModelResponsePart, vendor_part_id: VendorId | None) -> Iterator[ModelResponseStreamEvent]:
        return iter((PartStartEvent(index=self._append(part, vendor_part_id), part=part),))

    def _go_on(
        self, index: int, part: ModelResponsePart, delta: TextPartDelta | ThinkingPartDelta
    ) -> Iterator[ModelResponseStreamEvent]:
        self._parts[index] = part
        return iter((PartDeltaEvent(index=index, delta=delta),))


_Kinds: TypeAlias = type[ManagedPart] | tuple[type[ManagedPart], ...]

_TOOL_CALLS = (ToolCallPart, BuiltinToolCallPart, ToolCallPartDelta)

_NEW = -1
"""In place of an index: the piece begins a part."""

_NONE: Iterator[ModelResponseStreamEvent] = iter(())
"""An exhausted iterator stays exhausted, so all can share it."""
