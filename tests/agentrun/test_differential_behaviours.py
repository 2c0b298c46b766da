"""Runs, histories and responses as the documented behaviours have them: agents, basics, messages."""

from typing import Any

import pytest

from tests.both import Table, agree

pydantic_ai = pytest.importorskip('pydantic_ai', reason='the library that is followed is not installed')
pytestmark = pytest.mark.filterwarnings('ignore::DeprecationWarning')

case = Table()


# Agents


@case
async def a_name_is_taken_from_the_variable(lib: Any) -> object:
    weather_agent = lib.Agent(lib.says('hi'))
    other = lib.Agent(lib.says('hi'), name='given')
    unnamed = lib.Agent(lib.says('hi'))
    await weather_agent.run('x')
    await other.run('x')
    await unnamed.run('x', infer_name=False)
    before = (weather_agent.name, other.name, unnamed.name)
    with weather_agent.override(name='over'):
        inside = weather_agent.name
    return before, inside, weather_agent.name


@case
async def an_agent_without_a_model_says_so(lib: Any) -> object:
    agent = lib.Agent()
    bare = await lib.seen(agent, 'x')
    with agent.override(model=lib.says('hi')):
        overridden = await lib.seen(agent, 'x')
    given = await lib.seen(agent, 'x', model=lib.says('hi'))
    return bare, overridden, given, issubclass(lib.UserError, RuntimeError)


@case
async def a_model_by_name_waits_until_it_is_needed(lib: Any) -> object:
    agent = lib.Agent('nobody:nothing', defer_model_check=True)
    with agent.override(model='test'):
        first = await lib.seen(agent, 'x')
    agent.model = 'test'
    return first, await lib.seen(agent, 'x')


@case
async def unknown_keywords_are_named_in_order(lib: Any) -> object:
    return lib.raised(lambda: lib.Agent('test', foo=1, bar=2)), lib.raised(lambda: lib.Agent('test', bar=1))


@case
async def an_agent_shows_itself_in_full(lib: Any) -> object:
    return repr(lib.Agent()), repr(lib.Agent(name='a', output_type=int, end_strategy='exhaustive', model_settings={}))


@case
async def settings_are_merged_model_then_agent_then_run(lib: Any) -> object:
    model = lib.says('hi', settings={'temperature': 0.1, 'max_tokens': 1, 'seed': 1})
    agent = lib.Agent(model, model_settings={'max_tokens': 2, 'seed': 2})
    none = lib.Agent(lib.says('hi'))
    return (
        await lib.seen(agent, 'x', model_settings={'seed': 3}),
        await lib.seen(agent, 'x'),
        await lib.seen(none, 'x'),
        await lib.seen(none, 'x', model_settings={}),
    )


@case
async def a_finished_result_survives_a_type_adapter(lib: Any) -> object:
    from pydantic import TypeAdapter

    result = await lib.Agent(lib.says(('final_result', {'response': 3})), output_type=int).run('x')
    adapter: TypeAdapter[Any] = TypeAdapter(lib.AgentRunResult[int])
    text = adapter.dump_json(result).decode()
    back = adapter.validate_json(text)
    kept = {key: value for key, value in adapter.dump_python(result, mode='json').items() if 'traceparent' not in key}
    return kept, back == result, repr(back), back.output


# Captured messages


@case
async def only_the_first_run_in_a_block_is_captured(lib: Any) -> object:
    one, two = lib.Agent(lib.says('one')), lib.Agent(lib.says('two'))
    with lib.capture_run_messages() as messages:
        await one.run('first')
        await two.run('second')
    with lib.capture_run_messages() as outer, lib.capture_run_messages() as inner:
        await one.run('third')
    return lib.dump(messages), outer is inner, lib.dump(outer)


@case
async def a_nested_run_does_not_disturb_the_capture(lib: Any) -> object:
    inner = lib.Agent(lib.says('deep'))
    outer = lib.Agent(lib.says(('ask', {}), 'done'))

    @outer.tool_plain
    async def ask() -> str:
        return str((await inner.run('inside')).output)

    return await lib.seen(outer, 'x')


