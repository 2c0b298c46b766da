"""Toolsets, contexts, profiles and mistakes of use, as the documented behaviours have them."""

from typing import Any

import anyio
import pytest
from pydantic import BaseModel, ValidationInfo, field_validator

from tests.both import Table, agree

pydantic_ai = pytest.importorskip('pydantic_ai', reason='the library that is followed is not installed')
pytestmark = pytest.mark.filterwarnings('ignore::DeprecationWarning')

case = Table()


class Scaled(BaseModel):
    x: int

    @field_validator('x')
    @classmethod
    def scale(cls, value: int, info: ValidationInfo) -> int:
        if value < 0:
            raise ValueError('too small')
        return value * (info.context or 1)


@case
async def validation_context_reaches_outputs_and_tools(lib: Any) -> object:
    def of(ctx: Any) -> Any:
        return ctx.deps

    calls: list[Any] = [('take', {'s': {'x': 2}}), ('final_result', {'x': 3})]
    shown: list[object] = []
    for context in (None, 10, of):
        agent = lib.Agent(lib.says(*calls), output_type=Scaled, validation_context=context)

        @agent.tool_plain
        def take(s: Scaled) -> int:
            return s.x

        shown.append(await lib.seen(agent, 'x', deps=7))
    return shown


@case
async def errors_of_validators_of_outputs_go_to_the_model(lib: Any) -> object:
    final = ('final_result', {'x': -1})
    by_tool = lib.Agent(lib.says(final, ('final_result', {'x': 1})), output_type=Scaled)
    by_tool_never = lib.Agent(lib.says(final), output_type=lib.ToolOutput(Scaled, max_retries=2))
    shown = [await lib.seen(by_tool, 'x'), await lib.seen(by_tool_never, 'x')]
    prompted = lib.Agent(lib.TestModel(custom_output_text='{"x": 2}'), output_type=lib.PromptedOutput(Scaled))
    return [*shown, await lib.seen(prompted, 'x')]


@case
async def native_output_needs_a_model_that_can(lib: Any) -> object:
    plain = lib.Agent(lib.says('{"x": 1}'), output_type=lib.NativeOutput(Scaled))
    return await lib.seen(plain, 'x')


@case
async def toolsets_are_combined_prefixed_renamed_filtered_and_prepared(lib: Any) -> object:
    def one(n: int = 1) -> int:
        return n

    def two() -> str:
        return 'two'

    base = lib.FunctionToolset([one, two])

    async def strict(ctx: Any, definitions: Any) -> Any:
        return [definition for definition in definitions if definition.name != 'two']

    def is_one(ctx: Any, definition: Any) -> bool:
        return definition.name == 'one'

    def asks(ctx: Any, definition: Any, args: Any) -> bool:
        return definition.name == 'two'

    def by_step(ctx: Any) -> Any:
        return base.prefixed(str(ctx.run_step))

    kinds: list[Any] = [
        base.prefixed('p'),
        base.renamed({'uno': 'one'}),
        base.filtered(is_one),
        base.prepared(strict),
        lib.CombinedToolset([base.prefixed('a'), base.prefixed('b')]),
        base.approval_required(asks),
        by_step,
    ]
    shown: list[object] = []
    for toolset in kinds:
        agent = lib.Agent(lib.TestModel(), toolsets=[toolset], output_type=[str, lib.DeferredToolRequests])
        shown.append(await lib.seen(agent, 'x'))
    twice = lib.Agent(lib.TestModel(), toolsets=[base, base])
    return [*shown, await lib.seen(twice, 'x')]


@case
async def overrides_nest_and_are_apart_in_tasks(lib: Any) -> object:
    agent = lib.Agent(lib.says('hi'), instructions='own', deps_type=int)
    seen: dict[str, object] = {}

    async def one(name: str) -> None:
        with agent.override(instructions=f'in {name}', deps=1):
            await anyio.sleep(0.001)
            result = await agent.run('x')
            seen[name] = result.all_messages()[0].instructions

    async with anyio.create_task_group() as group:
        group.start_soon(one, 'a')
        group.start_soon(one, 'b')
    with agent.override(instructions='outer'), agent.override(instructions='inner'):
        inner = (await agent.run('x')).all_messages()[0].instructions
    return sorted(seen.items()), inner, (await agent.run('x')).all_messages()[0].instructions


@case
async def mistakes_of_use_are_told(lib: Any) -> object:
    agent = lib.Agent(lib.says('hi'))
    validated = lib.Agent(lib.says('hi'))

    @validated.output_validator
    def same(value: str) -> str:
        return value

    wrong = 'nothing was raised'
    async with agent.iter('x') as run:
        try:
            await run.next('no node')
        except Exception as error:  # noqa: BLE001, what is raised is what is compared
            wrong = type(error).__name__
    return wrong, await lib.seen(validated, 'x', output_type=int), lib.raised(lambda: lib.Agent('no-such-model'))[0]


@case
async def context_of_a_tool_can_be_replaced_and_messages_read(lib: Any) -> object:
    agent = lib.Agent(lib.says(('look', {}), 'done'), retries=3)

    @agent.tool
    @lib.with_context
    async def look(ctx: Any) -> str:
        return f'{ctx.messages[-1].parts[0].tool_name} {ctx.last_attempt} {ctx.max_retries} {ctx.run_id is not None}'

    return await lib.seen(agent, 'x')


@case
async def multimodal_prompts_reach_the_model_as_they_are(lib: Any) -> object:
    agent = lib.Agent(lib.says('hi'))
    prompts = [
        ['a', lib.ImageUrl('https://x.y/a.png'), lib.AudioUrl('https://x.y/a.mp3', force_download=True)],
        [lib.DocumentUrl('https://x.y/a.pdf'), lib.VideoUrl('https://youtu.be/a'), lib.CachePoint()],
        [lib.BinaryContent(b'\xff\x00', media_type='application/pdf', vendor_metadata={'k': 1})],
        [],
        '',
        None,
    ]
    return [await lib.seen(agent, prompt) for prompt in prompts]


@case.parametrize()
def test_both_libraries_agree(script: Any, anyio_backend: str) -> None:
    agree(script, anyio_backend)
