"""Media types of files: which ones models take, their short names, and how one is guessed from a name."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from mimetypes import MimeTypes
    from os import PathLike

AudioMediaType: TypeAlias = Literal['audio/wav', 'audio/mpeg', 'audio/ogg', 'audio/flac', 'audio/aiff', 'audio/aac']
"""Media types of audio that models take."""
ImageMediaType: TypeAlias = Literal['image/jpeg', 'image/png', 'image/gif', 'image/webp']
"""Media types of images that models take."""
DocumentMediaType: TypeAlias = Literal[
    'application/pdf',
    'text/plain',
    'text/csv',
    'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
    'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
    'text/html',
    'text/markdown',
    'application/msword',
    'application/vnd.ms-excel',
]
"""Media types of documents that models take."""
VideoMediaType: TypeAlias = Literal[
    'video/x-matroska',
    'video/quicktime',
    'video/mp4',
    'video/webm',
    'video/x-flv',
    'video/mpeg',
    'video/x-ms-wmv',
    'video/3gpp',
]
"""Media types of videos that models take."""

AudioFormat: TypeAlias = Literal['wav', 'mp3', 'oga', 'flac', 'aiff', 'aac']
"""Short names of audio formats."""
ImageFormat: TypeAlias = Literal['jpeg', 'png', 'gif', 'webp']
"""Short names of image formats."""
DocumentFormat: TypeAlias = Literal['csv', 'doc', 'docx', 'html', 'md', 'pdf', 'txt', 'xls', 'xlsx']
"""Short names of document formats."""
VideoFormat: TypeAlias = Literal['mkv', 'mov', 'mp4', 'webm', 'flv', 'mpeg', 'mpg', 'wmv', 'three_gp']
"""Short names of video formats."""

AUDIO_FORMATS: dict[str, AudioFormat] = {
    'audio/mpeg': 'mp3',
    'audio/wav': 'wav',
    'audio/flac': 'flac',
    'audio/ogg': 'oga',
    'audio/aiff': 'aiff',
    'audio/aac': 'aac',
}
"""Short names of formats by media type: audio."""
IMAGE_FORMATS: dict[str, ImageFormat] = {
    'image/jpeg': 'jpeg',
    'image/png': 'png',
    'image/gif': 'gif',
    'image/webp': 'webp',
}
"""Short names of formats by media type: images."""
DOCUMENT_FORMATS: dict[str, DocumentFormat] = {
    'application/pdf': 'pdf',
    'text/plain': 'txt',
    'text/csv': 'csv',
    'application/vnd.openxmlformats-officedocument.wordprocessingml.document': 'docx',
    'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet': 'xlsx',
    'text/html': 'html',
    'text/markdown': 'md',
    'application/msword': 'doc',
    'application/vnd.ms-excel': 'xls',
}
"""Short names of formats by media type: documents."""
VIDEO_FORMATS: dict[str, VideoFormat] = {
    'video/x-matroska': 'mkv',
    'video/quicktime': 'mov',
    'video/mp4': 'mp4',
    'video/webm': 'webm',
    'video/x-flv': 'flv',
    'video/mpeg': 'mpeg',
    'video/x-ms-wmv': 'wmv',
    'video/3gpp': 'three_gp',
}
"""Short names of formats by media type: videos."""
FORMATS: dict[str, str] = {**AUDIO_FORMATS, **IMAGE_FORMATS, **DOCUMENT_FORMATS, **VIDEO_FORMATS}
"""All of the above."""

# The types that Python's own table lacks or gets wrong, as pydantic-ai 1.38 adds them.
_ADDED_MEDIA_TYPES = {
    '.rtf': 'application/rtf',
    '.xlsx': 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
    '.docx': 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
    '.mdx': 'text/markdown',
    '.md': 'text/markdown',
    '.asciidoc': 'text/x-asciidoc',
    '.webp': 'image/webp',
    '.three_gp': 'video/3gpp',
    '.mkv': 'video/x-matroska',
    '.wmv': 'video/x-ms-wmv',
    '.aiff': 'audio/aiff',
    '.flac': 'audio/flac',
    '.oga': 'audio/ogg',
    '.wav': 'audio/wav',
}


@cache
def _media_types() -> MimeTypes:
    import mimetypes

    table = mimetypes.MimeTypes()
    # The system's own tables count too, as in pydantic-ai 1.38: guessed types stand in recorded bytes.
    table.read_windows_registry()
    for path in filter(lambda known: Path(known).is_file(), mimetypes.knownfiles):
        table.read(path)
    for suffix, media_type in _ADDED_MEDIA_TYPES.items():
        table.add_type(media_type, suffix)
    return table


def guessed_media_type(name: str | PathLike[str]) -> str | None:
    """Guess the media type of a file from its URL or path; None if the name does not tell."""
    return _media_types().guess_type(name)[0]