@case
async def captured_messages_are_the_history_of_the_run(lib: Any) -> object:
    agent = lib.Agent(lib.says(('boom', {}), 'done'))

    @agent.tool_plain
    def boom() -> str:
        raise ValueError('no')

    with lib.capture_run_messages() as messages:
        try:
            await agent.run('x')
        except ValueError as error:
            return lib.dump(messages), lib.error(error)
    return 'nothing was raised'


# Messages


@case
async def errors_of_arguments_and_of_output_keep_different_details(lib: Any) -> object:
    agent = lib.Agent(lib.says(('add', {'n': 'x', 'm': 5}), 'done'))

    @agent.tool_plain
    def add(n: int, m: str) -> int:
        return n

    nested = lib.Agent(lib.says('{"response": "x"}', '{"response": 4}'), output_type=lib.PromptedOutput(int))
    return await lib.seen(agent, 'x'), await lib.seen(nested, 'x')


@case
async def a_retry_part_speaks_to_the_model(lib: Any) -> object:
    details = [{'type': 'int_parsing', 'loc': ('a', 0), 'msg': 'bad', 'input': 'x', 'ctx': {'k': 1}}]
    return [
        lib.RetryPromptPart(content=content, tool_name=tool).model_response()
        for content in ('Try again', details, [*details, *details])
        for tool in (None, 't')
    ]


@case
async def response_text_joins_adjacent_parts_only(lib: Any) -> object:
    text, thinking, call = lib.TextPart, lib.ThinkingPart, lib.ToolCallPart
    for_each = [
        lib.ModelResponse(parts=parts)
        for parts in (
            [text('a'), text('b')],
            [text('a'), call('t', {}, 'id'), text('b'), text('c')],
            [thinking('x'), thinking('y'), text('a'), thinking('z')],
            [],
        )
    ]
    return [(r.text, r.thinking, r.tool_calls, r.builtin_tool_calls, r.files, r.images) for r in for_each]


# History


def _request(lib: Any, *parts: Any, **more: Any) -> Any:
    return lib.ModelRequest(parts=list(parts), **more)


@case
async def a_history_that_ends_in_a_request_lends_its_parts(lib: Any) -> object:
    prompts: list[object] = []
    agent = lib.Agent(lib.says('hi', 'there'))

    @agent.instructions
    @lib.with_context
    def note(ctx: Any) -> str:
        prompts.append(ctx.prompt)
        return 'note'

    user = lib.UserPromptPart
    shown = [
        await lib.seen(agent, message_history=[_request(lib, user('one'))]),
        await lib.seen(agent, message_history=[_request(lib, user('one'), user(['two', 'three']))]),
        await lib.seen(agent, 'new', message_history=[_request(lib, user('one'))]),
    ]
    return shown, prompts


@case
async def a_history_that_ends_in_a_response_needs_no_model(lib: Any) -> object:
    history = [_request(lib, lib.UserPromptPart('q')), lib.ModelResponse(parts=[lib.TextPart('a')])]
    plain = lib.Agent(lib.says('never'))
    instructed = lib.Agent(lib.says('asked'), instructions='Be brief')
    return await lib.seen(plain, message_history=history), await lib.seen(instructed, message_history=history)


@case
async def calls_left_open_are_processed_unless_there_is_a_prompt(lib: Any) -> object:
    agent = lib.Agent(lib.says('done'))

    @agent.tool_plain
    def ping(n: int = 0) -> str:
        return f'pong {n}'

    history = [
        _request(lib, lib.UserPromptPart('q')),
        lib.ModelResponse(parts=[lib.ToolCallPart('ping', {'n': 1}, 'c1'), lib.ToolCallPart('nope', {}, 'c2')]),
    ]
    return await lib.seen(agent, message_history=history), await lib.seen(agent, 'new', message_history=history)


