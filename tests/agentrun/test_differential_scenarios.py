"""What users do with an agent, a scenario each, in both libraries: the same bytes, nodes, usage, outputs and errors."""

from typing import Any

import pytest

from tests.side_by_side import STYLES, Library, Place, Run, add_tools, agent_for, both, response_of, scripted

pydantic_ai = pytest.importorskip('pydantic_ai', reason='compares with pydantic-ai-slim 1.38')

SCENARIOS: dict[str, Run] = {}
Made = tuple[Any, dict[str, Any]]
GO = {'user_prompt': 'go'}


def scenario(make: Run) -> Run:
    SCENARIOS[make.__name__.replace('_', ' ')] = make
    return make


def with_context(lib: Library, function: Any) -> Any:
    """Annotate the first parameter of a function with the library's own `RunContext`."""
    function.__annotations__['ctx'] = lib.root.RunContext[Any]
    return function


# Prompts


@scenario
def system_prompts_of_all_kinds(lib: Library) -> Made:
    agent = lib.root.Agent(scripted(lib, []), system_prompt=('one', 'two'), deps_type=str)

    @agent.system_prompt
    def plain() -> str:
        return 'three'

    @agent.system_prompt(dynamic=True)
    async def dynamic(ctx: Any) -> str:
        return f'four {ctx.deps} {ctx.prompt} {ctx.run_step}'

    return agent, {**GO, 'deps': 'dependency'}


@scenario
def dynamic_prompts_of_a_history_are_made_anew(lib: Library) -> Made:
    agent = lib.root.Agent(scripted(lib, []), system_prompt='static')

    @agent.system_prompt(dynamic=True)
    def which() -> str:
        return 'new'

    m = lib.messages
    old = m.SystemPromptPart('old', dynamic_ref=which.__qualname__)
    other = m.SystemPromptPart('kept', dynamic_ref='nobody')
    history = [m.ModelRequest(parts=[old, other, m.UserPromptPart('hi')]), m.ModelResponse(parts=[m.TextPart('ho')])]
    return agent, {**GO, 'message_history': history}


@scenario
def instructions_of_all_kinds(lib: Library) -> Made:
    agent = agent_for(lib, [[('call', 'add', {'x': 1})], [('think', 'hm')]], 'str', instructions=['one', 'two '])

    @agent.instructions
    def three() -> str:
        return 'three'

    @agent.instructions
    async def four(ctx: Any) -> str:
        return f'step {ctx.run_step}'

    @agent.instructions
    def none() -> str:
        return ''

    return agent, {**GO, 'instructions': ['five', lambda: 'six']}


@scenario
def prompts_of_several_parts(lib: Library) -> Made:
    m = lib.messages
    prompt = ['look', m.ImageUrl('https://x/y.png'), m.BinaryContent(b'abc', media_type='image/png')]
    return lib.root.Agent(scripted(lib, [])), {'user_prompt': prompt}


@scenario
def a_history_that_ends_in_a_request_is_asked_again(lib: Library) -> Made:
    m = lib.messages
    agent = lib.root.Agent(scripted(lib, [[('call', 'tell', {})]]))

    def tell(ctx: Any) -> str:
        return repr(ctx.prompt)

    agent.tool(with_context(lib, tell))

    parts = [m.UserPromptPart('one'), m.UserPromptPart(['two', 'three'])]
    return agent, {'message_history': [m.ModelRequest(parts=parts)]}


@scenario
def nothing_to_ask(lib: Library) -> Made:
    return lib.root.Agent(scripted(lib, [])), {}


@scenario
def instructions_alone(lib: Library) -> Made:
    return lib.root.Agent(scripted(lib, []), instructions='say something'), {}


@scenario
def a_prompt_on_top_of_open_calls(lib: Library) -> Made:
    history = [response_of(lib, [('call', 'add', {'x': 1})], 0)]
    return agent_for(lib, [], 'str'), {**GO, 'message_history': history}


@scenario
def a_run_that_begins_with_open_calls(lib: Library) -> Made:
    history = [lib.messages.ModelRequest(parts=[]), response_of(lib, [('call', 'add', {'x': 1})], 0)]
    return agent_for(lib, [], 'str'), {'message_history': history}


