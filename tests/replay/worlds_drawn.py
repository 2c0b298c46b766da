"""Draws worlds: agents, scripts of their models, and runs of them."""

from dataclasses import replace

from hypothesis import strategies as st

from tests.replay.worlds import INSTRUCTIONS, OUTPUTS, AgentPlan, Response, Step, WorldPlan
from tests.replay.worlds_acted import STYLES

TEXTS = ('yes', 'two words', 'x', 'bad', '{"name": "Rome", "size": 3}', '{"name": 1', '7', 'Caf\u00e9 \U0001f600\n')
ARGS: dict[str, tuple[str, ...]] = {
    'look': ('{"place": "a"}', '{"place": "b"}', '{"place": 3}', '{"place": '),
    'slow': ('{}', '{"place": "b"}', ''),
    'alone': ('{}',),
    'stubborn': ('{}',),
    'failing': ('{"what": "key"}',),
    'ticket': ('{}',),
    'clock': ('{}',),
    'things': ('{}',),
    'city': ('{"name": "Oslo"}',),
    'picture': ('{}',),
    'nothing': ('{}',),
    'final_result': ('{"name": "Rome"}', '{"name": "x"}', '{"name": 1}', '{"name": "Nowhere"}', '{}'),
    'town': ('{"name": "Rome"}', '{}'),
    'number': ('{"response": 3}', '{"response": "x"}'),
    'hang': ('{}',),
    'held': ('{}',),
    'later': ('{}',),
    'sure': ('{}', '{"n": 4}'),
    'ask': ('{}', '{"question": "Why?"}'),
    'ask_all': ('{}', '{"n": 3}'),
}
USUAL = ('look', 'slow', 'look', 'slow', 'alone', 'stubborn', 'ticket', 'clock', 'things', 'city', 'picture', 'nothing')
OUTPUT_TOOLS = {'model': ('final_result',), 'model or str': ('final_result',), 'tools': ('town', 'number')}
LIMITS = (
    (), (), (), (), (('request_limit', 2),), (('tool_calls_limit', 2),), (('total_tokens_limit', 20),)
)  # fmt: skip


def pieces(text: str) -> st.SearchStrategy[tuple[str, ...]]:
    """A text cut at up to two places."""
    cuts = st.lists(st.integers(0, len(text)), max_size=2).map(sorted)
    return cuts.map(lambda at: tuple(text[a:b] for a, b in zip([0, *at], [*at, len(text)], strict=True)))


def calls(tools: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.sampled_from(tools).flatmap(
        lambda tool: st.sampled_from(ARGS[tool]).flatmap(pieces).map(lambda cut: ('call', tool, *cut))
    )


def responses(tools: tuple[str, ...]) -> st.SearchStrategy[Response]:
    some = st.one_of(
        st.sampled_from(TEXTS).flatmap(pieces).map(lambda cut: ('text', *cut)),
        calls(tools),
        calls(tools),
        st.just(('think', 'hm', ', so')),
    )
    hangs = [(('hang',),)] if 'hang' in tools else []
    ends = st.sampled_from([(), (), (), (), (), (), (), (('raise', 'broke off'),), *hangs * 3])
    parallel = st.lists(calls(tools), min_size=2, max_size=6)
    return st.tuples(st.one_of(st.lists(some, min_size=1, max_size=3), parallel), ends).map(
        lambda both: (*both[0], *both[1])
    )


@st.composite
def agents(draw: st.DrawFn, *, depth: int = 0, hangs: bool = False) -> AgentPlan:
    """An agent, with others inside of its tools up to three deep; perhaps its model or tools hang."""
    output = draw(st.sampled_from(sorted(OUTPUTS)))
    inner = draw(agents(depth=depth + 1, hangs=hangs)) if depth < 2 and draw(st.integers(0, 2)) == 0 else None
    tools = USUAL + OUTPUT_TOOLS.get(output, ())
    tools += ('later', 'sure') if output == 'deferred' or draw(st.integers(0, 9)) == 0 else ()
    tools += ('hang', 'hang', 'held') if hangs else ()
    tools += ('failing',) if draw(st.integers(0, 3)) == 0 else ()
    tools += ('ask', 'ask_all', 'ask') * 2 if inner is not None else ()
    return AgentPlan(
        name=draw(st.sampled_from(['support', 'trip_agent', 'researcher'])),
        script=tuple(draw(st.lists(responses(tools), max_size=3 - depth))),
        output=output,
        end_strategy=draw(st.sampled_from(['early', 'early', 'exhaustive'])),
        retries=draw(st.integers(0, 2)),
        validator=draw(st.sampled_from(['', '', '', 'picky', 'changing'])),
        instructions=draw(st.sampled_from(sorted(INSTRUCTIONS))),
        system=draw(st.sampled_from(['', '', '', 'once', 'dynamic'])),
        processor=draw(st.sampled_from(['', '', '', 'last', 'summary'])),
        down=draw(st.sampled_from([(), (), (), (0,), (1,), (0, 2)])),
        inner=inner,
        shares_usage=draw(st.booleans()),
    )


@st.composite
def steps(draw: st.DrawFn, before: int) -> Step:
    """A run, which may go on from one of those before it."""
    style = draw(st.sampled_from(sorted(STYLES)))
    leaves = style not in {'run', 'sync'} and draw(st.integers(0, 3)) == 0
    cancel = leaves and style in {'next', 'events', 'run_stream'} and draw(st.booleans())
    return Step(
        agent=draw(agents(hangs=style != 'sync' and draw(st.integers(0, 2)) == 0)),
        style=style,
        prompt=draw(st.sampled_from(['Go', 'And now?', 'Caf\u00e9?'])),
        history=draw(st.none() | st.integers(0, before - 1)) if before else None,
        edited=draw(st.integers(0, 3)) == 0,
        leave=draw(st.integers(1, 4)) if leaves else None,
        cancel=cancel,
        limits=draw(st.sampled_from(LIMITS)),
        model_of_run=draw(st.booleans()),
    )


@st.composite
def worlds(draw: st.DrawFn) -> WorldPlan:
    """One to three runs or groups of runs that go at the same time."""
    together: list[tuple[Step, ...]] = []
    before = 0
    for _ in range(draw(st.integers(1, 3))):
        first = draw(steps(before))
        group = [first]
        if draw(st.integers(0, 3)) == 0:
            group = [replace(first, prompt=f'{first.prompt} {n}', cancel=False) for n in range(draw(st.integers(2, 3)))]
        together.append(tuple(group))
        before += len(group)
    return WorldPlan(tuple(together))
