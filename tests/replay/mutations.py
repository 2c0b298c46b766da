"""Histories with one derived item changed: each is a history that the core would not have made.

What a recording supplies (prompts, model outcomes, what tools gave) is left alone; changing that gives another history
that is just as possible.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, TypeAlias

from replay.cassette import Run
from replay.check import check_run
from replay.history import from_history
from replay.playback import node_of_message

FIXED = (
    'Final result processed.',
    'Output tool not used - a final result was already processed.',
    'Tool not executed - a final result was already processed.',
    'Output tool not used - output failed validation.',
)
"""Texts of tool returns that the core writes."""

FIXED_BEGINNINGS = ('Unknown tool name: ', 'Please return text', 'Please include your response', 'Please call a tool')
"""Beginnings of the retries that it writes."""


@dataclass(frozen=True, kw_only=True)
class History:
    """A history with the facts that go with it."""

    messages: list[Any]
    new_from: int
    facts: Mapping[str, Any]
    changed: int | None = None
    """Index of the message at which it was changed; None if a fact was."""

    @property
    def requests(self) -> list[int]:
        """Indexes of the new requests."""
        return [index for index in self.new if self.messages[index]['kind'] == 'request']

    @property
    def new(self) -> range:
        return range(self.new_from, len(self.messages))

    def with_message(self, at: int, change: Callable[[list[Any], int], Any]) -> 'History':
        messages = deepcopy(self.messages)
        change(messages, at % len(messages))
        return replace(self, messages=messages, changed=at % len(self.messages))

    def with_part(self, at: int, place: int, change: Callable[[list[Any], int], Any]) -> 'History':
        return self.with_message(at, lambda messages, at: change(messages[at]['parts'], place))


Mutation: TypeAlias = Callable[[History], Iterator[History]]


def answers_of(message: Any) -> list[int]:
    return [
        index for index, part in enumerate(message['parts']) if part['part_kind'] in {'tool-return', 'retry-prompt'}
    ]


def _swap(parts: list[Any], one: int, other: int) -> None:
    parts[one], parts[other] = parts[other], parts[one]


def swap_two_tool_returns(history: History) -> Iterator[History]:
    for at in history.requests:
        places = answers_of(history.messages[at])
        for one, other in pairwise(places):
            yield history.with_part(at, one, lambda parts, place, other=other: _swap(parts, place, other))


def reorder_the_parts_of_a_request(history: History) -> Iterator[History]:
    for at in history.requests:
        kinds = [part['part_kind'] for part in history.messages[at]['parts']]
        for place, (one, other) in enumerate(pairwise(kinds)):
            if one != other:  # which of two prompts of one kind comes first is for the agent to say
                yield history.with_part(at, place, lambda parts, place: _swap(parts, place, place + 1))


def alter_a_fixed_text(history: History) -> Iterator[History]:
    for at in history.requests:
        for place, part in enumerate(history.messages[at]['parts']):
            content = part['content']
            if isinstance(content, str) and (content in FIXED or content.startswith(FIXED_BEGINNINGS)):
                # With another beginning, it could be what a tool of that name says.
                beginning = content if content.startswith('Unknown') else content.replace(' ', '  ', 1)
                for altered in {f'{content} ', content[:-1], beginning} - {content}:
                    yield history.with_part(
                        at, place, lambda parts, place, altered=altered: parts[place].update(content=altered)
                    )


def closes(history: History) -> bool:
    return history.messages[-1]['kind'] == 'request' and history.facts.get('error') is None


def drop_the_closing_request(history: History) -> Iterator[History]:
    if closes(history) and history.facts.get('output_tool') is not None:
        yield history.with_message(-1, lambda messages, at: messages.pop(at))


def drop_a_request(history: History) -> Iterator[History]:
    for at in history.requests:
        if history.new_from < at < len(history.messages) - 1:
            yield history.with_message(at, lambda messages, at: messages.pop(at))


def duplicate_a_request(history: History) -> Iterator[History]:
    for at in history.requests:
        if at > history.new_from:
            yield history.with_message(at, _duplicate)


def _duplicate(items: list[Any], at: int) -> None:
    items.insert(at, deepcopy(items[at]))


def drop_the_answer_to_a_call(history: History) -> Iterator[History]:
    for at in history.requests:
        for place in answers_of(history.messages[at]):
            yield history.with_part(at, place, lambda parts, place: parts.pop(place))


def duplicate_the_answer_to_a_call(history: History) -> Iterator[History]:
    for at in history.requests:
        for place in answers_of(history.messages[at]):
            yield history.with_part(at, place, _duplicate)


def _lengthen(history: History, field: str, more: str) -> Iterator[History]:
    for at in history.requests:
        for place in answers_of(history.messages[at]):
            part = history.messages[at]['parts'][place]
            if part['tool_name'] is not None:  # a generated id answers no call
                longer = {field: f'{part[field]}{more}'}
                yield history.with_part(at, place, lambda parts, place, longer=longer: parts[place].update(longer))


def change_the_call_id_of_an_answer(history: History) -> Iterator[History]:
    yield from _lengthen(history, 'tool_call_id', 'x')


def rename_the_tool_of_an_answer(history: History) -> Iterator[History]:
    yield from _lengthen(history, 'tool_name', '_2')


def give_instructions_to_the_closing_request(history: History) -> Iterator[History]:
    if closes(history):
        yield history.with_message(-1, lambda messages, at: messages[at].update(instructions='Be brief.'))


def give_a_request_metadata(history: History) -> Iterator[History]:
    for at in history.requests:
        yield history.with_message(at, lambda messages, at: messages[at].update(metadata={'a': 1}))


def change_the_run_id_of_a_message(history: History) -> Iterator[History]:
    for at in [at for at in history.requests if at > history.new_from][-1:]:
        yield history.with_message(at, lambda messages, at: messages[at].update(run_id='another'))


def drop_the_last_response(history: History) -> Iterator[History]:
    if history.messages[-1]['kind'] == 'response' and len(history.new) > 2:
        yield history.with_message(-1, lambda messages, at: messages.pop(at))


def duplicate_the_last_response(history: History) -> Iterator[History]:
    if history.messages[-1]['kind'] == 'response' and history.new:
        yield history.with_message(-1, _duplicate)


def forget_the_error(history: History) -> Iterator[History]:
    # A last response with calls might have ended its run: they were put off.
    if history.facts.get('error') is not None and history.messages[-1]['kind'] == 'request':
        yield replace(history, facts={name: fact for name, fact in history.facts.items() if name != 'error'})


def claim_an_error(history: History) -> Iterator[History]:
    if history.facts.get('error') is None and history.messages[-1]['kind'] == 'response' and len(history.new) > 1:
        yield replace(history, facts={**history.facts, 'error': {'type': 'UsageLimitExceeded', 'message': 'No.'}})


def move_new_from(history: History) -> Iterator[History]:
    """Move the beginning of the run to where no run could begin."""
    for new_from in range(len(history.messages)):
        if new_from != history.new_from and not _could_begin_at(history, new_from):
            yield replace(history, new_from=new_from)


def _could_begin_at(history: History, new_from: int) -> bool:
    """Whether it is the same run as one that sends the last request of its history again, or the other way round."""
    first, moved = history.messages[history.new_from - 1 :][:2], abs(new_from - history.new_from)
    taken_up = history.new_from > 0 and first[0]['kind'] == 'request'
    again = first[-1]['kind'] == 'request' if history.new_from else history.messages[0]['kind'] == 'request'
    return moved == 1 and (again if new_from > history.new_from else taken_up)


MUTATIONS: tuple[Mutation, ...] = (
    swap_two_tool_returns,
    reorder_the_parts_of_a_request,
    alter_a_fixed_text,
    drop_the_closing_request,
    drop_a_request,
    duplicate_a_request,
    drop_the_answer_to_a_call,
    duplicate_the_answer_to_a_call,
    change_the_call_id_of_an_answer,
    rename_the_tool_of_an_answer,
    give_instructions_to_the_closing_request,
    give_a_request_metadata,
    change_the_run_id_of_a_message,
    drop_the_last_response,
    duplicate_the_last_response,
    forget_the_error,
    claim_an_error,
    move_new_from,
)


def history_of(data: Mapping[str, Any]) -> History:
    """A history of an object with `messages` and facts."""
    facts = {name: fact for name, fact in data.items() if name not in {'messages', 'new_from'}}
    return History(messages=data['messages'], new_from=data['new_from'], facts=facts)


def imported(history: History) -> Run:
    """The run that an import makes of a history."""
    source = json.dumps(history.messages)
    return from_history(source, new_from=history.new_from, **history.facts).cassette.runs[0]


def missed(histories: Mapping[str, History]) -> tuple[list[str], dict[str, int]]:
    """Play every mutation of some histories.

    Returns:
        Those that were not found, or found at a node that has nothing to do with the change; how many there were of
        each kind.
    """
    found: list[str] = []
    counts: dict[str, int] = {}
    for name, history in histories.items():
        for mutation in MUTATIONS:
            for mutant in mutation(history):
                counts[mutation.__name__] = counts.get(mutation.__name__, 0) + 1
                run = imported(mutant)
                checked = check_run(run)
                if checked.divergence is None or not _is_near(run, mutant, checked.divergence.node):
                    found.append(f'{mutation.__name__} of {name}: {checked}')
    return found, counts


def _is_near(run: Run, mutant: History, node: int) -> bool:
    """Whether a node is one of those around the changed message: of the message itself, before it, or after it."""
    if mutant.changed is None:
        return True
    near = [node_of_message(run, mutant.changed + step) for step in (-1, 0, 1)]
    return min(near) <= node <= max(near) + 1
