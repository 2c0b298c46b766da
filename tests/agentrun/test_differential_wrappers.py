"""Models around models, agents around agents, requests without an agent: as the library that is followed has them."""

from importlib import import_module
from typing import Any

import anyio
import pytest

from tests.both import Table, agree, stable

pydantic_ai = pytest.importorskip('pydantic_ai', reason='the library that is followed is not installed')
pytestmark = pytest.mark.filterwarnings('ignore::DeprecationWarning')

case = Table()


def of(lib: Any, module: str) -> Any:
    """A module of the library that its short names do not reach."""
    return import_module(f'{lib.name}.{module}')


def pinging(lib: Any, model: Any, **options: Any) -> Any:
    """An agent with a tool."""
    agent = lib.Agent(model, **options)

    @agent.tool_plain
    def ping(n: int = 0) -> str:
        return f'pong {n}'

    return agent


def errors_in(lib: Any, group: BaseException) -> list[object]:
    """A group of errors with all that it holds."""
    held: Any = group
    return [lib.error(group), [lib.error(error) for error in held.exceptions]]


# Models


@case
async def a_wrapped_model_answers_as_itself(lib: Any) -> object:
    wrapper = of(lib, 'models.wrapper').WrapperModel(lib.says(('ping', {'n': 1}), 'done', settings={'seed': 1}))
    agent = pinging(lib, wrapper, model_settings={'temperature': 0.5}, output_type=[str, int])
    named = of(lib, 'models.wrapper').WrapperModel('test')
    names = [(model.model_name, model.system, model.base_url, model.settings) for model in (wrapper, named)]
    return (
        await lib.seen(agent, 'x'),
        names,
        repr(wrapper),
        await lib.seen(lib.Agent(named), 'x'),
    )


@case
async def a_subclass_of_the_wrapper_changes_requests_and_answers(lib: Any) -> object:
    base: Any = of(lib, 'models.wrapper').WrapperModel

    class Loud(base):
        async def request(self, messages: Any, settings: Any, parameters: Any) -> Any:
            changed: Any = dict(settings or {}, seed=9)
            response: Any = await base.request(self, messages, changed, parameters)
            return lib.ModelResponse(parts=[*response.parts, lib.TextPart('!')], model_name='loud')

        @property
        def model_name(self) -> str:
            return f'loud {self.wrapped.model_name}'

    wrapper = Loud(lib.says('hi', model_name='inner'))
    return await lib.seen(lib.Agent(wrapper), 'x'), wrapper.model_name, repr(wrapper)


@case
async def wrappers_nest_and_reach_through(lib: Any) -> object:
    wrapper = of(lib, 'models.wrapper').WrapperModel
    inner = lib.TestModel(custom_output_text='deep', seed=3)
    outer = wrapper(wrapper(inner))
    shown = await lib.seen(pinging(lib, outer), 'x')
    definitions = outer.last_model_request_parameters.function_tools
    return shown, outer.seed, repr(definitions), lib.raised(lambda: outer.nope), wrapper(inner) == wrapper(inner)


@case
async def tokens_are_counted_by_no_wrapper(lib: Any) -> object:
    class Counting(lib.TestModel):
        async def count_tokens(self, *args: Any) -> Any:
            return lib.RequestUsage(input_tokens=7)

    limits = lib.UsageLimits(count_tokens_before_request=True, input_tokens_limit=5)
    models = [
        Counting(),
        of(lib, 'models.wrapper').WrapperModel(Counting()),
        of(lib, 'models.fallback').FallbackModel(Counting()),
    ]
    return [await lib.seen(lib.Agent(model), 'x', usage_limits=limits) for model in models]


def down(lib: Any, name: str = 'first') -> Any:
    return lib.ModelHTTPError(503, name, {'why': 'down'})


@case
async def the_next_model_answers_where_one_fails(lib: Any) -> object:
    fallback = of(lib, 'models.fallback').FallbackModel
    first = lib.says(('ping', {}), down(lib), model_name='first', settings={'seed': 1})
    second = lib.says('second', model_name='second', settings={'seed': 2, 'top_p': 0.5})
    model = fallback(first, second)
    agent = pinging(lib, model, model_settings={'temperature': 0.1})
    names = model.model_name, model.system, model.base_url, model.settings
    return await lib.seen(agent, 'x', model_settings={'seed': 3}), names, len(model.models)


