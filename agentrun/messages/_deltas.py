"""Pieces of a streamed response part, and how they add up to the part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, overload

from agentrun import _ambient
from agentrun._records import changed, lean_dataclass, told_apart_by
from agentrun.exceptions import UnexpectedModelBehavior
from agentrun.messages._responses import BuiltinToolCallPart, ModelResponsePart, TextPart, ThinkingPart, ToolCallPart

Details: TypeAlias = dict[str, Any] | None
ProviderDetailsDelta: TypeAlias = dict[str, Any] | Callable[[dict[str, Any] | None], dict[str, Any]] | None
"""What a delta says of `provider_details`: keys to set, a function of the old ones, or nothing."""

CallT = TypeVar('CallT', bound=ToolCallPart | BuiltinToolCallPart)


@lean_dataclass()
class TextPartDelta:
    """More of a text."""

    content_delta: str
    """Text to append."""

    _: KW_ONLY

    provider_details: dict[str, Any] | None = None
    """Keys to set in the part's details."""
    part_delta_kind: Literal['text'] = 'text'
    """Tells this kind of delta from others."""

    def apply(self, part: ModelResponsePart) -> TextPart:
        """Return a new part with the delta applied.

        Args:
            part: A text part; it stays as it is.

        Raises:
            ValueError: If it is none.
        """
        if not isinstance(part, TextPart):
            raise ValueError('Cannot apply TextPartDeltas to non-TextParts')  # noqa: TRY004, the followed class
        details = _merged(part.provider_details, self.provider_details)
        return changed(part, content=part.content + self.content_delta, provider_details=details)


@lean_dataclass(kw_only=True)
class ThinkingPartDelta:
    """More of a thought."""

    content_delta: str | None = None
    """Text to append."""
    signature_delta: str | None = None
    """The signature: it takes the place of an earlier one."""
    provider_name: str | None = None
    """The provider; it takes the place of an earlier one."""
    provider_details: ProviderDetailsDelta = None
    """Keys to set in the part's details, or a function of the old details that returns such keys."""
    part_delta_kind: Literal['thinking'] = 'thinking'
    """Tells this kind of delta from others."""

    @overload
    def apply(self, part: ModelResponsePart) -> ThinkingPart: ...

    @overload
    def apply(self, part: ModelResponsePart | ThinkingPartDelta) -> ThinkingPart | ThinkingPartDelta: ...

    def apply(self, part: ModelResponsePart | ThinkingPartDelta) -> ThinkingPart | ThinkingPartDelta:
        """Return a new part or delta with this delta applied.

        Args:
            part: A thinking part, or an earlier delta of one; it stays as it is.

        Raises:
            ValueError: If it is neither, or if this delta goes to another one with neither content nor signature.
        """
        if isinstance(part, ThinkingPart):
            return self._apply_to_part(part)
        if isinstance(part, ThinkingPartDelta):
            return self._apply_to_delta(part)
        raise ValueError(
            f'Cannot apply ThinkingPartDeltas to non-ThinkingParts or non-ThinkingPartDeltas ({part=}, {self=})'
        )

    def _apply_to_part(self, part: ThinkingPart) -> ThinkingPart:
        details = self.provider_details
        if callable(details):
            details = details(part.provider_details)
        return changed(
            part,
            content=part.content + (self.content_delta or ''),
            signature=part.signature if self.signature_delta is None else self.signature_delta,
            provider_name=part.provider_name if self.provider_name is None else self.provider_name,
            provider_details=_merged(part.provider_details, details),
        )

    def _apply_to_delta(self, delta: ThinkingPartDelta) -> ThinkingPartDelta:
        if self.content_delta is None and self.signature_delta is None:
            raise ValueError('Cannot apply ThinkingPartDelta with no content or signature')
        changes: dict[str, Any] = {}
        if self.content_delta is not None:
            changes['content_delta'] = (delta.content_delta or '') + self.content_delta
        if self.signature_delta is not None:
            changes['signature_delta'] = self.signature_delta
        if self.provider_name is not None:
            changes['provider_name'] = self.provider_name
        if self.provider_details is not None:
            changes['provider_details'] = _chained(delta.provider_details, self.provider_details)
        return changed(delta, **changes)


def _merged(old: Details, new: Details) -> Details:
    return {**(old or {}), **(new or {})} or None