@scenario
def a_history_to_merge(lib: Library) -> Made:
    m = lib.messages
    history = [
        m.ModelRequest(parts=[m.UserPromptPart('a')], instructions='i'),
        m.ModelRequest(parts=[m.ToolReturnPart('t', 'r', 'id')]),
        m.ModelRequest(parts=[m.UserPromptPart('b')], instructions='other'),
        m.ModelResponse(parts=[m.TextPart('x')]),
        m.ModelResponse(parts=[m.TextPart('y')]),
        m.ModelResponse(parts=[m.TextPart('z')], model_name='named'),
        m.ModelRequest(parts=[m.UserPromptPart('c')]),
    ]
    return agent_for(lib, [[('call', 'add', {'x': 1})]], 'str'), {**GO, 'message_history': history}


# Responses


@scenario
def cut_off_before_anything_was_said(lib: Library) -> Made:
    agent = lib.root.Agent(scripted(lib, [[]], finish_reason='length'), model_settings={'max_tokens': 10})
    return agent, GO


@scenario
def cut_off_within_a_tool_call(lib: Library) -> Made:
    script: Any = [[('call', 'final_result', '{"city": "Pa')]] * 4
    return lib.root.Agent(scripted(lib, script, finish_reason='length'), output_type=Place, retries=3), GO


@scenario
def cut_off_within_an_unknown_tool_call(lib: Library) -> Made:
    script: Any = [[('call', 'nothing', '{"city": "Pa')]] * 3
    return lib.root.Agent(scripted(lib, script, finish_reason='length')), GO


@scenario
def an_image_as_output(lib: Library) -> Made:
    model = scripted(lib, [[('text', 'here'), ('file',)]])
    model.profile.supports_image_output = True
    return lib.root.Agent(model, output_type=lib.messages.BinaryImage), GO


@scenario
def no_image_where_one_is_asked_for(lib: Library) -> Made:
    model = scripted(lib, [[('text', 'here')], [('think', 'x')]])
    model.profile.supports_image_output = True
    return lib.root.Agent(model, output_type=[lib.messages.BinaryImage, Place]), GO


@scenario
def text_before_a_builtin_tool_is_no_output(lib: Library) -> Made:
    return lib.root.Agent(scripted(lib, [[('text', 'let me see'), ('builtin',), ('text', 'answer')]])), GO


@scenario
def silence_after_everything_was_said(lib: Library) -> Made:
    return agent_for(lib, [[('text', 'all'), ('call', 'add', {'x': 1})], []], 'str'), GO


@scenario
def a_model_that_fails(lib: Library) -> Made:
    async def fail(messages: Any, info: Any) -> Any:
        raise lib.exceptions.ModelHTTPError(429, 'm', {'error': 'slow down'})

    return lib.root.Agent(lib.function.FunctionModel(fail)), GO


# Tools


@scenario
def many_tools_at_once(lib: Library) -> Made:
    names = ['add', 'step', 'picture', 'files', 'fussy', 'add']
    arguments: list[Any] = [{'x': 1}, {}, {}, {}, {'word': 'now'}, {'x': 'no'}]
    calls = [('call', name, args) for name, args in zip(names, arguments, strict=True)]
    return agent_for(lib, [calls, calls], 'str', retries=5), GO


@scenario
def a_tool_that_breaks(lib: Library) -> Made:
    return agent_for(lib, [[('call', 'broken', {})]], 'str'), GO


@scenario
def tools_that_return_what_they_must_not(lib: Library) -> Made:
    agent = lib.root.Agent(scripted(lib, [[('call', 'nested', {})]]))

    @agent.tool_plain
    def nested() -> Any:
        return [lib.messages.ToolReturn(return_value=1)]

    return agent, GO


@scenario
def prepared_tools(lib: Library) -> Made:
    import dataclasses

    async def prepare_all(ctx: Any, tools: Any) -> Any:
        return [dataclasses.replace(tool, description=f'step {ctx.run_step}') for tool in tools]

    async def hide(ctx: Any, tool: Any) -> Any:
        return tool if ctx.run_step == 1 else None

    agent = lib.root.Agent(lib.test.TestModel(), prepare_tools=prepare_all)
    agent.tool_plain(prepare=hide)(_hidden)
    agent.tool_plain(_shown)
    return agent, GO


def is_shown(ctx: Any, tool: Any) -> bool:
    return tool.name == '_shown'


def _hidden() -> str:
    return 'hidden'


def _shown(place: str, *, tags: list[int], size: float = 1.5) -> dict[str, Any]:
    """Show a place.

    Args:
        place: Where.
        tags: Which.
        size: How big.
    """
    return {'place': place, 'tags': tags, 'size': size}


