"""What users do in code that is not async, in both libraries."""

import asyncio
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest

from tests.both import Library, stable

pydantic_ai = pytest.importorskip('pydantic_ai', reason='the library that is followed is not installed')

SCRIPTS: list[Callable[[Any], object]] = []
the_agent: Any = None
"""Held by a global variable, for the name that a run takes from it."""


@pytest.fixture
def loop() -> Iterator[None]:
    """The loop that the other library waits on, and would leave open."""
    made = asyncio.new_event_loop()
    asyncio.set_event_loop(made)
    yield
    asyncio.set_event_loop(None)
    made.close()


def script(function: Callable[[Any], object]) -> Callable[[Any], object]:
    SCRIPTS.append(function)
    return function


@script
def names_come_from_local_and_global_variables(lib: Any) -> object:
    global the_agent  # noqa: PLW0603, it is a global variable that is looked for
    mine = lib.Agent(lib.says('hi'))
    mine.run_sync('x')
    the_agent = lib.Agent(lib.says('hi'))
    the_agent.run_sync('x')
    hidden = [lib.Agent(lib.says('hi'))]
    hidden[0].run_sync('x')
    quiet = lib.Agent(lib.says('hi'))
    quiet.run_sync('x', infer_name=False)
    inner = lib.Agent(lib.says('hi'))
    around = import_module(f'{lib.name}.agent').WrapperAgent(inner)
    around.run_sync('x')
    return mine.name, the_agent.name, hidden[0].name, quiet.name, inner.name


@script
def runs_go_on_from_each_other(lib: Any) -> object:
    agent = lib.Agent(lib.says(('ping', {}), 'done'), instructions='brief', system_prompt='nice')

    @agent.tool_plain
    def ping() -> str:
        return 'pong'

    usage = lib.RunUsage()
    first = agent.run_sync('one', usage=usage)
    second = agent.run_sync('two', message_history=first.all_messages(), usage=usage, model_settings={'seed': 1})
    return [result.all_messages_json().decode() for result in (first, second)], repr(usage), repr(second), lib.asked


@script
def messages_are_captured_and_errors_raised(lib: Any) -> object:
    agent = lib.Agent(lib.says(('ping', {})))

    @agent.tool_plain
    def ping() -> str:
        raise ValueError('broken')

    with lib.capture_run_messages() as messages:
        raised = lib.raised(lambda: agent.run_sync('x'))
    return raised, lib.dump(messages), lib.raised(lambda: lib.Agent().run_sync('x'))


@script
def what_is_overridden_holds(lib: Any) -> object:
    agent = lib.Agent(lib.says('own'), deps_type=int)
    agent.tool_plain(lambda: 1, name='one')
    shown: list[str] = []
    with agent.override(model=lib.TestModel(), deps=3), agent.sequential_tool_calls():
        shown.append(agent.run_sync('x', deps=1).all_messages_json().decode())
    shown.append(agent.run_sync('x').output)
    return shown


@script
def models_to_fall_back_on_are_asked_in_turn(lib: Any) -> object:
    fallback = import_module(f'{lib.name}.models.fallback').FallbackModel
    wrapper = import_module(f'{lib.name}.models.wrapper').WrapperModel
    down = lib.says(lib.ModelHTTPError(503, 'm'))
    asked = [lib.ModelRequest.user_text_prompt('go')]
    direct = import_module(f'{lib.name}.direct').model_request_sync(fallback(down, wrapper('test')), asked)
    agent = lib.Agent(fallback(down, wrapper(lib.says('good'))))
    return repr(direct), agent.run_sync('x').all_messages_json().decode(), lib.asked


@pytest.mark.parametrize('script', SCRIPTS)
@pytest.mark.usefixtures('loop')
def test_both_libraries_agree(script: Callable[[Any], object]) -> None:
    ours = stable(script(Library('agentrun', 'agentrun.graph')))
    assert ours == stable(script(Library('pydantic_ai', 'pydantic_graph')))