@case
async def adjacent_messages_of_one_kind_are_merged(lib: Any) -> object:
    user, back, retry = lib.UserPromptPart, lib.ToolReturnPart, lib.RetryPromptPart
    call = lib.ToolCallPart('ping', {}, 'c1')
    text = lib.TextPart
    histories = [
        [_request(lib, user('a')), _request(lib, user('b'))],
        [_request(lib, user('a'), instructions='i'), _request(lib, user('b'), instructions='j')],
        [_request(lib, user('a'), instructions='i'), _request(lib, user('b'))],
        [
            _request(lib, user('a')),
            lib.ModelResponse(parts=[call]),
            _request(lib, user('b')),
            _request(lib, back('ping', 'ok', 'c1'), retry('again')),
        ],
        [_request(lib, user('a')), lib.ModelResponse(parts=[text('x')]), lib.ModelResponse(parts=[text('y')])],
        [
            _request(lib, user('a')),
            lib.ModelResponse(parts=[text('x')], model_name='m'),
            lib.ModelResponse(parts=[text('y')]),
        ],
    ]
    return [await lib.seen(lib.Agent(lib.says('hi')), 'z', message_history=history) for history in histories]


@case
async def system_prompts_come_only_where_there_is_no_history(lib: Any) -> object:
    agent = lib.Agent(lib.says('hi'), system_prompt=('one', 'two'))
    calls = iter(range(9))

    @agent.system_prompt
    def static() -> str:
        return f'static {next(calls)}'

    @agent.system_prompt(dynamic=True)
    async def moving() -> str:
        return f'moving {next(calls)}'

    first = await agent.run('x')
    again = await agent.run('y', message_history=first.all_messages())
    fresh = await agent.run('z', message_history=[])
    return [r.all_messages_json().decode() for r in (first, again, fresh)], again.new_messages_json().decode()


@case
async def run_ids_in_the_history_stay(lib: Any) -> object:
    agent = lib.Agent(lib.says('hi'))
    first = await agent.run('x')
    second = await agent.run('y', message_history=first.all_messages())
    ids = [m.run_id for m in second.all_messages()]
    return ids == [first.run_id] * 2 + [second.run_id] * 2, len(set(ids)), second.all_messages_json().decode()


@case
async def a_structured_run_ends_in_a_request_whose_text_can_be_set_on_a_copy(lib: Any) -> object:
    agent = lib.Agent(lib.says(('final_result', {'response': 3})), output_type=int, instructions='i')
    result = await agent.run('x')
    changed = result.all_messages(output_tool_return_content='Thanks')
    text = await lib.Agent(lib.says('hi')).run('x')
    return (
        lib.dump(changed),
        result.new_messages_json(output_tool_return_content='Bye').decode(),
        result.all_messages_json().decode(),
        lib.raised(lambda: text.all_messages(output_tool_return_content='no')),
    )


# Responses


@case
async def an_empty_response_takes_an_earlier_text_or_asks_again(lib: Any) -> object:
    agent = lib.Agent(lib.says(['earlier', ('ping', {})], []))

    @agent.tool_plain
    def ping() -> str:
        return 'pong'

    empty = lib.Agent(lib.says([], 'late'))
    never = lib.Agent(lib.says([]), output_type=int)
    return await lib.seen(agent, 'x'), await lib.seen(empty, 'x'), await lib.seen(never, 'x')


@case
async def a_response_cut_by_its_length_is_told_apart(lib: Any) -> object:
    cut = lib.ModelResponse(parts=[], finish_reason='length')
    broken = lib.ModelResponse(parts=[lib.ToolCallPart('ping', '{"n": ', 'c')], finish_reason='length')
    filtered = lib.ModelResponse(parts=[], finish_reason='content_filter')
    agent = lib.Agent(lib.says(broken))

    @agent.tool_plain
    def ping(n: int) -> int:
        return n

    return (
        await lib.seen(lib.Agent(lib.says(cut)), 'x', model_settings={'max_tokens': 10}),
        await lib.seen(lib.Agent(lib.says(cut)), 'x'),
        await lib.seen(lib.Agent(lib.says(broken), output_type=int), 'x', model_settings={'max_tokens': 5}),
        await lib.seen(agent, 'x', model_settings={'max_tokens': 7}),
        await lib.seen(lib.Agent(lib.says(filtered)), 'x'),
    )


@case
async def thinking_alone_is_no_answer(lib: Any) -> object:
    think = lib.ThinkingPart('hm')
    return [
        await lib.seen(lib.Agent(lib.says([think], answer), output_type=kind), 'x')
        for kind, answer in (
            (str, 'text'),
            (int, ('final_result', {'response': 1})),
            (lib.ToolOutput(int), ('final_result', {'response': 1})),
        )
    ]