@case
async def where_all_models_fail_a_group_is_raised(lib: Any) -> object:
    fallback = of(lib, 'models.fallback').FallbackModel
    model = fallback(lib.says(down(lib)), lib.says(lib.ModelAPIError('second', 'gone')), lib.says(down(lib, 'third')))
    shown = await lib.seen(lib.Agent(model), 'x')
    try:
        await lib.Agent(model).run('x')
    except lib.FallbackExceptionGroup as group:
        return shown, errors_in(lib, group), group.message
    return 'nothing was raised'


@case
async def users_choose_what_to_fall_back_on(lib: Any) -> object:
    fallback = of(lib, 'models.fallback').FallbackModel
    shown: list[object] = []

    def is_mine(error: Exception) -> bool:
        return 'mine' in str(error)

    options: list[dict[str, Any]] = [{}, {'fallback_on': (ValueError,)}, {'fallback_on': is_mine}]
    for errors in options:
        for error in (ValueError('mine'), down(lib), lib.UnexpectedModelBehavior('odd'), lib.UserError('mine too')):
            agent = lib.Agent(fallback(lib.says(error), lib.says('good'), **errors))
            shown.append(await lib.seen(agent, 'x'))
    return shown


@case
async def each_model_is_asked_in_the_way_of_its_own_profile(lib: Any) -> object:
    fallback = of(lib, 'models.fallback').FallbackModel
    failing = lib.says(down(lib))
    text = lib.ModelProfile(supports_tools=False, default_structured_output_mode='prompted')
    prompted = lib.says('{"response": 3}', profile=text)
    mute = lib.TestModel(profile=lib.ModelProfile(supports_json_schema_output=False))
    return [
        await lib.seen(lib.Agent(fallback(failing, prompted), output_type=int), 'x'),
        await lib.seen(lib.Agent(fallback(failing, prompted), output_type=lib.PromptedOutput(int)), 'x'),
        await lib.seen(lib.Agent(fallback(prompted, failing), output_type=lib.ToolOutput(int)), 'x'),
        await lib.seen(lib.Agent(fallback(mute, failing), output_type=lib.NativeOutput(int)), 'x'),
        await lib.seen(lib.Agent(fallback(failing, 'test'), output_type=lib.NativeOutput(int)), 'x'),
        lib.raised(lambda: fallback(failing).profile),
        lib.raised(lambda: fallback('nope'))[0],
    ]


@case
async def streams_fall_back_until_they_have_begun(lib: Any) -> object:
    fallback = of(lib, 'models.fallback').FallbackModel
    wrapper = of(lib, 'models.wrapper').WrapperModel
    asked = [lib.ModelRequest.user_text_prompt('go')]
    parameters = lib.ModelRequestParameters()

    def streaming(*items: Any) -> Any:
        async def stream(messages: Any, info: Any) -> Any:
            for item in items:
                if isinstance(item, Exception):
                    raise item
                yield item

        return lib.FunctionModel(stream_function=stream)

    shown: list[object] = []
    for model in (
        fallback(streaming(down(lib)), streaming('a', 'b')),
        fallback(streaming('a', down(lib)), streaming('b')),
        fallback(streaming(ValueError('mine')), streaming('b')),
        fallback(streaming(down(lib)), streaming(down(lib, 'second'))),
        wrapper(streaming('a', 'b')),
        wrapper(fallback(streaming(down(lib)), wrapper(streaming('c')))),
    ):
        events: list[object] = []
        try:
            async with model.request_stream(asked, None, parameters) as stream:
                events.extend([repr(event) async for event in stream])
                events.append(repr(stream.get()))
        except lib.FallbackExceptionGroup as group:
            events.append(errors_in(lib, group))
        except Exception as error:  # noqa: BLE001, whatever is raised is what is compared
            events.append(lib.error(error))
        shown.append(events)
    return shown


# Agents