@scenario
def tool_names_that_conflict(lib: Library) -> Made:
    toolset = lib.root.FunctionToolset([_shown])
    return lib.root.Agent(scripted(lib, []), tools=[_shown], toolsets=[toolset]), GO


@scenario
def a_toolset_made_for_the_run(lib: Library) -> Made:
    agent = lib.root.Agent(lib.test.TestModel())

    @agent.toolset
    async def made(ctx: Any) -> Any:
        return lib.root.FunctionToolset([_shown, _hidden]).filtered(is_shown)

    return agent, {**GO, 'toolsets': [lib.root.FunctionToolset([_hidden]).prefixed('very')]}


# Deferred calls


def deferring(lib: Library, script: Any) -> Any:
    agent = agent_for(lib, script, 'deferred')

    @agent.tool_plain(requires_approval=True)
    def delete(path: str) -> str:
        return f'deleted {path}'

    @agent.tool_plain
    def later() -> str:
        raise lib.root.CallDeferred(metadata={'ticket': 1})

    return agent


DEFERRED: Any = [
    ('call', 'add', {'x': 1}),
    ('call', 'delete', {'path': 'a'}),
    ('call', 'later', {}),
    ('call', 'delete', {'path': 'b'}),
]


@scenario
def calls_put_off(lib: Library) -> Made:
    return deferring(lib, [DEFERRED]), GO


@scenario
def calls_put_off_where_no_output_allows_it(lib: Library) -> Made:
    external = lib.tools.ToolDefinition(name='outside', parameters_json_schema={'type': 'object'})
    toolset = lib.root.ExternalToolset([external])
    return lib.root.Agent(scripted(lib, [[('call', 'outside', {})]]), toolsets=[toolset]), GO


def answered(lib: Library, **results: Any) -> Made:
    m = lib.messages
    history = [
        m.ModelRequest(parts=[m.UserPromptPart('go')]),
        response_of(lib, DEFERRED, 0),
        m.ModelRequest(parts=[m.ToolReturnPart('add', 2, 'call-0-0')]),
    ]
    given = lib.tools.DeferredToolResults(**results)
    return deferring(lib, []), {'message_history': history, 'deferred_tool_results': given}


@scenario
def answers_to_calls_put_off(lib: Library) -> Made:
    approvals = {'call-0-1': lib.tools.ToolApproved(override_args={'path': 'c'}), 'call-0-3': False}
    return answered(lib, approvals=approvals, calls={'call-0-2': ['result']})


@scenario
def answers_of_other_kinds_and_a_prompt(lib: Library) -> Made:
    retry = lib.messages.RetryPromptPart(content='again')
    approvals = {'call-0-1': True, 'call-0-3': lib.tools.ToolDenied('never')}
    agent, arguments = answered(lib, approvals=approvals, calls={'call-0-2': retry})
    return agent, {**arguments, 'user_prompt': 'and be quick'}


@scenario
def an_answer_that_asks_to_retry(lib: Library) -> Made:
    approvals = {'call-0-1': True, 'call-0-3': True}
    return answered(lib, approvals=approvals, calls={'call-0-2': lib.root.ModelRetry('no')})


@scenario
def an_answer_too_few(lib: Library) -> Made:
    return answered(lib, approvals={'call-0-1': True})


@scenario
def an_answer_to_a_call_that_ran(lib: Library) -> Made:
    return answered(lib, calls={'call-0-0': 1})


@scenario
def answers_without_a_history(lib: Library) -> Made:
    return deferring(lib, []), {'deferred_tool_results': lib.tools.DeferredToolResults(calls={'a': 1})}


@scenario
def answers_without_a_response(lib: Library) -> Made:
    history = [lib.messages.ModelRequest(parts=[])]
    results = lib.tools.DeferredToolResults(calls={'a': 1})
    return deferring(lib, []), {'message_history': history, 'deferred_tool_results': results}


@scenario
def answers_without_calls(lib: Library) -> Made:
    history = [response_of(lib, [('text', 'hi')], 0)]
    results = lib.tools.DeferredToolResults(calls={'a': 1})
    return deferring(lib, []), {'message_history': history, 'deferred_tool_results': results}


# Outputs


@scenario
def validators_change_and_refuse_outputs(lib: Library) -> Made:
    agent = lib.root.Agent(scripted(lib, [[('text', 'no')], [('text', 'yes')]]), retries=2)

    @agent.output_validator
    def at_first(data: str) -> str:
        if data == 'no':
            raise lib.root.ModelRetry('say yes')
        return data + '!'

    @agent.output_validator
    async def then(ctx: Any, data: str) -> str:
        return f'{data} {ctx.tool_name} {ctx.partial_output} {ctx.run_step}'

    return agent, GO


