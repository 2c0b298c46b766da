"""Constants that look like ids, edited between recording and replay: they are differences, and no minted values."""

import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import SystemRandom
from typing import Any
from uuid import uuid4

import pytest

from agentrun import Agent
from agentrun.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, UserPromptPart
from agentrun.models.function import FunctionModel
from agentrun.settings import ModelSettings
from agentrun.tools import Tool
from replay import use_cassette
from replay.errors import ReplayError
from tests.replay.test_minted_runs import calling, document, never, said
from tests.replay.test_pytest_plugin import PLUGINS, Project, project, summary

__all__ = ('project',)

UUID, OTHER_UUID = '5d1c0a4e-03f7-4f0a-8f0b-6b2c7c9f1e21', '0b9a7c1d-55e2-4c8e-9a61-f7d3b2a4c610'
PAIRS = {
    'uuid': (UUID, OTHER_UUID),
    'hash': ('9f86d081884c7d659a2feaa0c55ad015', '3fdba35f04dc8c462986c992bcf875aa'),
    'order': ('ORD-8F3K2L9Q7ABC', 'ORD-1D7P5T8W2XYZ'),
    'number': ('700123456789', '700123456790'),
}
"""A constant and what it is edited to, by what it looks like. They stand in the source of a module: this one."""

Calls = Callable[[FunctionModel, str], Awaitable[Any]]


def history(constant: str) -> list[ModelMessage]:
    """A conversation that tells a constant."""
    asked = ModelRequest(parts=[UserPromptPart(f'I am {constant}')])
    return [asked, ModelResponse(parts=[TextPart('hello')], model_name='m')]


def tool_of(constant: str) -> Tool[None]:
    """A tool that tells a constant."""
    return Tool(lambda: 'x', name='look', description=f'Of {constant}.')


CALLS: dict[str, Calls] = {
    'user prompt': lambda model, told: Agent(model, name='clerk').run(f'Order {told}, please'),
    'history': lambda model, told: Agent(model, name='clerk').run('go', message_history=history(told)),
    'instructions': lambda model, told: Agent(model, name='clerk', instructions=f'Only {told}').run('go'),
    'settings': lambda model, told: Agent(model, name='clerk').run(
        'go', model_settings=ModelSettings(extra_headers={'X-Order': told})
    ),
    'tool schema': lambda model, told: Agent(model, name='clerk', tools=[tool_of(told)]).run('go'),
}
"""Runs that tell a constant, by what changes with it."""


async def differs(tmp_path: Path, calls: Calls, was: str, now: str, *, cause: str = 'user prompt') -> None:
    """Record one constant and replay another one, which must be found."""
    with use_cassette('run', dir=tmp_path, record='once'):
        await calls(said('ok'), was)
    found = use_cassette('run', dir=tmp_path)
    with pytest.raises(ReplayError) as caught, found:
        await calls(never(), now)

    assert cause in caught.value.headline
    assert was in caught.value.render()
    assert now in caught.value.render()
    assert found.exchanged == ()


@pytest.mark.anyio
@pytest.mark.parametrize('cause', CALLS)
async def test_an_edited_constant_is_a_difference_wherever_it_is_told(tmp_path: Path, cause: str) -> None:
    await differs(tmp_path, CALLS[cause], *PAIRS['uuid'], cause='' if cause == 'history' else cause)


@pytest.mark.anyio
@pytest.mark.parametrize('kind', PAIRS)
async def test_an_edited_constant_is_a_difference_whatever_it_looks_like(tmp_path: Path, kind: str) -> None:
    await differs(tmp_path, CALLS['user prompt'], *PAIRS[kind])


@pytest.mark.anyio
async def test_a_constant_in_the_place_of_what_was_minted_is_a_difference(tmp_path: Path) -> None:
    await differs(tmp_path, CALLS['user prompt'], str(uuid4()), UUID)


@pytest.mark.anyio
async def test_another_spelling_of_a_constant_is_a_constant_too(tmp_path: Path) -> None:
    await differs(tmp_path, CALLS['user prompt'], UUID.replace('-', ''), OTHER_UUID.replace('-', '').upper())


@pytest.mark.anyio
async def test_an_edited_constant_that_is_recorded_anew_holds(tmp_path: Path) -> None:
    for told in (str(uuid4()), *PAIRS['uuid']):
        with use_cassette('run', dir=tmp_path, record='all'):
            await CALLS['user prompt'](said('ok'), told)
    with use_cassette('run', dir=tmp_path) as session:
        await CALLS['user prompt'](never(), OTHER_UUID)

    assert OTHER_UUID in session.cassette_path.read_text()
    assert 'minted' not in document(session)['runs'][0]


