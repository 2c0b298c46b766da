"""Files, cache markers and tool returns."""

import base64
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from agentrun.messages import (
    AudioUrl,
    BinaryContent,
    BinaryImage,
    CachePoint,
    DocumentUrl,
    FileUrl,
    ImageUrl,
    ToolReturn,
    VideoUrl,
)

GUESSED = [
    (ImageUrl('https://x.test/a.jpg'), 'image/jpeg', 'jpeg'),
    (ImageUrl('https://x.test/a.png'), 'image/png', 'png'),
    (ImageUrl('https://x.test/a.gif'), 'image/gif', 'gif'),
    (ImageUrl('https://x.test/a.webp'), 'image/webp', 'webp'),
    (AudioUrl('https://x.test/a.mp3'), 'audio/mpeg', 'mp3'),
    (AudioUrl('https://x.test/a.wav'), 'audio/wav', 'wav'),
    (AudioUrl('https://x.test/a.oga'), 'audio/ogg', 'oga'),
    (AudioUrl('https://x.test/a.flac'), 'audio/flac', 'flac'),
    (AudioUrl('https://x.test/a.aiff'), 'audio/aiff', 'aiff'),
    (VideoUrl('https://x.test/a.mkv'), 'video/x-matroska', 'mkv'),
    (VideoUrl('https://x.test/a.mov'), 'video/quicktime', 'mov'),
    (VideoUrl('https://x.test/a.mp4'), 'video/mp4', 'mp4'),
    (VideoUrl('https://x.test/a.webm'), 'video/webm', 'webm'),
    (VideoUrl('https://x.test/a.wmv'), 'video/x-ms-wmv', 'wmv'),
    (VideoUrl('https://x.test/a.three_gp'), 'video/3gpp', 'three_gp'),
    (VideoUrl('https://youtu.be/lCdaVNyHtjU'), 'video/mp4', 'mp4'),
    (DocumentUrl('https://x.test/a.pdf'), 'application/pdf', 'pdf'),
    (DocumentUrl('https://x.test/a.txt'), 'text/plain', 'txt'),
    (DocumentUrl('https://x.test/a.csv'), 'text/csv', 'csv'),
    (DocumentUrl('https://x.test/a.html'), 'text/html', 'html'),
    (DocumentUrl('https://x.test/a.md'), 'text/markdown', 'md'),
    (DocumentUrl('https://x.test/a.xls'), 'application/vnd.ms-excel', 'xls'),
    (DocumentUrl('https://x.test/a.doc'), 'application/msword', 'doc'),
    (
        DocumentUrl('https://x.test/a.docx'),
        'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
        'docx',
    ),
    (DocumentUrl('https://x.test/a.xlsx'), 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet', 'xlsx'),
]


@pytest.mark.parametrize(('url', 'media_type', 'short'), GUESSED, ids=lambda value: str(value)[:40])
def test_a_media_type_is_guessed_from_the_url(url: FileUrl, media_type: str, short: str):
    assert (url.media_type, url.format) == (media_type, short)


@pytest.mark.parametrize('kind', [ImageUrl, AudioUrl, VideoUrl, DocumentUrl])
def test_a_media_type_that_cannot_be_guessed_is_an_error(kind: type[ImageUrl]):
    url = kind('https://x.test/potato')
    noun = url.kind.removesuffix('-url')
    with pytest.raises(ValueError) as error:
        url.media_type  # noqa: B018, the reading is what fails
    assert str(error.value) == (
        f'Could not infer media type from {noun} URL: https://x.test/potato. Explicitly provide a `media_type` instead.'
    )


def test_a_given_media_type_is_not_guessed():
    assert ImageUrl('https://x.test/potato', media_type='image/png').media_type == 'image/png'


@pytest.mark.parametrize(
    ('url', 'is_youtube'),
    [
        ('https://youtu.be/x', True),
        ('https://www.youtube.com/watch?v=x', True),
        ('https://youtube.com/x', True),
        ('https://x.test/youtube.com.mp4', False),
    ],
)
def test_a_video_knows_whether_it_is_on_youtube(url: str, is_youtube: bool):
    assert VideoUrl(url).is_youtube is is_youtube


def test_an_unknown_format_of_a_url_is_an_error():
    for url in (ImageUrl('u', media_type='x/y'), AudioUrl('u', media_type='x/y'), VideoUrl('u', media_type='x/y')):
        with pytest.raises(KeyError):
            url.format  # noqa: B018, the reading is what fails
    with pytest.raises(ValueError, match='Unknown document media type: x/y'):
        DocumentUrl('u', media_type='x/y').format  # noqa: B018, the same


def test_a_url_cannot_be_of_no_kind():
    with pytest.raises(TypeError, match='abstract'):
        FileUrl('https://x.test')  # pyright: ignore[reportAbstractUsage]


def test_identifiers_are_given_or_follow_from_the_content():
    assert ImageUrl('https://x.test/a.png').identifier == '5449d8'
    assert ImageUrl('https://x.test/a.png', identifier='mine').identifier == 'mine'
    assert BinaryContent(b'data', media_type='a/b').identifier == 'a17c9a'
    assert BinaryContent(b'data', media_type='a/b', identifier='mine').identifier == 'mine'


def test_fields_can_be_given_under_their_own_names():
    url = ImageUrl('u', _media_type='image/png', _identifier='i', kind='image-url')
    assert url == ImageUrl('u', media_type='image/png', identifier='i')
    assert repr(url) == "ImageUrl(url='u', _media_type='image/png', _identifier='i')"
    assert BinaryContent(b'', media_type='a/b', _identifier='i').identifier == 'i'


def test_media_type_and_identifier_of_a_url_do_not_count_for_equality():
    assert ImageUrl('u', media_type='image/png', identifier='a') == ImageUrl('u')
    assert ImageUrl('u') != ImageUrl('v')
    assert ImageUrl('u', force_download=True) != ImageUrl('u')


@pytest.mark.parametrize(
    ('media_type', 'short', 'family'),
    [
        ('audio/wav', 'wav', 'is_audio'),
        ('audio/mpeg', 'mp3', 'is_audio'),
        ('audio/aac', 'aac', 'is_audio'),
        ('image/png', 'png', 'is_image'),
        ('video/mp4', 'mp4', 'is_video'),
        ('application/pdf', 'pdf', 'is_document'),
        ('text/plain', 'txt', 'is_document'),
    ],
)
def test_a_file_knows_its_format_and_family(media_type: str, short: str, family: str):
    file = BinaryContent(b'', media_type=media_type)
    assert file.format == short
    families = ['is_audio', 'is_image', 'is_video', 'is_document']
    assert [name for name in families if getattr(file, name)] == [family]


@pytest.mark.parametrize('media_type', ['audio/x', 'image/x', 'video/x', 'application/x', 'nonsense', 'image'])
def test_an_unknown_format_of_a_file_is_an_error(media_type: str):
    with pytest.raises(ValueError, match=f'Unknown media type: {media_type}'):
        BinaryContent(b'', media_type=media_type).format  # noqa: B018, the reading is what fails


def test_a_data_uri_goes_there_and_back():
    file = BinaryContent(b'\xfb\xff', media_type='text/plain')
    assert file.data_uri == 'data:text/plain;base64,+/8='
    assert file.base64 == base64.b64encode(b'\xfb\xff').decode()
    assert BinaryContent.from_data_uri(file.data_uri) == file
    assert isinstance(BinaryContent.from_data_uri('data:image/png;base64,'), BinaryImage)


def test_a_text_that_is_no_data_uri_is_refused():
    with pytest.raises(ValueError, match='Data URI must start with "data:"'):
        BinaryContent.from_data_uri('https://x.test')


def test_a_file_is_read_from_a_path(tmp_path: Path):
    for name, media_type in (('a.csv', 'text/csv'), ('a.png', 'image/png'), ('a', 'application/octet-stream')):
        (tmp_path / name).write_bytes(b'data')
        file = BinaryContent.from_path(tmp_path / name)
        assert (file.data, file.media_type) == (b'data', media_type)
        assert isinstance(file, BinaryImage) == (name == 'a.png')


def test_a_missing_path_is_an_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match='File not found: '):
        BinaryContent.from_path(tmp_path / 'none')


