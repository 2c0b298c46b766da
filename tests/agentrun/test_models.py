"""What all models share, and the two scripted ones."""

from dataclasses import replace
from typing import Any, cast

import pytest

from agentrun import Agent, ModelMessage, ModelResponse, TextPart, UserError
from agentrun.builtin_tools import CodeExecutionTool, WebSearchTool
from agentrun.messages import ModelRequest, RetryPromptPart, ToolReturnPart, UserPromptPart
from agentrun.models import Model, ModelRequestParameters, infer_model
from agentrun.models.function import AgentInfo, FunctionModel
from agentrun.models.test import TestModel
from agentrun.output import OutputObjectDefinition
from agentrun.profiles import ModelProfile
from agentrun.settings import ModelSettings
from agentrun.tools import ToolDefinition

pytestmark = pytest.mark.anyio

OBJECT = OutputObjectDefinition(json_schema={'type': 'object'}, name='thing')
TOOL = ToolDefinition(name='tool', parameters_json_schema={'type': 'object'})


class Named(Model):
    """A model with a name and nothing to say."""

    def __init__(self, name: str = 'named', **options: Any) -> None:
        self._name = name
        super().__init__(**options)

    @property
    def model_name(self) -> str:
        return self._name

    @property
    def system(self) -> str:
        return 'nobody'

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        return ModelResponse(parts=[TextPart(f'{model_settings}')])


class Shouting:
    """A schema transformer."""

    def __init__(self, schema: dict[str, Any], *, strict: bool | None = None) -> None:
        self._schema, self.is_strict_compatible = schema, True

    def walk(self) -> dict[str, Any]:
        return {key.upper(): value for key, value in self._schema.items()}


def prepared(params: ModelRequestParameters, **profile: Any) -> ModelRequestParameters:
    return Named(profile=ModelProfile(**profile)).prepare_request(None, params)[1]


# The base


@pytest.mark.parametrize(
    ('name', 'label'),
    [
        ('gpt-5', 'GPT 5'),
        ('claude-sonnet-4-5', 'Claude Sonnet 4.5'),
        ('gemini-2.5-pro', 'Gemini 2.5 Pro'),
        ('meta-llama/llama-3-70b', 'Llama 3 70b'),
        ('5', '5'),
    ],
)
def test_a_label_is_the_name_made_for_people(name: str, label: str):
    assert Named(name).label == label


def test_a_model_has_no_url_unless_it_says_so():
    assert Named().base_url is None


def test_a_profile_may_be_a_function_of_the_name():
    def profile(name: str) -> ModelProfile:
        return ModelProfile(thinking_tags=(name, name))

    model = Named('x', profile=profile)
    assert model.profile.thinking_tags == ('x', 'x')


def test_a_model_supports_the_builtin_tools_that_class_and_profile_support():
    assert Named().profile.supported_builtin_tools == frozenset()
    profile = ModelProfile(supported_builtin_tools=frozenset({WebSearchTool}))
    assert TestModel(profile=profile).profile.supported_builtin_tools == {WebSearchTool}


async def test_settings_of_the_model_stand_below_all_others():
    agent = Agent(Named(settings={'seed': 1, 'top_p': 1}), model_settings={'top_p': 2})
    assert (await agent.run('go')).output == "{'seed': 1, 'top_p': 2}"


async def test_counting_tokens_is_refused_by_name():
    with pytest.raises(NotImplementedError, match='not supported by Named'):
        await Named().count_tokens([], None, ModelRequestParameters())


def test_parameters_that_need_no_change_stay_the_same_object():
    params = ModelRequestParameters(function_tools=[TOOL])
    assert prepared(params) is params


def test_parameters_show_only_what_is_set():
    params = ModelRequestParameters(output_mode='tool', allow_text_output=False)
    shown = "function_tools=[], builtin_tools=[], output_mode='tool', output_tools=[], allow_text_output=False"
    assert repr(params) == f'ModelRequestParameters({shown})'


def test_parameters_find_tools_by_name():
    output = replace(TOOL, name='out', kind='output')
    params = ModelRequestParameters(function_tools=[TOOL], output_tools=[output])
    assert params.tool_defs == {'tool': TOOL, 'out': output}


def test_automatic_output_becomes_what_the_profile_prefers():
    params = ModelRequestParameters(output_mode='auto', output_tools=[TOOL], output_object=OBJECT)
    by_tool = prepared(params)
    assert (by_tool.output_mode, by_tool.output_tools, by_tool.output_object) == ('tool', [TOOL], None)
    assert by_tool.allow_text_output is False
    native = prepared(params, default_structured_output_mode='native', supports_json_schema_output=True)
    assert (native.output_mode, native.output_tools, native.output_object) == ('native', [], OBJECT)
    assert (native.allow_text_output, native.prompted_output_template) == (True, None)