@scenario
def validators_of_tool_outputs(lib: Library) -> Made:
    script: Any = [[('call', 'final_result', {'city': city})] for city in ('Rome', 'Oslo')]
    agent = lib.root.Agent(scripted(lib, script), output_type=Place, retries=2)

    @agent.output_validator
    def check(ctx: Any, data: Place) -> Place:
        if data.city == 'Rome':
            raise lib.root.ModelRetry(f'not Rome, {ctx.tool_name}')
        return data

    return agent, GO


@scenario
def a_validator_that_is_never_content(lib: Library) -> Made:
    agent = lib.root.Agent(scripted(lib, []), output_retries=1)

    @agent.output_validator
    def check(data: str) -> str:
        raise lib.root.ModelRetry('no')

    return agent, GO


@scenario
def an_output_type_of_the_run(lib: Library) -> Made:
    return agent_for(lib, [[('call', 'final_result', {'city': 'Rome'})]], 'str'), {**GO, 'output_type': Place}


@scenario
def an_output_type_of_the_run_beside_validators(lib: Library) -> Made:
    agent = lib.root.Agent(scripted(lib, []))
    agent.output_validator(same)
    return agent, {**GO, 'output_type': Place}


def same(data: str) -> str:
    return data


@scenario
def output_functions(lib: Library) -> Made:
    def travel(city: str, ctx_free: int = 0) -> str:
        """Go there."""
        if city == 'Rome':
            raise lib.root.ModelRetry('anywhere but there')
        return f'went to {city}'

    script: Any = [[('call', 'final_result', {'city': city})] for city in ('Rome', 'Oslo')]
    return lib.root.Agent(scripted(lib, script), output_type=travel, retries=2), GO


# Limits, settings, processors


@scenario
def too_many_requests(lib: Library) -> Made:
    script: Any = [[('call', 'add', {'x': 1})]] * 4
    return agent_for(lib, script, 'str'), {**GO, 'usage_limits': lib.usage.UsageLimits(request_limit=2)}


@scenario
def too_many_tokens(lib: Library) -> Made:
    return agent_for(lib, [], 'str'), {**GO, 'usage_limits': lib.usage.UsageLimits(total_tokens_limit=10)}


@scenario
def too_many_tool_calls(lib: Library) -> Made:
    script: Any = [[('call', 'add', {'x': 1})] * 2] * 2
    return agent_for(lib, script, 'str'), {**GO, 'usage_limits': lib.usage.UsageLimits(tool_calls_limit=3)}


@scenario
def tokens_counted_by_a_model_that_cannot(lib: Library) -> Made:
    limits = lib.usage.UsageLimits(count_tokens_before_request=True)
    return agent_for(lib, [], 'str'), {**GO, 'usage_limits': limits}


@scenario
def usage_that_goes_on(lib: Library) -> Made:
    usage = lib.usage.RunUsage(requests=3, input_tokens=7, details={'a': 1})
    return agent_for(lib, [[('call', 'add', {'x': 1})]], 'str'), {**GO, 'usage': usage}


@scenario
def settings_above_each_other(lib: Library) -> Made:
    async def tell(messages: Any, info: Any) -> Any:
        return lib.messages.ModelResponse(parts=[lib.messages.TextPart(repr(info.model_settings))])

    model = lib.function.FunctionModel(tell, settings={'temperature': 0.1, 'top_p': 0.1, 'seed': 1})
    agent = lib.root.Agent(model, model_settings={'temperature': 0.2, 'top_p': 0.2})
    return agent, {**GO, 'model_settings': {'temperature': 0.3, 'max_tokens': 5}}


@scenario
def what_the_model_is_told(lib: Library) -> Made:
    async def tell(messages: Any, info: Any) -> Any:
        text = repr(info).replace('pydantic_ai.', 'agentrun.') + repr([type(message).__name__ for message in messages])
        return lib.messages.ModelResponse(parts=[lib.messages.TextPart(text)])

    output = [str, lib.output.ToolOutput(Place, description='a place', strict=True)]
    agent = lib.root.Agent(lib.function.FunctionModel(tell), output_type=output, instructions='be brief')
    agent.tool_plain(_shown)
    return agent, GO