def _chained(
    first: ProviderDetailsDelta, then: dict[str, Any] | Callable[[Details], dict[str, Any]]
) -> ProviderDetailsDelta:
    if callable(first):
        if callable(then):
            return lambda details: then(first(details))
        return lambda details: {**first(details), **then}
    # A function that follows a plain dictionary takes its place, as in pydantic-ai 1.38.
    return then if callable(then) else {**(first or {}), **then}


@lean_dataclass(kw_only=True)
class ToolCallPartDelta:
    """More of a tool call."""

    tool_name_delta: str | None = None
    """Text to append to the tool's name."""
    args_delta: str | dict[str, Any] | None = None
    """JSON text to append to the arguments, or keys to set in them."""
    tool_call_id: str | None = None
    """Id of the call; it takes the place of an earlier one."""
    provider_details: dict[str, Any] | None = None
    """Keys to set in the part's details."""
    part_delta_kind: Literal['tool_call'] = 'tool_call'
    """Tells this kind of delta from others."""

    def as_part(self) -> ToolCallPart | None:
        """Return the call that this delta alone makes; None as long as it has no tool name."""
        if self.tool_name_delta is None:
            return None
        return ToolCallPart(
            self.tool_name_delta,
            self.args_delta,
            self.tool_call_id or _ambient.new_tool_call_id(),
            provider_details=self.provider_details,
        )

    @overload
    def apply(self, part: ModelResponsePart) -> ToolCallPart | BuiltinToolCallPart: ...

    @overload
    def apply(
        self, part: ModelResponsePart | ToolCallPartDelta
    ) -> ToolCallPart | BuiltinToolCallPart | ToolCallPartDelta: ...

    def apply(
        self, part: ModelResponsePart | ToolCallPartDelta
    ) -> ToolCallPart | BuiltinToolCallPart | ToolCallPartDelta:
        """Return a new part or delta with this delta applied.

        Args:
            part: A tool call, of either kind, or an earlier delta of one; it stays as it is.

        Returns:
            A part of the same kind; for a delta the part, as soon as its tool name is known, else a delta.

        Raises:
            ValueError: If `part` is none of them.
            UnexpectedModelBehavior: If JSON text meets arguments that are an object, or the other way round.
        """
        if isinstance(part, ToolCallPart | BuiltinToolCallPart):
            return self._apply_to_part(part)
        if isinstance(part, ToolCallPartDelta):
            return self._apply_to_delta(part)
        raise ValueError(
            'Can only apply ToolCallPartDeltas to ToolCallParts, BuiltinToolCallParts, '
            f'or ToolCallPartDeltas, not {part}'
        )

    def _apply_to_part(self, part: CallT) -> CallT:
        if self.tool_name_delta:
            part = changed(part, tool_name=part.tool_name + self.tool_name_delta)
        if self.args_delta is not None:
            part = changed(part, args=self._joined_args(part.args, 'part', part))
        changes = self._replacements(part.provider_details)
        return changed(part, **changes) if changes else part

    def _apply_to_delta(self, delta: ToolCallPartDelta) -> ToolCallPart | ToolCallPartDelta:
        if self.tool_name_delta:
            delta = changed(delta, tool_name_delta=(delta.tool_name_delta or '') + self.tool_name_delta)
        if self.args_delta is not None:
            delta = changed(delta, args_delta=self._joined_args(delta.args_delta, 'delta', delta))
        changes = self._replacements(delta.provider_details)
        delta = changed(delta, **changes) if changes else delta
        return delta.as_part() or delta

    def _replacements(self, details: Details) -> dict[str, Any]:
        changes: dict[str, Any] = {}
        if self.tool_call_id:
            changes['tool_call_id'] = self.tool_call_id
        if self.provider_details:
            changes['provider_details'] = {**(details or {}), **self.provider_details}
        return changes

    def _joined_args(self, args: str | dict[str, Any] | None, role: str, record: object) -> str | dict[str, Any]:
        if isinstance(self.args_delta, str) and not isinstance(args, dict):
            return (args or '') + self.args_delta
        if isinstance(self.args_delta, dict) and not isinstance(args, str):
            return {**(args or {}), **self.args_delta}
        mismatch = 'JSON deltas to non-JSON' if isinstance(self.args_delta, str) else 'dict deltas to non-dict'
        raise UnexpectedModelBehavior(f'Cannot apply {mismatch} tool arguments ({role}={record!r}, {self=})')


ModelResponsePartDelta = Annotated[
    TextPartDelta | ThinkingPartDelta | ToolCallPartDelta, told_apart_by('part_delta_kind')
]
"""A piece of a response part."""