def test_narrowing_makes_an_image_of_an_image_only():
    image, text = (
        BinaryContent(b'x', media_type='image/png', vendor_metadata={'a': 1}),
        BinaryContent(b'', media_type='a/b'),
    )
    narrowed = BinaryContent.narrow_type(image)
    assert type(narrowed) is BinaryImage
    assert (narrowed.data, narrowed.vendor_metadata, narrowed.identifier) == (b'x', {'a': 1}, image.identifier)
    assert BinaryContent.narrow_type(text) is text


def test_an_image_must_be_one():
    with pytest.raises(ValueError) as error:
        BinaryImage(b'', media_type='text/plain')
    assert str(error.value) == '`BinaryImage` must be have a media type that starts with "image/"'


def test_a_cache_point_shows_its_fields():
    assert repr(CachePoint()) == "CachePoint(kind='cache-point', ttl='5m')"


def test_a_tool_return_shows_what_is_set():
    assert repr(ToolReturn(1, metadata={'a': 1})) == "ToolReturn(return_value=1, metadata={'a': 1})"


@pytest.mark.parametrize(
    ('content', 'known'),
    [
        (ImageUrl('https://x.test/a.png'), {'media_type': 'image/png', 'identifier': '5449d8'}),
        (VideoUrl('https://youtu.be/x', identifier='mine'), {'media_type': 'video/mp4', 'identifier': 'mine'}),
        (BinaryContent(b'abc', media_type='image/png'), {'media_type': 'image/png', 'identifier': 'a9993e'}),
    ],
    ids=['url', 'video', 'file'],
)
def test_json_holds_what_is_known_of_a_file_without_being_given(content: object, known: dict[str, str]):
    for _ in range(2):  # a second schema finds what the first one set up
        dumped = TypeAdapter(type(content)).dump_python(content, mode='json')
        assert {name: dumped[name] for name in known} == known
