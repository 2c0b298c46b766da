"""Acts worlds out: every run is driven as its plan says, and all that a user sees of it is noted.

As a program it acts all worlds of a folder out in one process: `python -m tests.replay.worlds_acted FOLDER TASK SEED`.
"""

import dataclasses
import json
import locale
import math
import pickle
import re
import sys
import traceback
import warnings
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from datetime import datetime, time
from functools import partial
from itertools import zip_longest
from pathlib import Path
from random import Random
from typing import Any, cast

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from pydantic import BaseModel

from agentrun import Agent, AgentRunResult, capture_run_messages
from agentrun.exceptions import ModelRetry
from agentrun.messages import ModelRequest, UserPromptPart
from agentrun.tools import DeferredToolRequests, DeferredToolResults
from replay import Session
from replay.adapters._cancelled import PATIENCE
from replay.errors import NotRestorable, ReplayError
from tests.replay.worlds import CANCEL, Happened, Stage, Step, WorldPlan, agent_of, limits_of

# -- what is noted


def typed(value: Any) -> str:  # noqa: PLR0911, a line for each kind of value
    """What a value is, its types included, the same in every process."""
    name = type(value).__name__
    if value is None or isinstance(value, bool | int | str | bytes):
        return f'{name} {value!r}'
    if isinstance(value, float):
        return f'{name} {"nan" if math.isnan(value) else repr(value)}'
    if isinstance(value, datetime | time):
        return f'{name} {value.isoformat()}'  # the same zone has two classes
    if isinstance(value, set | frozenset):
        return f'{name} {sorted(map(typed, cast("set[Any]", value)))}'
    if isinstance(value, Mapping):
        items = cast('Mapping[Any, Any]', value).items()
        return f'{name} {{{", ".join(f"{typed(key)}: {typed(item)}" for key, item in items)}}}'
    if isinstance(value, list | tuple):
        return f'{name} [{", ".join(map(typed, cast("Sequence[Any]", value)))}]'
    if dataclasses.is_dataclass(value):
        fields = {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
        return f'{name} {typed(fields)}'
    if isinstance(value, BaseModel):
        return f'{name} {typed(dict(value))}'
    if isinstance(value, BaseException):
        attributes = {key: one for key, one in vars(value).items() if not key.startswith('_')}
        inner = cast('Any', value).exceptions if isinstance(value, BaseExceptionGroup) else ()
        return f'{name} {value} {typed(attributes)} {typed(inner)}'  # causes are not recorded
    return f'{name} {re.sub(" at 0x[0-9a-f]+", "", repr(value))}'


class Noted:
    """What a user sees of one run, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.messages: list[Any] | None = None
        self.output: Any = None
        self._nodes: list[Any] = []

    def note(self, what: str, value: object = None) -> None:
        self.lines.append(f'{what}: {typed(value)}')

    def node(self, node: object) -> None:
        """A node shows what code put into it, until its request is made; so it is looked at when the run is over."""
        self.lines.append(type(node).__name__)
        self._nodes.append(node)

    def result(self, result: Any) -> None:
        self.messages, self.output = result.all_messages(), getattr(result, 'output', None)
        self.note('output', self.output)
        self.note('usage', result.usage())
        self.note('messages', self.messages)
        self.note('bytes', result.all_messages_json())
        self.note('new bytes', result.new_messages_json())
        if isinstance(result, AgentRunResult):
            self.note('time', cast('Any', result).timestamp())

    def over(self) -> None:
        if self._nodes and type(self._nodes[-1]).__name__ == 'ModelRequestNode':
            self._nodes.pop()  # perhaps its request was never made: then nothing of it is recorded
        for node in self._nodes:
            kind = type(node).__name__
            if kind in {'ModelRequestNode', 'CallToolsNode'}:
                self.note(kind, getattr(node, 'request', None) or node.model_response)


# -- driving


class LeftError(Exception):
    """The user's code has seen enough."""


async def leave(step: Step) -> None:
    if step.cancel:
        cast('Any', SCOPE[0]).cancel()
        await anyio.lowlevel.checkpoint()
    raise LeftError


SCOPE: list[anyio.CancelScope] = []


async def by_run(agent: Agent[None, Any], step: Step, arguments: dict[str, Any], noted: Noted) -> None:
    noted.result(await agent.run(**arguments))


async def by_sync(agent: Agent[None, Any], step: Step, arguments: dict[str, Any], noted: Noted) -> None:
    noted.result(await anyio.to_thread.run_sync(partial(agent.run_sync, **arguments)))


async def by_iter(agent: Agent[None, Any], step: Step, arguments: dict[str, Any], noted: Noted) -> None:
    count = 0
    async with agent.iter(**arguments) as run:
        async for node in run:
            noted.node(node)
            count += 1
            if count == step.leave:
                break
        noted.note('so far', run.all_messages())
    if run.result is not None:
        noted.result(run.result)


async def by_next(agent: Agent[None, Any], step: Step, arguments: dict[str, Any], noted: Noted) -> None:
    count = 0
    async with agent.iter(**arguments) as run:
        node: Any = run.next_node
        while not Agent.is_end_node(node):
            node = await run.next(node)
            noted.node(node)
            count += 1
            if count == step.leave:
                await leave(step)
    noted.result(run.result)


async def by_nodes(agent: Agent[None, Any], step: Step, arguments: dict[str, Any], noted: Noted) -> None:
    async with agent.iter(**arguments) as run:
        async for node in run:
            noted.node(node)
            if not (Agent.is_model_request_node(node) or Agent.is_call_tools_node(node)):
                continue
            stream: Any = node.stream(run.ctx)
            async with stream as events:
                await take(events, step, noted)
    noted.result(run.result)


async def take(events: Any, step: Step, noted: Noted) -> None:
    count = 0
    async for event in events:
        noted.note('event', event)
        count += 1
        if count == step.leave:
            break


async def by_handler(agent: Agent[None, Any], step: Step, arguments: dict[str, Any], noted: Noted) -> None:
    async def handler(ctx: Any, events: Any) -> None:
        noted.note('handler', (ctx.run_step, len(ctx.messages), ctx.usage))
        await take(events, step, noted)

    noted.result(await agent.run(event_stream_handler=handler, **arguments))


async def by_events(agent: Agent[None, Any], step: Step, arguments: dict[str, Any], noted: Noted) -> None:
    count = 0
    async with aclosing(cast('Any', agent.run_stream_events(**arguments))) as events:
        async for event in events:
            if type(event).__name__ == 'AgentRunResultEvent':
                noted.result(event.result)
            else:
                noted.note('event', event)
            count += 1
            if count == step.leave:
                await leave(step)


async def by_run_stream(agent: Agent[None, Any], step: Step, arguments: dict[str, Any], noted: Noted) -> None:
    count = 0
    async with agent.run_stream(**arguments) as result:
        async for response, last in result.stream_responses(debounce_by=None):
            noted.note('response', (response, last))
            count += 1
            if count == step.leave:
                await leave(step)
        noted.note('output', await result.get_output())
        noted.result(result)
    noted.result(result)


STYLES: dict[str, Any] = {
    'run': by_run,
    'sync': by_sync,
    'iter': by_iter,
    'next': by_next,
    'nodes': by_nodes,
    'handler': by_handler,
    'events': by_events,
    'run_stream': by_run_stream,
}


def arguments_of(step: Step, earlier: Sequence[Noted]) -> dict[str, Any]:
    """The arguments of a run, of what runs before it have left."""
    arguments: dict[str, Any] = {'usage_limits': limits_of(step)}
    before = earlier[step.history] if step.history is not None else None
    if before is None or before.messages is None:
        return arguments | {'user_prompt': step.prompt}
    history = list(before.messages)
    if step.edited:
        history = history[:2]
        if isinstance(history[0], ModelRequest):
            history[0] = ModelRequest(parts=[UserPromptPart('Something else')])
    if isinstance(before.output, DeferredToolRequests) and not step.edited:
        calls = {
            one.tool_call_id: f'found {at}' if at else ModelRetry('no') for at, one in enumerate(before.output.calls)
        }
        approvals: Any = {one.tool_call_id: bool(at) for at, one in enumerate(before.output.approvals)}
        results = DeferredToolResults(calls=calls, approvals=approvals)
        return arguments | {'message_history': history, 'deferred_tool_results': results}
    return arguments | {'user_prompt': step.prompt, 'message_history': history}


async def act(step: Step, happened: Happened, path: str, earlier: Sequence[Noted], noted: Noted) -> None:
    """Drive one run, and note how it ends."""
    stage = Stage(step.agent, happened, path)
    arguments = arguments_of(step, earlier)
    agent = agent_of(stage, with_model=not step.model_of_run)
    if step.model_of_run:
        arguments['model'] = stage.model()
    with anyio.CancelScope() as scope, capture_run_messages() as captured:
        SCOPE[:] = [scope]
        CANCEL.set(scope.cancel)
        try:
            await STYLES[step.style](agent, step, arguments, noted)
        except Exception as error:
            if isinstance(error, ReplayError):
                raise
            noted.note('error', error)
            noted.note('captured', captured)
    noted.note('cancelled', scope.cancelled_caught and captured)
    noted.over()


async def act_out(plan: WorldPlan, happened: Happened) -> list[list[str]]:
    """Act a world out.

    Returns:
        What was noted of each run, in the order of the plan.
    """
    earlier: list[Noted] = []
    for steps in plan.together:
        noted = [Noted() for _ in steps]
        if len(steps) == 1:
            await act(steps[0], happened, f'{len(earlier)}', earlier, noted[0])
        else:
            async with anyio.create_task_group() as group:
                for number, (step, one) in enumerate(zip(steps, noted, strict=True)):
                    group.start_soon(act, step, happened, f'{len(earlier)}.{number}', list(earlier), one)
        earlier += noted
    return [one.lines for one in earlier]


# -- in sessions

FAILED_CALLS = (b'"kind": "raised"', b'exceeded max retries count')
"""What a cassette says of calls that ended a batch; which of the others had ended by then is left to chance."""


def fallen(error: BaseException) -> list[str]:
    """What `replay` says of an error, if anything of it was its own."""
    if isinstance(error, BaseExceptionGroup):
        return [line for one in cast('BaseExceptionGroup[Any]', error).exceptions for line in fallen(one)]
    if isinstance(error, ReplayError):
        return [error.render()]
    return [''.join(traceback.format_exception(error))]


async def slept(happened: Happened, sleep: Callable[[float], Awaitable[None]], seconds: float) -> None:
    """Sleep; a replay that waits to be cancelled is, as soon as nothing else goes on."""
    await (happened.hang() if seconds == PATIENCE else sleep(seconds))


def in_session(plan: WorldPlan, session: Session, happened: Happened, backend: str) -> dict[str, Any]:
    """Act a world out with a cassette.

    Returns:
        What was noted, the runs at the top, and what went wrong.
    """
    noted: list[list[str]] = []
    wrong: list[str] = []
    with session.bound(), warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(anyio, 'sleep', partial(slept, happened, anyio.sleep))
        warnings.simplefilter('error')
        session.open()
        try:
            noted = anyio.run(act_out, plan, happened, backend=backend)
        except BaseException as error:  # noqa: BLE001, told with all else
            wrong += fallen(error)
        problems = session.close()
    refused = any(isinstance(problem, NotRestorable) for problem in problems)
    wrong += [problem.render() for problem in problems if problem.render() not in wrong]
    top = [run for run in session.runs if '/' not in run.name]
    runs = sorted([run.name, [*run.node_kinds], repr(run.all_json), repr(run.new_json)] for run in top)
    return {'noted': noted, 'runs': runs, 'wrong': wrong, 'refused': refused, 'asked': happened.asked}


def recorded(plan: WorldPlan, folder: Path, name: str, *, seed: int, mode: Any = 'once', **order: Any) -> Any:
    """Record a world; what happened stands under `ended`."""
    rng = Random(seed)
    happened = Happened(rng, **order)
    found = in_session(plan, Session(name, dir=folder, record=mode), happened, rng.choice(['asyncio', 'trio']))
    return found | {'ended': happened.ended}


def replayed(plan: WorldPlan, folder: Path, name: str, *, seed: int) -> Any:
    """Replay a world on either event loop, with tools that are not run, or run, or run and compared."""
    rng = Random(seed)
    alone = all(len(steps) == 1 for steps in plan.together)
    how = rng.choice(['replay', 'replay', 'live', 'verify']) if alone else 'replay'
    backend = rng.choice(['asyncio', 'trio'])
    found = in_session(plan, Session(name, dir=folder, tools=how), Happened(rng), backend)
    return found | {'how': [how, backend]}


def recorded_again(plan: WorldPlan, folder: Path, name: str, first: Any, *, seed: int) -> Any:
    """Record a world anew in each mode, its tools ending in the order of before.

    Returns:
        By the name of the mode: what was wrong, whether the world did the same again (where calls
        failed, which did so first is left to chance), and whether the file is as it was, time and all.
    """
    path = folder / f'{name}.json'
    found: dict[str, Any] = {}
    order = {key: place for place, key in enumerate(first['ended'])}
    for mode in ('once', 'new_episodes', 'all', 'rewrite'):
        before, stamp = path.read_bytes(), path.stat().st_mtime_ns
        again = recorded(plan, folder, name, seed=seed, mode=mode, order=order)
        files = (before, path.read_bytes())
        raced = any(failed in one for one in files for failed in FAILED_CALLS)  # which call failed first?
        found[mode] = {
            'wrong': again['wrong'],
            'asked': again['asked'],
            'same': again['ended'] == first['ended'] and again['asked'] in (0, first['asked']) and not raced,
            'untouched': (path.read_bytes(), path.stat().st_mtime_ns) == (before, stamp),
        }
        path.write_bytes(before)
    return found


def differences(first: Any, again: Any) -> list[str]:
    """What a replay has shown otherwise than its recording, as texts to read; nothing where both are the same."""
    found = [*again['wrong']]
    if again['asked']:
        found.append(f'{again["asked"]} live requests')
    if first['runs'] != again['runs']:
        found.append(f'runs\n{first["runs"]}\n{again["runs"]}')
    for number, (one, other) in enumerate(zip_longest(first['noted'], again['noted'], fillvalue=())):
        for line, now in zip_longest(one, other, fillvalue=''):
            if line != now:
                found.append(f'run {number}\n{line}\n{now}')
                break
    return found


def name_of(number: int) -> str:
    return f'world-{number}'


def main(folder: Path, task: str, seed: int) -> None:
    """Do one task with all worlds of a folder, and leave what was found in a file beside them."""
    with suppress(locale.Error):  # those that the system has
        locale.setlocale(locale.LC_ALL, '')
    plans: list[WorldPlan] = pickle.loads((folder / 'plans.pickle').read_bytes())
    found: list[Any] = []
    firsts: list[Any] = json.loads((folder / 'record-0.json').read_text()) if task != 'record' else []
    for number, plan in enumerate(plans):
        name, salt = name_of(number), seed * 10_007 + number
        if task == 'record':
            found.append(recorded(plan, folder, name, seed=salt))
        elif firsts[number]['refused'] or firsts[number]['wrong']:
            found.append(None)
        elif task == 'replay':
            found.append(replayed(plan, folder, name, seed=salt))
        else:
            found.append(recorded_again(plan, folder, name, firsts[number], seed=salt))
    (folder / f'{task}-{seed}.json').write_text(json.dumps(found))


if __name__ == '__main__':
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
