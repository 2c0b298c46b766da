"""Streams of any script, driven in any way, in both libraries: the same events, states, messages, usage and errors."""

import pytest

pytest.importorskip('pydantic_ai', reason='compares with pydantic-ai-slim 1.38')

from hypothesis import given
from hypothesis import strategies as st

from tests.stream_driving import ITERATIONS, OUTPUT_NAMES, STYLES, Driving, Response, Scenario, both

TEXTS = ['', 'yes', 'two words', ' ', 'x', 'bad', '{"city": ', '"Paris"}', '{"start": "a"}', '{"people"', '7', '\n']
ARGS = {
    'add': ['{"x": 1}', '{"x": "no"}', '{"x": 2, "y": 3}', '{"x": ', '', '{}'],
    'step': ['{}', ''],
    'fussy': ['{"word": "please"}', '{"word": "now"}'],
    'picture': ['{}'],
    'files': ['{}'],
    'broken': ['{}'],
    'nothing': ['{}', ''],
    'guarded': ['{"x": 1}', '{"x": "no"}'],
    'elsewhere': ['{"x": 1}', '{'],
    'late': ['{"how": "call"}', '{"how": "approval"}', '{"how": "now"}'],
    'slow': ['{}', '{"x": 1}', '{"x": 3}'],
    'alone': ['{}'],
    'final_result': [
        '{"city": "Rome"}',
        '{"city": 1}',
        '{"city": "Nowhere"}',
        '{"city": "x", "people": 3}',
        '{"start": "a", "end": "b"}',
        '{"response": 5}',
        '{}',
        '',
        '{"city": "Ro',
    ],
    'final_result_Road': ['{"start": "a"}', '{}'],
    'final_result_found': ['{"city": "Rome"}', '{"city": "Nowhere"}'],
    'final_result_int': ['{"response": 3}', '{"response": "x"}'],
    'road': ['{"start": "a"}', '{"end": "x"}'],
    'place': ['{"city": "Oslo"}', '{}'],
    'number': ['{"response": 3}', '{"response": "x"}'],
}


OUTPUT_TOOLS = {'tools': ['place', 'number'], 'union': ['road', 'final_result']}
"""Where the output tool has a name of its own."""


@st.composite
def calls(draw: st.DrawFn, tools: list[str]) -> tuple[str, str, list[str]]:
    name = draw(st.sampled_from(tools))
    args = draw(st.sampled_from(ARGS[name]))
    cuts = sorted(draw(st.lists(st.integers(0, len(args)), max_size=3)))
    return 'call', name, [args[start:end] for start, end in zip([0, *cuts], [*cuts, len(args)], strict=True)]


def responses(output: str, *, deferring: bool) -> st.SearchStrategy[Response]:
    """Responses that may well be about an output, or not at all."""
    tools = [name for name in ARGS if deferring or name not in {'guarded', 'elsewhere', 'late'}]
    pieces = st.one_of(
        st.tuples(st.just('text'), st.sampled_from(TEXTS)),
        calls(tools),
        calls(OUTPUT_TOOLS.get(output, ['final_result'])),
        calls(['guarded', 'elsewhere', 'late'] if deferring else ['add', 'slow', 'fussy']),
        st.tuples(st.just('think'), st.sampled_from(['hm', '', 'so']), st.sampled_from([None, 'signed'])),
        st.tuples(st.just('builtin'), st.booleans()),
        st.sampled_from([('text', 'yes'), ('text', '{"city": "Paris"}'), ('raise', 'broke off')]),
    )
    return st.lists(pieces, max_size=5)


LIMITS = st.sampled_from(
    [
        {},
        {},
        {},
        {'request_limit': 1},
        {'request_limit': 2},
        {'output_tokens_limit': 3},
        {'total_tokens_limit': 55},
        {'input_tokens_limit': 60},
        {'tool_calls_limit': 1},
    ]
)


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    output, deferring = draw(st.sampled_from(OUTPUT_NAMES)), draw(st.booleans())
    return Scenario(
        script=tuple(draw(st.lists(responses(output, deferring=deferring), max_size=4))),
        output=output,
        end_strategy=draw(st.sampled_from(['early', 'exhaustive'])),
        retries=draw(st.integers(0, 2)),
        output_retries=draw(st.sampled_from([None, 0, 3])),
        validator=draw(st.sampled_from(['', '', 'notes', 'picky', 'always picky'])),
        limits=draw(LIMITS),
        deferring=deferring,
        instructed=draw(st.booleans()),
        again=draw(st.booleans()),
    )


SCENARIOS = scenarios()
ASKED = st.tuples(
    st.sampled_from([*sorted(ITERATIONS), 'get_output', 'validate', 'events']), st.sampled_from([None, None, 1, 2, 5])
)


@pytest.mark.parametrize('style', STYLES)
@given(
    scenario=SCENARIOS,
    asked=st.lists(ASKED, max_size=3).map(tuple),
    broken_off=st.sampled_from([False, False, False, True]),
    backend=st.sampled_from(['asyncio', 'trio']),
)
def test_any_stream_shows_the_same_however_it_is_driven(
    scenario: Scenario, style: str, asked: tuple[tuple[str, int | None], ...], broken_off: bool, backend: str
):
    both(scenario, Driving(style, asked, broken_off), backend)


# 1.38 leaves the generator of the run to the collector, which in some runs cannot close it
@pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')
@given(scenario=SCENARIOS, asked=st.sampled_from([*sorted(ITERATIONS), 'get_output']))
def test_any_stream_shows_the_same_to_code_that_is_not_async(scenario: Scenario, asked: str):
    both(scenario, Driving('sync', ((asked, None),)))