@case
async def text_where_a_tool_is_wanted(lib: Any) -> object:
    final = ('final_result', {'response': 1})
    return [
        await lib.seen(lib.Agent(lib.says(text, final), output_type=kind), 'x')
        for kind in (int, lib.ToolOutput(int))
        for text in ('hello', '7', '{"response": 7}')
    ]


@case
async def calls_beat_text(lib: Any) -> object:
    agent = lib.Agent(lib.says(['text', ('ping', {})], 'done'))

    @agent.tool_plain
    def ping() -> str:
        return 'pong'

    both = lib.Agent(lib.says(['text', ('final_result', {'response': 2})]), output_type=[int, str])
    return await lib.seen(agent, 'x'), await lib.seen(both, 'x')


@case
async def unknown_tools_count_against_the_output(lib: Any) -> object:
    agent = lib.Agent(lib.says(('x', {}), ('x', {})), output_type=[int, str])

    @agent.tool_plain
    def ping() -> str:
        return 'pong'

    return (
        await lib.seen(lib.Agent(lib.says(('x', {}), 'done')), 'x'),
        await lib.seen(lib.Agent(lib.says(('x', {}))), 'x'),
        await lib.seen(agent, 'x'),
    )


# Nodes


@case
async def nodes_show_themselves(lib: Any) -> object:
    agent = lib.Agent(lib.says(('ping', {}), 'done'), instructions='i', system_prompt='s')

    @agent.tool_plain
    def ping() -> str:
        return 'pong'

    async with agent.iter('x') as run:
        shown = [repr(run), repr(run.next_node), repr(run.result)]
        nodes = [f'{node!r} {run.next_node!r}' async for node in run]
        shown.append(repr(run))
    return shown, nodes, lib.dump(run.all_messages()), run.result.usage(), run.usage()


@case
async def next_drives_a_run_and_a_loop_resumes_it(lib: Any) -> object:
    agent = lib.Agent(lib.says(('ping', {}), 'done'))

    @agent.tool_plain
    def ping() -> str:
        return 'pong'

    seen: list[object] = []
    async with agent.iter('x') as run:
        node = await run.next(run.next_node)
        seen.append((type(node).__name__, repr(node), lib.dump(run.all_messages())))
        node = await run.next(node)
        seen.append((type(node).__name__, lib.dump(run.new_messages()), run.usage()))
        async for later in run:
            seen.append(type(later).__name__)
            break
        seen.append([type(later).__name__ async for later in run])
        seen.append(lib.raised(lambda: run.result.output))
        try:
            await run.__anext__()
        except StopAsyncIteration:
            seen.append('stopped')
    return seen


@case
async def a_node_can_be_changed_before_it_runs(lib: Any) -> object:
    agent = lib.Agent(lib.says('hi'))
    async with agent.iter('x') as run:
        node = run.next_node
        node.user_prompt = 'other'
        node = await run.next(node)
        node.request.parts.append(lib.UserPromptPart('more'))
        node = await run.next(node)
        node.model_response.parts[0].content = 'edited'
        end = await run.next(node)
    return repr(end), lib.dump(run.all_messages()), repr(run.result), type(end) is lib.End


@case
async def an_error_inside_iter_is_the_error_of_the_model(lib: Any) -> object:
    agent = lib.Agent(lib.says(lib.ModelHTTPError(500, 'm', {'a': 1})))
    return await lib.seen(agent, 'x')


@case
async def skipping_to_the_end_needs_no_model(lib: Any) -> object:
    agent = lib.Agent(lib.says('hi'))
    async with agent.iter('x') as run:
        request = await run.next(run.next_node)
        answer = lib.CallToolsNode(lib.ModelResponse(parts=[lib.TextPart('mine')]))
        end = await run.next(answer)
    return repr(request), repr(end), lib.dump(run.all_messages()), repr(run.result)


@case.parametrize()
def test_both_libraries_agree(script: Any, anyio_backend: str) -> None:
    agree(script, anyio_backend)