@case
async def a_wrapped_agent_runs_as_itself(lib: Any) -> object:
    inner = pinging(lib, lib.says(('ping', {}), 'done'), instructions='brief', name='inner', output_type=[str, int])
    outer = of(lib, 'agent').WrapperAgent(inner)
    async with outer, outer.iter('x', deps=3) as run:
        nodes = [type(node).__name__ async for node in run]
    facts = outer.name, outer.model is inner.model, outer.deps_type, outer.output_type, len(outer.toolsets)
    return await lib.seen(outer, 'x', model_settings={'seed': 1}), nodes, facts


@case
async def a_wrapped_agent_is_overridden_from_outside_and_inside(lib: Any) -> object:
    inner = pinging(lib, lib.says('own'), instructions='own', name='inner')
    outer = of(lib, 'agent').WrapperAgent(inner)
    shown: list[object] = []
    for one, other in ((outer, inner), (inner, outer)):
        with one.override(model=lib.says('other'), instructions='other', name='renamed', tools=[], deps=3):
            shown += [await lib.seen(other, 'x'), other.name, inner.name]
    return shown, outer.name


@case
async def a_wrapped_agent_takes_the_name_of_the_variable_around_it(lib: Any) -> object:
    inner = lib.Agent(lib.says('hi'))
    around = of(lib, 'agent').WrapperAgent(inner)
    before = inner.name
    await around.run('x')
    around.name, after = 'set', inner.name
    return before, after, inner.name


@case
async def wrappers_of_agents_change_what_runs_through_them(lib: Any) -> object:
    base: Any = of(lib, 'agent').WrapperAgent

    class Polite(base):
        def iter(self, user_prompt: Any = None, **options: Any) -> Any:
            return base.iter(self, f'Please {user_prompt}', **options)

    agent = Polite(Polite(lib.Agent(lib.says('hi'))))
    return await lib.seen(agent, 'x')


# Streams


def streaming(lib: Any, *answers: Any) -> Any:
    """A model that streams these answers in order: pieces of text, a call of a tool, or an error."""
    left = list(answers)

    async def stream(messages: Any, info: Any) -> Any:
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        for piece in answer:
            yield piece

    return lib.FunctionModel(stream_function=stream, model_name='streaming')


def call_of_ping(lib: Any) -> Any:
    return [{0: lib.DeltaToolCall(name='ping', json_args='{"n": 1}', tool_call_id='c1')}]


@case
async def streamed_runs_go_through_wrappers_and_fallbacks(lib: Any) -> object:
    fallback, wrapper = of(lib, 'models.fallback').FallbackModel, of(lib, 'models.wrapper').WrapperModel
    around = of(lib, 'agent').WrapperAgent
    shown: list[object] = []
    for model in (
        wrapper(streaming(lib, call_of_ping(lib), ['a', 'b'])),
        fallback(streaming(lib, down(lib), down(lib)), streaming(lib, call_of_ping(lib), ['a', 'b'])),
        fallback(streaming(lib, down(lib)), streaming(lib, down(lib, 'second'))),
    ):
        handled: list[str] = []

        async def handle(ctx: Any, events: Any, handled: list[str] = handled) -> None:
            handled.extend([repr(event) async for event in events])

        agent = around(around(pinging(lib, model, event_stream_handler=handle)))
        try:
            async with agent.run_stream('x') as result:
                texts = [text async for text in result.stream_text(debounce_by=None)]
            shown.append([texts, result.all_messages_json().decode(), repr(result.usage()), agent.name])
        except lib.FallbackExceptionGroup as group:
            shown.append(errors_in(lib, group))
        shown.append(handled)
    return shown


@case
async def a_handler_of_the_agent_inside_sees_runs_of_the_wrapper(lib: Any) -> object:
    noted: list[str] = []

    async def handle(ctx: Any, events: Any) -> None:
        noted.extend([f'{ctx.run_step} {event!r}' async for event in events])

    inner = pinging(lib, streaming(lib, call_of_ping(lib), ['a', 'b']), event_stream_handler=handle)
    outer = of(lib, 'agent').WrapperAgent(inner)
    same = outer.event_stream_handler is handle
    events = of(lib, 'agent').WrapperAgent(pinging(lib, streaming(lib, call_of_ping(lib), ['a', 'b'])))
    stream = [repr(event) async for event in events.run_stream_events('x')]
    return same, await lib.seen(outer, 'x'), noted, stream


