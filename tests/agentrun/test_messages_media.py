from pathlib import Path
from typing import get_args

import pytest

from agentrun.messages import _media as media


@pytest.mark.parametrize(
    ('name', 'media_type'),
    [
        ('https://x.test/a.md?raw=1', None),
        ('https://x.test/a.md', 'text/markdown'),
        ('a.PNG', 'image/png'),
        (Path('folder') / 'a.three_gp', 'video/3gpp'),
        ('a.asciidoc', 'text/x-asciidoc'),
        ('a', None),
        ('a.potato', None),
    ],
)
def test_media_types_are_guessed_from_urls_and_paths(name: str | Path, media_type: str | None):
    assert media.guessed_media_type(name) == media_type


@pytest.mark.parametrize(
    ('formats', 'media_types', 'names'),
    [
        (media.AUDIO_FORMATS, media.AudioMediaType, media.AudioFormat),
        (media.IMAGE_FORMATS, media.ImageMediaType, media.ImageFormat),
        (media.DOCUMENT_FORMATS, media.DocumentMediaType, media.DocumentFormat),
        (media.VIDEO_FORMATS, media.VideoMediaType, media.VideoFormat),
    ],
    ids=['audio', 'image', 'document', 'video'],
)
def test_documented_media_types_and_formats_are_those_that_are_known(
    formats: dict[str, str], media_types: object, names: object
):
    unused = {'mpg'}  # a documented name that no media type leads to, as in pydantic-ai 1.38
    assert set(formats) - {'audio/aac'} == set(get_args(media_types)) - {'audio/aac'}
    assert set(formats.values()) == set(get_args(names)) - unused


def test_families_do_not_share_a_media_type():
    families = (media.AUDIO_FORMATS, media.IMAGE_FORMATS, media.DOCUMENT_FORMATS, media.VIDEO_FORMATS)
    assert len(media.FORMATS) == sum(map(len, families))
