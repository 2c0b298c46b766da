"""Usage, limits, exceptions, settings, built-in tools and profiles against the library that is followed."""

import copy
import inspect
import pickle
import warnings
from collections.abc import Callable
from dataclasses import fields
from importlib import import_module
from itertools import product
from types import SimpleNamespace
from typing import Any

import pydantic_core
import pytest
from pydantic import TypeAdapter, ValidationError

from tests.helpers import state_of, type_of

pytest.importorskip('pydantic_ai', reason='the library that is followed is not installed')

pytestmark = pytest.mark.filterwarnings('ignore::DeprecationWarning')

MODULES = ('builtin_tools', 'exceptions', 'messages', 'profiles', 'settings', 'usage')
OURS: Any = SimpleNamespace(**{name: import_module(f'agentrun.{name}') for name in MODULES})
THEIRS: Any = SimpleNamespace(**{name: import_module(f'pydantic_ai.{name}') for name in MODULES})

Recipe = Callable[[Any], Any]

USAGES: list[Recipe] = [
    lambda p: p.usage.RequestUsage(),
    lambda p: p.usage.RequestUsage(input_tokens=1, output_tokens=2, details={'a': 3, 'zero': 0}),
    lambda p: p.usage.RequestUsage(
        cache_write_tokens=1,
        cache_read_tokens=2,
        input_audio_tokens=3,
        cache_audio_read_tokens=4,
        output_audio_tokens=5,
    ),
    lambda p: p.usage.RequestUsage(details={'cache_read_tokens': 9, 'a': -1}),
    lambda p: p.usage.RunUsage(),
    lambda p: p.usage.RunUsage(requests=2, tool_calls=3, input_tokens=10, details={'a': 1}),
    lambda p: p.usage.Usage(requests=1),
]
USAGE_TEXTS = [
    '{}',
    '{"request_tokens":1,"response_tokens":2,"details":null}',
    '{"input_tokens":1,"request_tokens":2}',
    '{"input_tokens":"1","details":{"a":1.0}}',
    '{"input_tokens":1.5}',
    '{"requests":1,"tool_calls":2}',
]
LIMITS: list[Recipe] = [
    lambda p: p.usage.UsageLimits(),
    lambda p: p.usage.UsageLimits(request_limit=None),
    lambda p: p.usage.UsageLimits(request_limit=2, tool_calls_limit=3),
    lambda p: p.usage.UsageLimits(input_tokens_limit=9),
    lambda p: p.usage.UsageLimits(output_tokens_limit=1),
    lambda p: p.usage.UsageLimits(total_tokens_limit=11, count_tokens_before_request=True),
    lambda p: p.usage.UsageLimits(request_tokens_limit=9, response_tokens_limit=1),
    lambda p: p.usage.UsageLimits(input_tokens_limit=0, output_tokens_limit=0),
]
EXCEPTIONS: list[Recipe] = [
    lambda p: p.exceptions.ModelRetry('again'),
    lambda p: p.exceptions.CallDeferred(),
    lambda p: p.exceptions.CallDeferred(metadata={'a': 1}),
    lambda p: p.exceptions.ApprovalRequired({'a': 1}),
    lambda p: p.exceptions.UserError('wrong'),
    lambda p: p.exceptions.AgentRunError('failed'),
    lambda p: p.exceptions.UsageLimitExceeded('too much'),
    lambda p: p.exceptions.UnexpectedModelBehavior('odd'),
    lambda p: p.exceptions.UnexpectedModelBehavior('odd', ''),
    lambda p: p.exceptions.UnexpectedModelBehavior('odd', 'no json'),
    lambda p: p.exceptions.UnexpectedModelBehavior('odd', '{"a":[1,1e20,NaN,"é😀"],"a":2}'),
    lambda p: p.exceptions.IncompleteToolCall('cut', '[]'),
    lambda p: p.exceptions.ModelAPIError('m', 'down'),
    lambda p: p.exceptions.ModelHTTPError(500, 'm'),
    lambda p: p.exceptions.ModelHTTPError(status_code=400, model_name='m', body={'e': ['x']}),
    lambda p: p.exceptions.FallbackExceptionGroup('all', [ValueError('a')]),
    lambda p: p.exceptions.ToolRetryError(p.messages.RetryPromptPart('again', tool_name='t')),
    lambda p: p.exceptions.ToolRetryError(
        p.messages.RetryPromptPart([{'type': 'x', 'loc': ('a', 0), 'msg': 'm', 'input': {'k': "v'"}}], tool_name='t')
    ),
    lambda p: p.exceptions.ToolRetryError(
        p.messages.RetryPromptPart([{'type': 'x', 'loc': (), 'msg': 'm', 'input': 1}] * 2)
    ),
    lambda p: p.exceptions.ToolRetryError(p.messages.RetryPromptPart([])),
]
TOOLS: list[Recipe] = [
    lambda p: p.builtin_tools.WebSearchTool(),
    lambda p: p.builtin_tools.WebSearchTool(user_location={'city': 'Paris'}, blocked_domains=['x.test'], max_uses=1),
    lambda p: p.builtin_tools.CodeExecutionTool(),
    lambda p: p.builtin_tools.WebFetchTool(allowed_domains=[], enable_citations=True),
    lambda p: p.builtin_tools.UrlContextTool(),
    lambda p: p.builtin_tools.ImageGenerationTool(quality='low', aspect_ratio='1:1'),
    lambda p: p.builtin_tools.MemoryTool(),
    lambda p: p.builtin_tools.MCPServerTool(id='i', url='https://x.test', headers={'a': 'b'}),
    lambda p: p.builtin_tools.FileSearchTool(file_store_ids=['a', 'b']),
]