@pytest.mark.anyio
async def test_a_constant_that_a_live_tool_returns_is_compared(tmp_path: Path) -> None:
    returned = UUID
    agent = Agent(name='clerk', tools=[Tool(lambda: returned, name='order')])
    with use_cassette('run', dir=tmp_path, record='once'):
        await agent.run('go', model=said(calling('order'), 'ok'))
    returned = OTHER_UUID

    with pytest.raises(ReplayError, match='order'), use_cassette('run', dir=tmp_path, tools='verify'):
        await agent.run('go', model=never())


@pytest.mark.anyio
async def test_values_that_were_minted_are_exchanged_and_told(tmp_path: Path) -> None:
    drawn = SystemRandom()
    seen: list[tuple[str, str]] = []

    async def go(model: FunctionModel) -> None:
        ticket, code = str(uuid4()), ''.join(drawn.choices('ABCDEFGHJKLMNPQRSTUVWXYZ23456789', k=24)) + '7X7'
        seen.append((ticket, code))
        await Agent(model, name='clerk', instructions=f'Only {code}').run(f'Order {ticket} of {UUID}')

    with use_cassette('run', dir=tmp_path, record='once') as recording:
        await go(said('ok'))
    with use_cassette('run', dir=tmp_path) as session:
        await go(never())

    assert recording.exchanged == ()
    assert sorted(session.exchanged) == sorted(zip(*seen, strict=True))


# -- projects

APP = """
import json
import os
from pathlib import Path
from random import SystemRandom
from uuid import uuid4

import pytest
from agentrun import Agent
from agentrun.messages import ModelResponse, TextPart
from agentrun.models.function import FunctionModel


def script(messages, info):
    return ModelResponse(parts=[TextPart('ok')])


agent = Agent(FunctionModel(script), name='clerk')
"""

TESTS = {
    'test file': ('', 'Order CONSTANT, please'),
    'module': ('', '{told.CONSTANT}'),
    'parameter': ("@pytest.mark.parametrize('order', ['CONSTANT'], ids=['one'])", '{order}'),
    'data file': ('', "{json.loads(Path(__file__).with_name('order.json').read_text())['order']}"),
}
"""Decorator and prompt of a test, by where its constant stands."""


def write(project: Project, where: str, constant: str) -> None:
    """Write a test, a module that it imports and its data; the data as if it had been there for long."""
    (project.path / 'told.py').write_text(f'CONSTANT = {constant if where == "module" else ""!r}\n')
    (project.path / 'order.json').write_text(f'{{"order": "{constant if where == "data file" else ""}"}}')
    os.utime(project.path / 'order.json', (0, 0))
    decorator, prompt = (text if 'told.' in text else text.replace('CONSTANT', constant) for text in TESTS[where])
    order = ', order' if decorator else ''
    project.tests(
        f'import told\nfrom shop import *\n\n{decorator}\ndef test_order(agent_run_replay{order}):\n'
        f'    agent.run_sync(f"{prompt}")\n'
    )


@pytest.mark.parametrize('where', TESTS)
def test_an_edit_of_a_constant_is_found_wherever_it_stands(
    project: Project, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Bytecode of a file is taken for that of another one of its length and second.
    monkeypatch.setattr(sys, 'dont_write_bytecode', True)
    project.pytester.makepyfile(shop=APP)
    write(project, where, UUID)
    project.run('--replay-record=once').assert_outcomes(passed=1)
    write(project, where, OTHER_UUID)

    found = project.run()

    found.assert_outcomes(failed=1)
    shown = found.stdout.str()
    assert 'user prompt of clerk changed' in shown
    assert UUID in shown
    assert OTHER_UUID in shown


def test_another_value_of_an_environment_variable_is_found(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.pytester.makepyfile(shop=APP)
    project.tests('from shop import *\n\ndef test_order(agent_run_replay):\n    agent.run_sync(os.environ["ORDER"])\n')
    for told, options in ((str(uuid4()), ['--replay-record=once']), (str(uuid4()), [])):
        monkeypatch.setenv('ORDER', told)
        found = project.pytester.runpytest_subprocess(*PLUGINS, *options)

    found.assert_outcomes(failed=1)
    assert 'user prompt of clerk changed' in found.stdout.str()


def test_fresh_values_play_and_the_summary_counts_them(project: Project) -> None:
    project.pytester.makepyfile(shop=APP)
    project.tests("""
        import time
        from shop import *

        def test_order(agent_run_replay):
            letters = ''.join(SystemRandom().choices('abcdefghijkmnpqrstuvwxyz23456789', k=24))
            agent.run_sync(f'Order {uuid4()} with x7{letters}7x, today {time.strftime("%Y-%m-%d %H:%M:%S")}')
    """)
    project.run('--replay-record=once').assert_outcomes(passed=1)

    found = project.run()

    found.assert_outcomes(passed=1)
    assert '2 minted values exchanged' in summary(found)