def test_prompted_output_gets_the_template_of_the_profile_unless_it_has_its_own():
    params = ModelRequestParameters(output_mode='prompted', output_object=OBJECT)
    assert prepared(params, prompted_output_template='say {schema}').prompted_output_template == 'say {schema}'
    own = replace(params, prompted_output_template='own {schema}')
    assert prepared(own).prompted_output_instructions == 'own {"type": "object", "title": "thing"}'
    assert params.prompted_output_instructions is None


def test_native_output_gets_instructions_if_the_profile_needs_them():
    params = ModelRequestParameters(output_mode='native', output_object=OBJECT)
    needs = prepared(params, native_output_requires_schema_in_instructions=True, supports_json_schema_output=True)
    assert needs.prompted_output_template == ModelProfile().prompted_output_template


@pytest.mark.parametrize(
    ('params', 'profile', 'text'),
    [
        ({'output_mode': 'native'}, {}, 'Native structured output is not supported by this model.'),
        ({'output_mode': 'tool'}, {'supports_tools': False}, 'Tool output is not supported by this model.'),
        ({'allow_image_output': True}, {}, 'Image output is not supported by this model.'),
        (
            {'builtin_tools': [WebSearchTool(), CodeExecutionTool()]},
            {},
            "Builtin tool(s) ['WebSearchTool', 'CodeExecutionTool'] not supported by this model. Supported: []",
        ),
    ],
)
def test_what_the_profile_does_not_support_is_refused(params: Any, profile: Any, text: str):
    with pytest.raises(UserError) as raised:
        prepared(ModelRequestParameters(**params), **profile)
    assert raised.value.message == text


def test_a_transformer_changes_schemas_and_settles_strictness():
    params = ModelRequestParameters(
        function_tools=[TOOL],
        output_mode='native',
        output_object=replace(OBJECT, strict=False),
    )
    changed = prepared(params, json_schema_transformer=Shouting, supports_json_schema_output=True)
    assert (changed.function_tools[0].parameters_json_schema, changed.function_tools[0].strict) == (
        {'TYPE': 'object'},
        True,
    )
    assert changed.output_object == replace(OBJECT, json_schema={'TYPE': 'object'}, strict=False)
    bare = prepared(ModelRequestParameters(output_tools=[TOOL], output_mode='tool'), json_schema_transformer=Shouting)
    assert (bare.output_tools[0].strict, bare.output_object) == (True, None)


def asked(*parts: Any, instructions: str | None = None) -> ModelRequest:
    return ModelRequest(parts=list(parts), instructions=instructions)


@pytest.mark.parametrize(
    ('messages', 'found'),
    [
        ([], None),
        ([asked(instructions='a')], 'a'),
        ([asked(instructions='a'), ModelResponse(parts=[]), asked(ToolReturnPart('t', 1))], 'a'),
        ([asked(instructions='a'), asked(RetryPromptPart('x'))], 'a'),
        ([asked(instructions='a'), asked(UserPromptPart('x'))], None),
        ([asked(instructions='a'), asked(), asked()], None),
        ([asked(ToolReturnPart('t', 1))], None),
    ],
)
def test_instructions_in_force_are_those_of_the_last_request_that_is_no_closing_one(messages: Any, found: str | None):
    assert Model._get_instructions(messages) == found


@pytest.mark.parametrize(('own', 'both'), [('a', 'a\n\n{"type": "object", "title": "thing"}'), (None, None)])
def test_instructions_that_ask_for_the_output_follow_the_others(own: str | None, both: str | None):
    params = ModelRequestParameters(output_mode='prompted', output_object=OBJECT, prompted_output_template='{schema}')
    assert Model._get_instructions([asked(instructions=own)], params) == (
        both or '{"type": "object", "title": "thing"}'
    )
    without = replace(params, output_object=None)
    assert Model._get_instructions([asked(instructions=own)], without) == own


def test_a_model_is_inferred_to_be_itself():
    model = Named()
    assert (infer_model(model) is model, isinstance(infer_model('test'), TestModel)) == (True, True)


# Functions as models


async def test_a_sync_function_runs_in_a_worker_thread():
    import threading

    def say(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[TextPart(str(threading.current_thread() is threading.main_thread()))])

    assert (await Agent(FunctionModel(say)).run('go')).output == 'False'


@pytest.mark.parametrize(('name', 'shown'), [(None, 'function:say:'), ('other', 'other')])
async def test_a_function_model_names_itself_and_its_responses(name: str | None, shown: str):
    async def say(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[TextPart('x')], model_name='ignored')

    model = FunctionModel(say, model_name=name)
    result = await Agent(model).run('go')
    assert (model.model_name, model.system, result.response.model_name) == (shown, 'function', shown)
    assert repr(model) == f'FunctionModel(function={say!r}, stream_function=None)'


def test_a_function_model_needs_a_function():
    with pytest.raises(TypeError, match='Either `function` or `stream_function` must be provided'):
        cast('Any', FunctionModel)()


async def test_a_function_that_returns_no_response_is_told_so():
    async def say(messages: list[ModelMessage], info: AgentInfo) -> Any:
        return 'text'

    with pytest.raises(TypeError, match="'function:say:' has to return a `ModelResponse`; it returned 'text'"):
        await Agent(FunctionModel(say)).run('go')