def attempt(call: Callable[[], Any]) -> object:
    try:
        return repr(call())
    except Exception as error:  # noqa: BLE001, any error is an answer
        return type(error).__name__, str(error)


@pytest.mark.parametrize('recipe', USAGES)
def test_a_usage_says_the_same(recipe: Recipe):
    ours, theirs = recipe(OURS), recipe(THEIRS)
    assert repr(ours) == repr(theirs)
    assert [f.name for f in fields(ours)] == [f.name for f in fields(theirs)]
    for member in ('has_values', 'opentelemetry_attributes'):
        assert getattr(ours, member)() == getattr(theirs, member)()
    for member in ('requests', 'total_tokens', 'request_tokens', 'response_tokens'):
        assert getattr(ours, member) == getattr(theirs, member)
    assert pydantic_core.to_json(ours) == pydantic_core.to_json(theirs)


@pytest.mark.parametrize(
    ('recipe', 'other'), [*product(USAGES[:4], USAGES[:4]), *product(USAGES[4:], USAGES)]
)  # not a run's usage added to a request's: no sum that the types allow
def test_usages_add_up_to_the_same(recipe: Recipe, other: Recipe):
    assert repr(recipe(OURS) + other(OURS)) == repr(recipe(THEIRS) + other(THEIRS))
    ours, theirs = recipe(OURS), recipe(THEIRS)
    ours.incr(other(OURS))
    theirs.incr(other(THEIRS))
    assert repr(ours) == repr(theirs)


@pytest.mark.parametrize('text', USAGE_TEXTS)
@pytest.mark.parametrize('kind', ['RequestUsage', 'RunUsage'])
def test_usage_json_loads_alike(text: str, kind: str):
    ours, theirs = (TypeAdapter(getattr(p.usage, kind)) for p in (OURS, THEIRS))
    assert attempt(lambda: ours.validate_json(text)) == attempt(lambda: theirs.validate_json(text))


@pytest.mark.parametrize('limits', LIMITS)
@pytest.mark.parametrize('usage', USAGES[4:])
@pytest.mark.parametrize('check', ['check_before_request', 'check_tokens', 'check_before_tool_call'])
def test_limits_allow_and_forbid_the_same(limits: Recipe, usage: Recipe, check: str):
    def outcome(p: Any) -> object:
        used = usage(p)
        used.output_tokens = 2
        used.tool_calls += 1
        return attempt(lambda: getattr(limits(p), check)(used))

    assert outcome(OURS) == outcome(THEIRS)


@pytest.mark.parametrize('limits', LIMITS)
def test_limits_show_the_same(limits: Recipe):
    assert repr(limits(OURS)) == repr(limits(THEIRS))
    assert limits(OURS).has_token_limits() == limits(THEIRS).has_token_limits()
    assert limits(OURS).request_tokens_limit == limits(THEIRS).request_tokens_limit
    assert limits(OURS).response_tokens_limit == limits(THEIRS).response_tokens_limit


@pytest.mark.parametrize('recipe', EXCEPTIONS)
def test_an_exception_says_the_same(recipe: Recipe):
    ours, theirs = recipe(OURS), recipe(THEIRS)
    assert (str(ours), repr(ours), ours.args[:1]) == (str(theirs), repr(theirs), theirs.args[:1])
    assert ours.__dict__.keys() == theirs.__dict__.keys()
    assert {k: str(v) for k, v in state_of(ours).items() if k != 'tool_retry'} == {
        k: str(v) for k, v in state_of(theirs).items() if k != 'tool_retry'
    }
    assert [c.__name__ for c in type_of(ours).__mro__] == [c.__name__ for c in type_of(theirs).__mro__]
    assert isinstance(hash(ours), int)


