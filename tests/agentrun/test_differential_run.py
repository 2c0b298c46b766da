"""Runs of any script in both libraries: the same messages, nodes, usage, outputs and errors."""

import contextlib
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.side_by_side import OUTPUTS, STYLES, Library, Script, agent_for, both, let_errors_go

pydantic_ai = pytest.importorskip('pydantic_ai', reason='compares with pydantic-ai-slim 1.38')

WORDS = st.sampled_from(['', 'yes', 'two words', '{"city": "Paris"}', '{"city": 1}', 'x' * 30])
ARGS: dict[str, list[Any]] = {
    'add': [{'x': 1}, {'x': 'no'}, '{"x": 2, "y": 3}', '{"x": ', '', None, {}],
    'step': [{}, '', None],
    'fussy': [{'word': 'please'}, {'word': 'now'}],
    'picture': [{}],
    'files': [{}],
    'nothing': [{}],
    'final_result': [{'city': 'Rome'}, {'city': 1}, '{"city": "Rome", "people": 3}', {}],
    'place': [{'city': 'Oslo'}, {}],
    'number': [{'response': 3}, {'response': 'x'}],
}
CALLS = st.sampled_from([('call', name, args) for name, choices in ARGS.items() for args in choices])
PARTS = st.one_of(CALLS, CALLS, st.tuples(st.just('text'), WORDS), st.just(('think', 'hmm')), st.just(('builtin',)))
SCRIPTS = st.lists(st.lists(PARTS, max_size=4), max_size=5)


@given(
    script=SCRIPTS,
    output=st.sampled_from(sorted(OUTPUTS)),
    end_strategy=st.sampled_from(['early', 'exhaustive']),
    retries=st.integers(0, 2),
    output_retries=st.sampled_from([None, 0, 3]),
    style=st.sampled_from(sorted(STYLES)),
)
def test_any_script_gives_the_same_run(
    script: Script, output: str, end_strategy: str, retries: int, output_retries: int | None, style: str
):
    def make(lib: Library) -> tuple[Any, dict[str, Any]]:
        options: dict[str, Any] = {'end_strategy': end_strategy, 'retries': retries, 'output_retries': output_retries}
        return agent_for(lib, script, output, **options), {'user_prompt': 'go'}

    both(make, style, which_tool=False)


@given(
    first=SCRIPTS,
    second=SCRIPTS,
    prompt=st.sampled_from([None, 'and then?', ['a', 'b']]),
    cut=st.integers(0, 12),
    instructions=st.booleans(),
)
def test_any_beginning_of_a_history_is_continued_the_same_way(
    first: Script, second: Script, prompt: Any, cut: int, instructions: bool
):
    made: dict[str, list[Any]] = {}

    def make(lib: Library) -> tuple[Any, dict[str, Any]]:
        if lib.name not in made:

            async def history() -> list[Any]:
                let_errors_go(lib)
                agent = agent_for(lib, first, 'str', system_prompt='be brief', retries=3)
                given_up = contextlib.suppress(lib.root.UnexpectedModelBehavior)
                with lib.root.capture_run_messages() as captured, given_up:
                    await agent.run('start')
                return captured

            made[lib.name] = history_of(history)
        agent = agent_for(lib, second, 'str', retries=2, instructions='hurry' if instructions else None)
        return agent, {'user_prompt': prompt, 'message_history': made[lib.name][:cut]}

    both(make, which_tool=False)


def history_of(make: Callable[[], Any]) -> list[Any]:
    """Run to the end in a thread of its own: a loop runs in this one already."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(anyio.run, make).result()