# Direct requests


@case
async def a_direct_request_is_the_models_answer(lib: Any) -> object:
    direct = of(lib, 'direct')
    tool = lib.ToolDefinition(name='get', description='d', parameters_json_schema={'type': 'object', 'properties': {}})
    output = lib.ToolDefinition(name='out', parameters_json_schema={'type': 'object', 'properties': {}}, kind='output')
    asked = lib.ModelRequest.user_text_prompt('go')
    parameters: list[dict[str, Any]] = [
        {},
        {'function_tools': [tool], 'allow_text_output': True},
        {'function_tools': [tool], 'output_tools': [output], 'output_mode': 'tool', 'allow_text_output': False},
    ]
    shown: list[object] = []
    for chosen in parameters:
        for model in (lib.TestModel(settings={'seed': 1}), 'test', lib.says('hi', settings={'seed': 1})):
            found = lib.ModelRequestParameters(**chosen)
            settings = {'temperature': 0.5}
            response = await direct.model_request(
                model, [asked], model_settings=settings, model_request_parameters=found
            )
            shown.append([repr(response), lib.dump([asked, response])])
    return shown, lib.asked


@case
async def a_direct_request_may_follow_any_history(lib: Any) -> object:
    direct = of(lib, 'direct')
    one = lib.ModelRequest(parts=[lib.SystemPromptPart('s'), lib.UserPromptPart('u')], instructions='brief')
    two = lib.ModelResponse(parts=[lib.ToolCallPart('get', {}, 'c1')])
    three = lib.ModelRequest(parts=[lib.ToolReturnPart('get', 'got', 'c1')])
    histories: list[Any] = [(one,), [one, two, three], [one, two], [two], [one, one]]
    shown = [repr(await direct.model_request(lib.says('hi'), history)) for history in histories]
    return shown, lib.asked


@case
async def a_direct_request_raises_what_the_model_raises(lib: Any) -> object:
    direct = of(lib, 'direct')
    asked = [lib.ModelRequest.user_text_prompt('go')]
    fallback = of(lib, 'models.fallback').FallbackModel(lib.says(down(lib)), lib.says('good'))
    native = lib.ModelRequestParameters(output_mode='native', allow_image_output=True)
    shown: list[object] = [repr(await direct.model_request(fallback, asked))]
    for model, parameters in ((lib.says(down(lib)), None), (lib.TestModel(), native), ('nope', None)):
        try:
            await direct.model_request(model, asked, model_request_parameters=parameters)
        except Exception as error:  # noqa: BLE001, whatever is raised is what is compared
            shown.append(lib.error(error)[0 if model == 'nope' else slice(None)])
    return shown


@case
async def a_direct_request_cannot_be_waited_for_in_async_code(lib: Any) -> object:
    asked = [lib.ModelRequest.user_text_prompt('go')]
    try:
        of(lib, 'direct').model_request_sync('test', asked)
    except RuntimeError:
        return 'refused'
    return 'nothing was raised'


@pytest.mark.filterwarnings('ignore:coroutine .* was never awaited:RuntimeWarning')
@case.parametrize()
def test_both_libraries_agree(script: Any, anyio_backend: str) -> None:
    agree(script, anyio_backend)


def test_a_request_in_code_that_is_not_async_is_the_same() -> None:
    ours, theirs = import_module('agentrun.direct'), import_module('pydantic_ai.direct')

    def asked(name: str) -> list[Any]:
        return [import_module(f'{name}.messages').ModelRequest.user_text_prompt('go')]

    # theirs leaves the loop open that it waits on, so that its async form stands for it
    shown = [ours.model_request_sync('test', asked('agentrun'))]
    shown.append(anyio.run(theirs.model_request, 'test', asked('pydantic_ai')))
    assert stable(shown[0]) == stable(shown[1])