@pytest.mark.parametrize('recipe', EXCEPTIONS)
def test_an_exception_survives_what_theirs_survives(recipe: Recipe):
    ours = recipe(OURS)
    for restored in (copy.copy(ours), pickle.loads(pickle.dumps(ours))):
        assert (type(restored), str(restored)) == (type(ours), str(ours))
        assert repr(state_of(restored)) == repr(state_of(ours))


def test_a_retry_goes_over_the_wire_alike():
    ours, theirs = (TypeAdapter(p.exceptions.ModelRetry) for p in (OURS, THEIRS))
    text = theirs.dump_json(THEIRS.exceptions.ModelRetry('again'))
    assert ours.dump_json(OURS.exceptions.ModelRetry('again')) == text
    assert ours.validate_json(text) == OURS.exceptions.ModelRetry('again')
    with pytest.raises(ValidationError):
        ours.validate_json('{"kind":"model-retry"}')
    assert ours.json_schema() == theirs.json_schema()


@pytest.mark.parametrize('base', [None, {}, {'seed': 1, 'top_p': 0.5}])
@pytest.mark.parametrize('overrides', [None, {}, {'seed': 2}])
def test_settings_merge_alike(base: Any, overrides: Any):
    ours = OURS.settings.merge_model_settings(base, overrides)
    assert ours == THEIRS.settings.merge_model_settings(base, overrides)


def test_settings_have_the_same_keys():
    assert list(OURS.settings.ModelSettings.__annotations__) == list(THEIRS.settings.ModelSettings.__annotations__)


@pytest.mark.parametrize('recipe', TOOLS)
def test_a_built_in_tool_is_the_same(recipe: Recipe):
    ours, theirs = recipe(OURS), recipe(THEIRS)
    assert repr(ours) == repr(theirs)
    assert (ours.kind, ours.unique_id, ours.label) == (theirs.kind, theirs.unique_id, theirs.label)
    any_of_ours: TypeAdapter[Any] = TypeAdapter(OURS.builtin_tools.AbstractBuiltinTool)
    any_of_theirs: TypeAdapter[Any] = TypeAdapter(THEIRS.builtin_tools.AbstractBuiltinTool)
    text = any_of_theirs.dump_json(theirs)
    assert any_of_ours.dump_json(ours) == text
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        assert any_of_ours.validate_json(text) == ours


def test_the_sets_of_built_in_tools_are_the_same():
    for name in ('DEPRECATED_BUILTIN_TOOLS', 'SUPPORTED_BUILTIN_TOOLS', 'BUILTIN_TOOLS_REQUIRING_CONFIG'):
        ours, theirs = (getattr(p.builtin_tools, name) for p in (OURS, THEIRS))
        assert {tool.__name__ for tool in ours} == {tool.__name__ for tool in theirs}
    ours, theirs = (p.builtin_tools.BUILTIN_TOOL_TYPES for p in (OURS, THEIRS))
    assert list(ours) == list(theirs)


def test_a_profile_has_the_same_fields_and_defaults():
    ours, theirs = OURS.profiles.DEFAULT_PROFILE, THEIRS.profiles.DEFAULT_PROFILE
    assert [f.name for f in fields(ours)] == [f.name for f in fields(theirs)]
    same = [f.name for f in fields(ours) if f.name != 'supported_builtin_tools']
    assert [getattr(ours, name) for name in same] == [getattr(theirs, name) for name in same]


def test_profiles_update_alike():
    def names(p: Any) -> object:
        base = p.profiles.ModelProfile(supports_tools=False, thinking_tags=('a', 'b'))
        given = p.profiles.ModelProfile(supports_image_output=True, supported_builtin_tools=frozenset())
        updated = base.update(given)
        return updated.supports_tools, updated.supports_image_output, updated.supported_builtin_tools

    assert names(OURS) == names(THEIRS)


@pytest.mark.parametrize('module', ['usage', 'exceptions', 'settings', 'builtin_tools', 'profiles'])
def test_every_public_name_is_here(module: str):
    later = {'InlineDefsJsonSchemaTransformer', 'JsonSchemaTransformer'}  # providers' schema forms are not followed
    theirs = set(getattr(getattr(THEIRS, module), '__all__', ())) - later
    assert theirs <= set(getattr(OURS, module).__all__)


@pytest.mark.parametrize('name', ['UsageLimits', 'RunUsage', 'RequestUsage'])
def test_arguments_have_the_same_names_and_order(name: str):
    ours, theirs = (inspect.signature(getattr(p.usage, name)) for p in (OURS, THEIRS))
    assert list(ours.parameters) == list(theirs.parameters)
