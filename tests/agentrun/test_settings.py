"""Merging settings."""

import pytest

from agentrun.settings import ModelSettings, merge_model_settings


@pytest.mark.parametrize(
    ('base', 'overrides', 'merged'),
    [
        (None, None, None),
        ({'seed': 1}, None, {'seed': 1}),
        (None, {'seed': 2}, {'seed': 2}),
        ({'seed': 1, 'top_p': 0.5}, {'seed': 2}, {'seed': 2, 'top_p': 0.5}),
        ({}, None, None),
        (None, {}, {}),
    ],
)
def test_overrides_win_key_by_key(
    base: ModelSettings | None, overrides: ModelSettings | None, merged: ModelSettings | None
):
    assert merge_model_settings(base, overrides) == merged


def test_merging_leaves_both_sets_alone():
    base, overrides = ModelSettings(seed=1), ModelSettings(seed=2)
    merge_model_settings(base, overrides)
    assert (base, overrides) == ({'seed': 1}, {'seed': 2})
