"""Requests and responses of a run made wide again: from the node, from the lines at its end, and from its course."""

from collections.abc import Iterator

from replay.canon import Json, JsonObject

from ._faults import Place
from ._parts import MISSING, PartReader, templates
from ._state import (
    CHURN,
    MESSAGE_CHURN,
    MODEL_KEYS,
    SELDOM,
    BuiltinPlaces,
    Course,
    is_placed,
    later,
    usual_finish,
    usual_provider,
)

LINE_KEYS = frozenset({*MESSAGE_CHURN, 'parts'})
CHURN_KEYS = frozenset(CHURN)
_SELDOM = ('run_id', 'metadata', *SELDOM)
_SAYS_NO_MORE = 2  # keys of a node that has parts and nothing else

_NOTHING: JsonObject = {}


class MessageReader:
    """Reads the messages of one run in their order.

    Args:
        wire: Name of the wire table.
        packed: The run, for its lines of provider and times.
        course: How far the run has come; moved on.
        place: For errors.
    """

    def __init__(self, wire: str, packed: JsonObject, course: Course, place: Place) -> None:
        self.parts = PartReader(wire, place)
        self.types: JsonObject = {}
        """Type marks on the parts of the messages that were read since this was emptied, by path."""
        self._templates = templates(wire)
        self._blanks: dict[str, JsonObject] = {}
        self._course = course
        self._place = place
        self._provider = self._lines(packed, 'provider')
        self._times = self._lines(packed, 'times')
        self._part_times: Iterator[Json] = iter(())
        self._time: Json = None

    def finish(self) -> None:
        """See to it that no line is left over."""
        for lines, key, things in ((self._provider, 'provider', 'responses'), (self._times, 'times', 'messages')):
            if lines is not None and (left := sum(1 for _ in lines)):
                self._place.inconsistent(
                    f'more lines of {key} than {things}',
                    expected=f'one line for each of the {things}',
                    got=f'{left} more',
                )

    def request(self, packed: JsonObject, before: str, instructions: str | None) -> JsonObject:
        """Restore a request.

        Args:
            packed: Its short form.
            before: Logical time of its parts.
            instructions: Its instructions.
        """
        course = self._course
        if course.imported:
            self._begin_times(packed)
        wide = self._blank('request').copy()
        shorts = self._shorts(packed)
        wide['parts'] = [self._request_part(short, index, before) for index, short in enumerate(shorts)]
        wide['instructions'] = instructions
        if len(packed) == _SAYS_NO_MORE and not course.imported:
            if 'timestamp' in wide:
                wide['timestamp'] = course.now()
            return wide
        time = packed.get('timestamp', self._time) if course.imported else packed.get('timestamp', course.now())
        time = self._place.optional_text(time, 'timestamp')
        if 'timestamp' in wide:
            wide['timestamp'] = time
        self._seldom(wide, packed)
        self._end_times()
        return wide

    def response(self, packed: JsonObject) -> JsonObject:
        """Restore a response from its short form and its line of the provider."""
        course = self._course
        if course.imported:
            self._begin_times(packed)
        line = self._next_line(self._provider, 'provider', 'responses')
        wide = self._blank('response').copy()
        more = len(packed) > _SAYS_NO_MORE
        if more:
            wide |= {key: packed[key] for key in MODEL_KEYS if key in packed and key in wide}
        wide['timestamp'] = line.get('timestamp', self._time if course.imported else course.now())
        wide['parts'] = self._response_parts(packed, line, wide['provider_name'])
        wide['usage'] = self.parts.usage(line.get('usage'), 'provider.usage')
        wide['provider_details'] = line.get('provider_details')
        wide['provider_response_id'] = line.get('provider_response_id')
        if more:
            self._seldom(wide, packed)
        course.response_seen(wide)
        usual = usual_finish(course.calls, wide['provider_name'])
        wide['finish_reason'] = packed.get('finish_reason', usual) if more else usual
        self._end_times()
        return wide

    def _blank(self, kind: str) -> JsonObject:
        """How messages of a kind begin in this run: with what goes without saying there."""
        blank = self._blanks.get(kind)
        if blank is None:
            course = self._course
            usual = {'run_id': course.run_id, 'conversation_id': course.conversation_id}
            usual |= {key: course.model.get(key) for key in MODEL_KEYS}
            template = self._templates.messages[kind].blank
            blank = self._blanks[kind] = template | {key: value for key, value in usual.items() if key in template}
        return blank

    def _seldom(self, wide: JsonObject, packed: JsonObject) -> None:
        """Take what a message seldom says: whose it is where that goes without saying, and keys of some versions."""
        for key in _SELDOM:
            if key not in packed:
                continue
            if key not in wide:
                self._place.damaged(f'messages of this table have no {key!r}', cause='unknown-key', field=key)
            wide[key] = packed[key]

    def _lines(self, packed: JsonObject, key: str) -> Iterator[Json] | None:
        """The lines of provider or times; None if there are none at all."""
        value = packed.get(key)
        return None if value is None else iter(self._place.array(value, key))

    def _next_line(self, lines: Iterator[Json] | None, key: str, things: str) -> JsonObject:
        if lines is None:
            return _NOTHING
        line = next(lines, MISSING)
        if line is MISSING:
            self._too_few(key, things)
        return self._place.object(line, key, LINE_KEYS)

    def _too_few(self, key: str, things: str) -> None:
        self._place.inconsistent(
            f'fewer lines of {key} than {things}', expected=f'one line for each of the {things}', got='too few'
        )

    def _shorts(self, packed: JsonObject) -> list[Json]:
        shorts = packed.get('parts')
        return shorts if type(shorts) is list else self._place.array(shorts, 'parts')

    def _request_part(self, short: Json, index: int, before: str) -> JsonObject:
        wide = self.parts.part(short, self._templates.request_parts, f'parts.{index}')
        if 'timestamp' in wide and (wide['timestamp'] is MISSING or self._course.imported):
            wide['timestamp'] = self._part_time(before)
        if 'tool_call_id' in wide:
            wide['tool_call_id'] = self._answered(wide, index)
        if self.parts.types is not None:
            self._mark(index)
        return wide

    def _answered(self, part: JsonObject, index: int) -> str:
        """Which call a result answers."""
        course, call_id, call = self._course, part['tool_call_id'], self.parts.call
        placed = is_placed(part)
        place = course.place
        course.place += placed
        if call_id is not MISSING:
            return self._named(call_id, f'parts.{index}.tool_call_id')
        if call is None and not placed:
            return course.take_generated()
        at = place if call is None else call
        if type(at) is not int or not 0 <= at < len(course.calls):
            self._place.inconsistent(
                'a result of a call that was never made',
                expected=f'one of the {len(course.calls)} calls of the response before',
                got=f'a result for call {at}',
                field=f'parts.{index}.tool_call_id',
            )
        return self._place.text(course.calls[at], 'tool_call_id')

    def _named(self, call_id: Json, field: str) -> str:
        """An id that is written: as text, or as the number of a generated one."""
        if type(call_id) is int and call_id > 0:
            return self._course.generated(call_id)
        return self._place.text(call_id, field)

    def _response_parts(self, packed: JsonObject, line: JsonObject, provider: Json) -> list[Json]:
        shorts = self._shorts(packed)
        churned = self._place.array(line['parts'], 'provider.parts') if 'parts' in line else []
        if len(churned) > len(shorts):
            self._place.inconsistent(
                'the provider tells of parts that are not there',
                expected=f'at most {len(shorts)} parts',
                got=f'{len(churned)}',
                field='provider.parts',
            )
        builtin = BuiltinPlaces()
        found: list[Json] = []
        for index, short in enumerate(shorts):
            wide = self.parts.part(short, self._templates.response_parts, f'parts.{index}')
            if self.parts.types is not None:
                self._mark(index)
            churn = _NOTHING
            if index < len(churned):
                churn = self._churn(wide, churned[index], f'provider.parts.{index}')
            if 'provider_name' in wide and 'provider_name' not in churn:
                wide['provider_name'] = usual_provider(wide, provider)
            self._complete(wide, builtin)
            found.append(wide)
        return found

    def _churn(self, wide: JsonObject, value: Json, field: str) -> JsonObject:
        """Put what the provider churns into a part."""
        churn = self._place.object(value, field, CHURN_KEYS)
        if not churn.keys() <= wide.keys():
            key = next(key for key in churn if key not in wide)
            self._place.damaged(
                f'a {wide["part_kind"]} part has no {key!r}', cause='unknown-key', field=f'{field}.{key}'
            )
        wide.update(churn)
        return churn

    def _complete(self, wide: JsonObject, builtin: BuiltinPlaces) -> None:
        """Derive what a part of a response does not say."""
        if 'tool_call_id' in wide:
            wide['tool_call_id'] = self._called(wide, builtin)
        if 'timestamp' in wide and (wide['timestamp'] is MISSING or self._course.imported):
            wide['timestamp'] = self._part_time(self._course.now())

    def _called(self, part: JsonObject, builtin: BuiltinPlaces) -> Json:
        call_id = part['tool_call_id']
        if part['part_kind'] == 'builtin-tool-return':
            usual = builtin.answered()
            if call_id is MISSING and usual is None:
                self._place.inconsistent(
                    'a result of a built-in call that was never made', expected='a built-in call', got='none'
                )
            return usual if call_id is MISSING else self._named(call_id, 'provider.parts.tool_call_id')
        if call_id is MISSING:
            call_id = self._course.take_generated()
        else:
            call_id = self._named(call_id, 'provider.parts.tool_call_id')
        if part['part_kind'] == 'builtin-tool-call':
            builtin.called(call_id)
        return call_id

    def _begin_times(self, packed: JsonObject) -> None:
        """Take the line of times of an imported message."""
        line = MISSING if self._times is None else next(self._times, MISSING)
        if line is MISSING:
            self._too_few('times', 'messages')
        times = self._place.array(line, 'times')
        if not times or 'timestamp' in packed:
            self._place.inconsistent('an imported message without its time', expected='its time first', got=repr(times))
        self._time, *offsets = times
        self._part_times = iter(offsets)

    def _part_time(self, derived: str) -> Json:
        if not self._course.imported:
            return derived
        steps = next(self._part_times, MISSING)
        if steps is MISSING:
            self._place.inconsistent('fewer times than parts', expected='a time for each part that has one', got='none')
        try:
            return later(self._time, steps)
        except ValueError as error:
            self._place.damaged(str(error), field='times')

    def _end_times(self) -> None:
        if self._course.imported and next(self._part_times, MISSING) is not MISSING:
            self._place.inconsistent('more times than parts', expected='a time for each part that has one', got='more')

    def _mark(self, index: int) -> None:
        """Keep the type marks of the latest part."""
        marks = self._place.object(self.parts.types, f'parts.{index}.types')
        self.types.update({f'parts/{index}/{path}': name for path, name in marks.items()})