async def test_what_a_function_keeps_of_the_messages_does_not_grow_with_the_run():
    kept: list[list[ModelMessage]] = []

    async def say(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        kept.append(messages)
        return ModelResponse(parts=[TextPart('x')] if len(kept) > 1 else [])

    await Agent(FunctionModel(say)).run('go')
    assert [len(messages) for messages in kept] == [1, 3]


# The model of tests


def test_a_test_model_shows_its_options():
    options = "call_tools='all', custom_output_text=None, custom_output_args=None, seed=0"
    assert repr(TestModel()) == f'TestModel({options}, last_model_request_parameters=None)'


async def test_a_test_model_keeps_what_it_was_offered_last():
    model = TestModel()
    await Agent(model, tools=[_tool]).run('go')
    assert model.last_model_request_parameters is not None
    assert [tool.name for tool in model.last_model_request_parameters.function_tools] == ['_tool']


def _tool() -> int:
    return 1


SCHEMAS: dict[str, tuple[dict[str, Any], list[Any]]] = {
    'const': ({'const': 7}, [7, 7]),
    'enum': ({'enum': ['a', 'b']}, ['a', 'b']),
    'examples': ({'examples': [1, 2]}, [1, 2]),
    'reference': ({'$ref': '#/$defs/x', '$defs': {'x': {'type': 'integer'}}}, [0, 1]),
    'union': ({'anyOf': [{'type': 'null'}, {'type': 'boolean'}]}, [None, True]),
    'anything': ({}, ['a', 'b']),
    'text': ({'type': 'string'}, ['a', 'b']),
    'long text': ({'type': 'string', 'minLength': 3}, ['aaa', 'bbb']),
    'no text': ({'type': 'string', 'maxLength': 0}, ['', '']),
    'date': ({'type': 'string', 'format': 'date'}, ['2024-01-01', '2024-01-02']),
    'other format': ({'type': 'string', 'format': 'time'}, ['a', 'b']),
    'number': ({'type': 'number'}, [0.0, 1.0]),
    'at least': ({'type': 'integer', 'minimum': 5}, [5, 6]),
    'at most': ({'type': 'integer', 'maximum': 5}, [5, 4]),
    'between': ({'type': 'integer', 'exclusiveMinimum': 3, 'exclusiveMaximum': 6}, [4, 4]),
    'list': ({'type': 'array', 'items': {'type': 'boolean'}}, [[False], [True]]),
    'unique': ({'type': 'array', 'items': {'type': 'integer'}, 'minItems': 2, 'uniqueItems': True}, [[0, 1], [1, 2]]),
    'tuple': ({'type': 'array', 'prefixItems': [{'type': 'null'}], 'items': {}}, [[None], [None]]),
    'full': ({'type': 'array', 'items': {'type': 'null'}, 'maxItems': 0}, [[], []]),
    'any keys': (
        {'type': 'object', 'additionalProperties': True},
        [{'additionalProperty': 'a'}, {'additionalProperty': 'b'}],
    ),
    'a key taken': (
        {
            'type': 'object',
            'properties': {'additionalProperty': {'type': 'null'}, 'optional': {}},
            'required': ['additionalProperty'],
            'additionalProperties': {'type': 'null'},
        },
        [{'additionalProperty': None, 'additionalProperty_': None}] * 2,
    ),
}


@pytest.mark.parametrize('name', SCHEMAS)
def test_data_is_generated_from_the_schema_and_the_seed(name: str):
    schema, expected = SCHEMAS[name]
    tool = ToolDefinition(name='tool', parameters_json_schema=schema)
    assert [TestModel(seed=seed).gen_tool_args(tool) for seed in (0, 1)] == expected


@pytest.mark.parametrize(('seed', 'letter'), [(0, 'a'), (93, '~'), (94, 'aa'), (188, 'ba')])
def test_letters_are_numbered_like_the_columns_of_a_spreadsheet(seed: int, letter: str):
    tool = ToolDefinition(name='tool', parameters_json_schema={'type': 'string'})
    assert TestModel(seed=seed).gen_tool_args(tool) == letter


def test_an_unknown_type_is_refused_by_name():
    tool = ToolDefinition(name='tool', parameters_json_schema={'type': 'magic'})
    with pytest.raises(NotImplementedError, match='Unknown type: magic'):
        TestModel().gen_tool_args(tool)


async def test_a_text_and_arguments_for_the_output_exclude_each_other():
    model = TestModel(custom_output_text='x', custom_output_args={})
    with pytest.raises(AssertionError, match='Cannot set both'):
        await Agent(model).run('go')


async def test_a_test_model_answers_requests_only():
    with pytest.raises(AssertionError, match='Expected last message to be a `ModelRequest`'):
        await TestModel().request([ModelResponse(parts=[])], None, ModelRequestParameters())


async def test_a_test_model_without_text_or_tools_has_nothing_to_answer_with():
    model = TestModel(custom_output_args=1)
    with pytest.raises(IndexError):
        await model.request([], None, ModelRequestParameters())
