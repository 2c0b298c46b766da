"""Parts and whole messages restored in one pass: a template for each kind, then the fields that the file has."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, cast

from replay.canon import Json, JsonObject
from replay.shapes import TABLES, Shape

from ._faults import Place, kind_of
from ._text import join_lines, unpack_args, unpack_data

MISSING: Final = cast('Json', object())
"""What a template holds in place of a value that has to come."""

OPTIONAL = frozenset({'timestamp', 'tool_call_id', 'provider_name'})
"""Fields of parts that can be derived."""


@dataclass(frozen=True, slots=True)
class Template:
    """How objects of one kind begin."""

    blank: JsonObject
    """All keys in wire order, with usual values or `MISSING`."""
    needed: tuple[str, ...]
    """Keys that the file must have."""
    settable: frozenset[str]
    """Keys that the file may have."""


@dataclass(frozen=True, slots=True)
class Templates:
    """Those of one wire table."""

    messages: Mapping[str, Template]
    request_parts: Mapping[str, Template]
    response_parts: Mapping[str, Template]
    items: Mapping[str, Template]
    usage: Template


@cache
def templates(table: str) -> Templates:
    """Prepare the templates of a wire table, once."""
    shapes = TABLES[table]
    return Templates(
        messages=_all(shapes.messages),
        request_parts=_all(shapes.request_parts),
        response_parts=_all(shapes.response_parts),
        items=_all(shapes.items),
        usage=_template(shapes.usage),
    )


def _all(shapes: Mapping[str, Shape]) -> dict[str, Template]:
    return {kind: _template(shape) for kind, shape in shapes.items()}


def _template(shape: Shape) -> Template:
    blank = {key: shape.usual.get(key, MISSING) for key in shape.keys}
    needed = tuple(key for key in shape.keys if key not in shape.usual and key not in OPTIONAL)
    return Template(blank, needed, frozenset({*shape.keys, *shape.extra}) - {'part_kind', 'kind'})


class PartReader:
    """Restores parts of one wire table."""

    def __init__(self, table: str, place: Place) -> None:
        self._templates = templates(table)
        self._place = place
        self.call: Json = None
        """What the latest part said under `call`."""
        self.types: Json = None
        """What the latest part said under `types`."""

    def part(self, short: Json, kinds: Mapping[str, Template], field: str) -> JsonObject:
        """Restore a part but for what is derived; that is `MISSING`, or null where null is usual."""
        if type(short) is not dict:
            self._place.object(short, field)
        fields = cast('JsonObject', short)
        kind = fields.get('part')
        template = kinds.get(kind) if type(kind) is str else None
        if template is None:
            self._place.damaged(
                f'unknown kind of part {kind!r}',
                cause='unknown-key',
                field=f'{field}.part',
                expected=f'one of {", ".join(kinds)}',
                got=repr(kind),
            )
        self.call = self.types = None
        wide = template.blank | fields
        del wide['part']
        if len(wide) > len(template.blank) or 'part_kind' in fields:  # which is seldom
            wide = self._with_specials(template, fields, field)
        else:
            for key, value in fields.items():
                if type(value) is dict:
                    wide[key] = self._data(key, value, field)
        if kind in {'user-prompt', 'file'}:
            wide['content'] = self._content(wide['content'], field)
        for key in template.needed:
            if wide[key] is MISSING:
                self._lacks(key, field)
        return wide

    def fill(self, template: Template, fields: JsonObject, field: str) -> JsonObject:
        """Restore an object that has nothing derived."""
        if not fields.keys() <= template.settable:
            self._place.object(fields, field, template.settable)
        wide = {**template.blank, **fields}
        for key, value in wide.items():
            if value is MISSING:
                self._lacks(key, field)
        return wide

    def usage(self, short: Json, field: str) -> JsonObject:
        """Restore usage; null and nothing stand for zeros."""
        template = self._templates.usage
        fields = {} if short is None else self._place.object(short, field, template.settable)
        usage = {**template.blank, **fields}
        if not usage['details']:
            usage['details'] = {}  # a fresh one: the template's own is shared
        return usage

    def message(self, short: Json, field: str) -> JsonObject:
        """Restore a message of the history, for which nothing is derived."""
        fields = dict(self._place.object(short, field))
        kind = fields.pop('kind', None)
        template = self._templates.messages.get(kind) if isinstance(kind, str) else None
        if template is None:
            self._place.damaged(
                f'unknown kind of message {kind!r}', cause='unknown-key', field=f'{field}.kind', got=repr(kind)
            )
        kinds = self._templates.request_parts if kind == 'request' else self._templates.response_parts
        parts = self._place.array(fields.get('parts'), f'{field}.parts')
        fields['parts'] = [self._whole(part, kinds, f'{field}.parts.{index}') for index, part in enumerate(parts)]
        if 'instructions|' in fields:
            fields['instructions'] = self._lines('instructions|', fields.pop('instructions|'), field)
        if kind == 'response':
            fields['usage'] = self.usage(fields.get('usage'), f'{field}.usage')
        return self.fill(template, fields, field)

    def _whole(self, short: Json, kinds: Mapping[str, Template], field: str) -> JsonObject:
        wide = self.part(short, kinds, field)
        if self.call is not None or self.types is not None:
            self._place.damaged('a part of the history has marks of a run', field=field)
        for key, value in wide.items():
            if value is MISSING:
                self._lacks(key, field)
        return wide

    def _with_specials(self, template: Template, fields: JsonObject, field: str) -> JsonObject:
        wide = template.blank.copy()
        settable = template.settable
        for key, value in fields.items():
            if key in settable:
                wide[key] = self._data(key, value, field) if type(value) is dict else value
            elif key != 'part':
                self._special(wide, key, value, settable, field)
        return wide

    def _special(self, wide: JsonObject, key: str, value: Json, settable: frozenset[str], field: str) -> None:
        """Take a field that stands for another one."""
        if key[-1:] == '|' and key[:-1] in settable:
            wide[key[:-1]] = self._lines(key, value, field)
        elif key in {'args_json', 'args_json_spaced'} and 'args' in settable:
            data = self._place.object(value, f'{field}.{key}')
            wide['args'] = unpack_args(key, self._data(key, data, field))
        elif key == 'types':
            self.types = value
        elif key == 'call' and 'tool_call_id' in settable:
            self.call = value
        else:
            self._place.damaged(
                f'unknown key {key!r}',
                cause='unknown-key',
                field=f'{field}.{key}',
                expected=f'one of {", ".join(sorted(settable))}',
                got=key,
            )

    def _data(self, key: str, data: JsonObject, field: str) -> JsonObject:
        try:
            return unpack_data(data)
        except ValueError as error:
            self._place.damaged(str(error), field=f'{field}.{key}')

    def _lines(self, key: str, value: Json, field: str) -> str:
        try:
            return join_lines(key, value)
        except ValueError as error:
            self._place.damaged(str(error), field=f'{field}.{key}')

    def _content(self, content: Json, field: str) -> Json:
        """Restore files and markers, alone or in a list."""
        if type(content) is list:
            return [self._item(item, field) if type(item) is dict else item for item in content]
        return self._item(content, field) if type(content) is dict else content

    def _item(self, item: JsonObject, field: str) -> JsonObject:
        if 'item' not in item:
            return item
        fields = dict(item)
        kind = fields.pop('item')
        template = self._templates.items.get(kind) if isinstance(kind, str) else None
        if template is None:
            self._place.damaged(
                f'unknown kind of content {kind_of(kind) if not isinstance(kind, str) else repr(kind)}',
                cause='unknown-key',
                field=f'{field}.content.item',
                expected=f'one of {", ".join(self._templates.items)}',
            )
        return self.fill(template, fields, f'{field}.content')

    def _lacks(self, key: str, field: str) -> None:
        self._place.damaged(f'{field} lacks {key!r}', field=f'{field}.{key}', expected=key, got='nothing')