@scenario
def what_the_model_is_told_of_prompted_output(lib: Library) -> Made:
    async def tell(messages: Any, info: Any) -> Any:
        assert info.instructions
        city = str(len(info.instructions)) + repr(info.model_request_parameters.output_mode)
        return lib.messages.ModelResponse(parts=[lib.messages.TextPart(Place(city=city).model_dump_json())])

    agent = lib.root.Agent(lib.function.FunctionModel(tell), output_type=lib.output.PromptedOutput([Place, Other]))
    return agent, GO


class Other(Place):
    """Another place."""


@scenario
def history_processors_of_all_kinds(lib: Library) -> Made:
    def shorten(messages: list[Any]) -> list[Any]:
        return messages[-3:]

    async def mark(ctx: Any, messages: list[Any]) -> list[Any]:
        part = lib.messages.UserPromptPart(f'step {ctx.run_step} of {len(ctx.messages)}')
        return [*messages[:-1], lib.messages.ModelRequest(parts=[*messages[-1].parts, part])]

    script: Any = [[('call', 'add', {'x': number})] for number in range(4)]
    agent = agent_for(lib, script, 'str', history_processors=[shorten, with_context(lib, mark)])
    return agent, GO


@scenario
def a_processor_that_leaves_nothing(lib: Library) -> Made:
    def nothing(messages: list[Any]) -> list[Any]:
        return []

    return agent_for(lib, [], 'str', history_processors=[nothing]), GO


@scenario
def a_processor_that_leaves_no_request(lib: Library) -> Made:
    def response_only(messages: list[Any]) -> list[Any]:
        return [response_of(lib, [('text', 'x')], 0)]

    return agent_for(lib, [], 'str', history_processors=[response_only]), GO


@scenario
def a_validation_context(lib: Library) -> Made:
    def context(ctx: Any) -> Any:
        return {'step': ctx.run_step}

    agent = agent_for(lib, [[('call', 'tell', {})]], 'str', validation_context=context)

    def tell(ctx: Any) -> str:
        return repr(ctx.validation_context)

    agent.tool(with_context(lib, tell))

    return agent, GO


@scenario
def an_agent_without_a_model(lib: Library) -> Made:
    return lib.root.Agent(), GO


# The model of tests


@pytest.mark.parametrize('seed', range(4))
def test_generated_data_is_the_same(seed: int):
    def make(lib: Library) -> Made:
        agent = lib.root.Agent(lib.test.TestModel(seed=seed), output_type=[Place, Other])
        add_tools(lib, agent)
        agent.tool_plain(_shown)
        return agent, GO

    both(make, which_tool=False)


@scenario
def a_test_model_that_calls_some_tools(lib: Library) -> Made:
    agent = lib.root.Agent(lib.test.TestModel(call_tools=['_shown'], custom_output_text='that is all'))
    add_tools(lib, agent)
    agent.tool_plain(_shown)
    return agent, GO


@scenario
def a_test_model_with_an_output_of_its_own(lib: Library) -> Made:
    return lib.root.Agent(lib.test.TestModel(custom_output_args={'city': 'Bern'}), output_type=Place), GO


@scenario
def a_test_model_with_an_output_that_cannot_be(lib: Library) -> Made:
    return lib.root.Agent(lib.test.TestModel(custom_output_text='Bern'), output_type=Place), GO


@scenario
def a_test_model_and_builtin_tools(lib: Library) -> Made:
    tool = lib.builtin_tools.WebSearchTool()
    return lib.root.Agent(lib.test.TestModel(), builtin_tools=[tool]), GO


@scenario
def builtin_tools_of_all_kinds(lib: Library) -> Made:
    async def tell(messages: Any, info: Any) -> Any:
        names = [tool.kind for tool in info.model_request_parameters.builtin_tools]
        return lib.messages.ModelResponse(parts=[lib.messages.TextPart(repr(names))])

    async def made(ctx: Any) -> Any:
        return lib.builtin_tools.CodeExecutionTool() if ctx.run_step else None

    def none(ctx: Any) -> None:
        return None

    tools: list[Any] = [lib.builtin_tools.WebSearchTool(), lib.builtin_tools.WebSearchTool(), made, none]
    return lib.root.Agent(lib.function.FunctionModel(tell), builtin_tools=tools), GO


@pytest.mark.parametrize('style', STYLES)
@pytest.mark.parametrize('name', SCENARIOS)
def test_a_scenario_goes_the_same_way(name: str, style: str):
    both(SCENARIOS[name], style)
