"""What profiles hold and how they are laid over each other."""

from agentrun._records import lean_dataclass
from agentrun.builtin_tools import SUPPORTED_BUILTIN_TOOLS, WebSearchTool
from agentrun.profiles import DEFAULT_PROFILE, ModelProfile


@lean_dataclass(kw_only=True)
class Special(ModelProfile):
    """A profile with a field of its own."""

    special: bool = False


def test_an_update_takes_what_differs_from_the_default():
    base = ModelProfile(supports_tools=False)
    updated = base.update(ModelProfile(supports_image_output=True))
    assert (updated.supports_tools, updated.supports_image_output) == (False, True)
    assert base == ModelProfile(supports_tools=False)


def test_an_update_with_nothing_is_the_profile_itself():
    assert DEFAULT_PROFILE.update(None) is DEFAULT_PROFILE


def test_an_update_always_takes_the_built_in_tools():
    base = ModelProfile(supported_builtin_tools=frozenset({WebSearchTool}))
    assert base.update(ModelProfile()).supported_builtin_tools == SUPPORTED_BUILTIN_TOOLS


def test_an_update_leaves_out_fields_that_the_class_does_not_have():
    assert ModelProfile().update(Special(special=True, supports_tools=False)) == ModelProfile(supports_tools=False)


def test_a_profile_of_the_class_is_taken_as_it_is():
    special = Special(special=True)
    assert Special.from_profile(special) is special
    assert ModelProfile.from_profile(special) is special


def test_a_profile_of_another_class_is_laid_over_the_defaults():
    assert Special.from_profile(ModelProfile(supports_tools=False)) == Special(supports_tools=False)
    assert Special.from_profile(None) == Special()


def test_the_template_for_prompted_output_has_a_place_for_the_schema():
    assert DEFAULT_PROFILE.prompted_output_template.format(schema='{}') == (
        "\nAlways respond with a JSON object that's compatible with this schema:\n\n{}\n\n"
        "Don't include any text or Markdown fencing before or after.\n"
    )
