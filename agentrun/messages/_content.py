"""What a user prompt and a tool can hold beside text: files by URL, files by value, cache markers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import KW_ONLY, field
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import pydantic
from pydantic_core import CoreSchema
from typing_extensions import TypedDict, Unpack

from agentrun._records import full_repr, lean_dataclass
from agentrun.messages._media import (
    AUDIO_FORMATS,
    DOCUMENT_FORMATS,
    FORMATS,
    IMAGE_FORMATS,
    VIDEO_FORMATS,
    AudioFormat,
    AudioMediaType,
    DocumentFormat,
    DocumentMediaType,
    ImageFormat,
    ImageMediaType,
    VideoFormat,
    guessed_media_type,
)


def _identifier(of: bytes) -> str:
    import hashlib

    return hashlib.sha1(of, usedforsecurity=False).hexdigest()[:6]


def _compute(cls: type, *names: str) -> None:
    # Makes properties part of the JSON, when a first schema is built: at import the decorator would load twelve
    # milliseconds' worth of pydantic.
    for name in names:
        if isinstance(found := cls.__dict__[name], property):
            setattr(cls, name, pydantic.computed_field(found))


class _FileUrlFields(TypedDict, total=False):
    media_type: str | None
    identifier: str | None
    force_download: bool
    vendor_metadata: dict[str, Any] | None
    # By field name too: tools that print a dataclass as a call pass every field under its own name.
    _media_type: str | None
    _identifier: str | None


@lean_dataclass()
class FileUrl(ABC):
    """A file that is named by its URL.

    Args:
        url: Where the file is.
        media_type: The file's media type; guessed from the URL when needed, if not given.
        identifier: A name under which a prompt may speak of the file; by default six hex digits of the URL's SHA-1.
        force_download: Whether to send the model the file's bytes instead of its URL.
        vendor_metadata: What a provider takes beside the file.
    """

    url: str
    """Where the file is."""

    _: KW_ONLY

    force_download: bool = False
    """Whether to send the model the file's bytes instead of its URL."""
    vendor_metadata: dict[str, Any] | None = None
    """What a provider takes beside the file."""
    _media_type: Annotated[str | None, pydantic.Field(alias='media_type', default=None, exclude=True)] = field(
        compare=False, default=None
    )
    _identifier: Annotated[str | None, pydantic.Field(alias='identifier', default=None, exclude=True)] = field(
        compare=False, default=None
    )

    _noun: ClassVar[str]

    def __init__(
        self,
        url: str,
        *,
        media_type: str | None = None,
        identifier: str | None = None,
        force_download: bool = False,
        vendor_metadata: dict[str, Any] | None = None,
        _media_type: str | None = None,
        _identifier: str | None = None,
    ) -> None:
        self.url = url
        self.force_download = force_download
        self.vendor_metadata = vendor_metadata
        self._media_type = media_type or _media_type
        self._identifier = identifier or _identifier

    @property
    def media_type(self) -> str:
        """The media type as given, else as guessed from the URL.

        Raises:
            ValueError: If it was not given and the URL does not tell.
        """
        return self._media_type or self._infer_media_type()

    @property
    def identifier(self) -> str:
        """The identifier as given, else the first six hex digits of the URL's SHA-1."""
        return self._identifier or _identifier(self.url.encode())

    def _infer_media_type(self) -> str:
        media_type = guessed_media_type(self.url)
        if media_type is None:
            raise ValueError(
                f'Could not infer media type from {self._noun} URL: {self.url}. '
                'Explicitly provide a `media_type` instead.'
            )
        return media_type

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: pydantic.GetCoreSchemaHandler) -> CoreSchema:
        _compute(FileUrl, 'media_type', 'identifier')
        return handler(source)

    @property
    @abstractmethod
    def format(self) -> str:
        """Short name of the file's format."""


@lean_dataclass()
class VideoUrl(FileUrl):
    """A video by URL; see `FileUrl` for the arguments."""

    kind: Literal['video-url'] = field(default='video-url', kw_only=True)
    """Tells this kind of content from others."""

    _noun = 'video'

    def __init__(self, url: str, *, kind: Literal['video-url'] = 'video-url', **given: Unpack[_FileUrlFields]) -> None:
        super().__init__(url, **given)
        self.kind = kind

    def _infer_media_type(self) -> str:
        # Such a URL has no suffix to go by, and the models that take it do not look at the type.
        return 'video/mp4' if self.is_youtube else super()._infer_media_type()

    @property
    def is_youtube(self) -> bool:
        """Whether the URL is one of YouTube's."""
        from urllib.parse import urlparse

        return urlparse(self.url).hostname in ('youtu.be', 'youtube.com', 'www.youtube.com')

    @property
    def format(self) -> VideoFormat:
        """Short name of the format.

        Raises:
            KeyError: If the media type is none of `VideoMediaType`.
        """
        return VIDEO_FORMATS[self.media_type]


@lean_dataclass()
class AudioUrl(FileUrl):
    """An audio file by URL; see `FileUrl` for the arguments."""

    kind: Literal['audio-url'] = field(default='audio-url', kw_only=True)
    """Tells this kind of content from others."""

    _noun = 'audio'

    def __init__(self, url: str, *, kind: Literal['audio-url'] = 'audio-url', **given: Unpack[_FileUrlFields]) -> None:
        super().__init__(url, **given)
        self.kind = kind

    @property
    def format(self) -> AudioFormat:
        """Short name of the format.

        Raises:
            KeyError: If the media type is none of `AudioMediaType`.
        """
        return AUDIO_FORMATS[self.media_type]


@lean_dataclass()
class ImageUrl(FileUrl):
    """An image by URL; see `FileUrl` for the arguments."""

    kind: Literal['image-url'] = field(default='image-url', kw_only=True)
    """Tells this kind of content from others."""

    _noun = 'image'

    def __init__(self, url: str, *, kind: Literal['image-url'] = 'image-url', **given: Unpack[_FileUrlFields]) -> None:
        super().__init__(url, **given)
        self.kind = kind

    @property
    def format(self) -> ImageFormat:
        """Short name of the format.

        Raises:
            KeyError: If the media type is none of `ImageMediaType`.
        """
        return IMAGE_FORMATS[self.media_type]


@lean_dataclass()
class DocumentUrl(FileUrl):
    """A document by URL; see `FileUrl` for the arguments."""

    kind: Literal['document-url'] = field(default='document-url', kw_only=True)
    """Tells this kind of content from others."""

    _noun = 'document'

    def __init__(
        self, url: str, *, kind: Literal['document-url'] = 'document-url', **given: Unpack[_FileUrlFields]
    ) -> None:
        super().__init__(url, **given)
        self.kind = kind

    @property
    def format(self) -> DocumentFormat:
        """Short name of the format.

        Raises:
            ValueError: If the media type is none of `DocumentMediaType`.
        """
        media_type = self.media_type
        try:
            return DOCUMENT_FORMATS[media_type]
        except KeyError as error:
            raise ValueError(f'Unknown document media type: {media_type}') from error


@lean_dataclass()
class BinaryContent:
    """A file by value.

    Args:
        data: The file's bytes.
        media_type: The file's media type.
        identifier: A name under which a prompt may speak of the file; by default six hex digits of the data's SHA-1.
        vendor_metadata: What a provider takes beside the file.
        kind: Tells this kind of content from others.
    """

    data: bytes
    """The file's bytes."""

    _: KW_ONLY

    media_type: AudioMediaType | ImageMediaType | DocumentMediaType | str
    """The file's media type."""
    vendor_metadata: dict[str, Any] | None = None
    """What a provider takes beside the file."""
    _identifier: Annotated[str | None, pydantic.Field(alias='identifier', default=None, exclude=True)] = field(
        compare=False, default=None
    )
    kind: Literal['binary'] = 'binary'
    """Tells this kind of content from others."""

    def __init__(
        self,
        data: bytes,
        *,
        media_type: AudioMediaType | ImageMediaType | DocumentMediaType | str,
        identifier: str | None = None,
        vendor_metadata: dict[str, Any] | None = None,
        kind: Literal['binary'] = 'binary',
        _identifier: str | None = None,
    ) -> None:
        self.data = data
        self.media_type = media_type
        self.vendor_metadata = vendor_metadata
        self._identifier = identifier or _identifier
        self.kind = kind

    @staticmethod
    def narrow_type(bc: BinaryContent) -> BinaryContent | BinaryImage:
        """Return an equal `BinaryImage` if the content is an image, else the content itself."""
        if not bc.is_image:
            return bc
        return BinaryImage(
            bc.data, media_type=bc.media_type, identifier=bc.identifier, vendor_metadata=bc.vendor_metadata
        )

    @classmethod
    def from_data_uri(cls, data_uri: str) -> BinaryContent:
        """Take apart a URI of the form `data:<media type>;base64,<data>`.

        Raises:
            ValueError: If the text has another form.
        """
        import base64

        if not data_uri.startswith('data:'):
            raise ValueError('Data URI must start with "data:"')
        media_type, data = data_uri.removeprefix('data:').split(';base64,', 1)
        return cls.narrow_type(cls(base64.b64decode(data), media_type=media_type))

    @classmethod
    def from_path(cls, path: PathLike[str]) -> BinaryContent:
        """Read a file; its media type is guessed from its name, else `application/octet-stream`.

        Raises:
            FileNotFoundError: If there is no such file.
            PermissionError: If it cannot be read.
        """
        path = Path(path)
        if not path.exists():
            raise FileNotFoundError(f'File not found: {path}')
        media_type = guessed_media_type(path) or 'application/octet-stream'
        return cls.narrow_type(cls(path.read_bytes(), media_type=media_type))

    @property
    def identifier(self) -> str:
        """The identifier as given, else the first six hex digits of the data's SHA-1."""
        return self._identifier or _identifier(self.data)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: pydantic.GetCoreSchemaHandler) -> CoreSchema:
        _compute(BinaryContent, 'identifier')
        return handler(source)

    @property
    def data_uri(self) -> str:
        """The content as a `data:` URI."""
        return f'data:{self.media_type};base64,{self.base64}'

    @property
    def base64(self) -> str:
        """The data in base64, standard alphabet (the JSON of messages has the URL-safe one)."""
        import base64

        return base64.b64encode(self.data).decode()

    @property
    def is_audio(self) -> bool:
        """Whether the media type is one of audio."""
        return self.media_type.startswith('audio/')

    @property
    def is_image(self) -> bool:
        """Whether the media type is one of images."""
        return self.media_type.startswith('image/')

    @property
    def is_video(self) -> bool:
        """Whether the media type is one of videos."""
        return self.media_type.startswith('video/')

    @property
    def is_document(self) -> bool:
        """Whether the media type is one of `DocumentMediaType`."""
        return self.media_type in DOCUMENT_FORMATS

    @property
    def format(self) -> str:
        """Short name of the format.

        Raises:
            ValueError: If the media type is not known.
        """
        try:
            return FORMATS[self.media_type]
        except KeyError as error:
            raise ValueError(f'Unknown media type: {self.media_type}') from error


class BinaryImage(BinaryContent):
    """An image by value; see `BinaryContent` for the arguments.

    Raises:
        ValueError: If the media type is not one of images.
    """

    def __init__(
        self,
        data: bytes,
        *,
        media_type: str,
        identifier: str | None = None,
        vendor_metadata: dict[str, Any] | None = None,
        kind: Literal['binary'] = 'binary',
        _identifier: str | None = None,
    ) -> None:
        super().__init__(
            data,
            media_type=media_type,
            identifier=identifier or _identifier,
            vendor_metadata=vendor_metadata,
            kind=kind,
        )
        if not self.is_image:
            raise ValueError('`BinaryImage` must be have a media type that starts with "image/"')


@lean_dataclass(show=full_repr)
class CachePoint:
    """A marker in a user prompt: the provider may cache what stands before it. Models without a cache skip it."""

    kind: Literal['cache-point'] = 'cache-point'
    """Tells this kind of content from others."""
    ttl: Literal['5m', '1h'] = '5m'
    """How long the provider is to keep it: five minutes or an hour."""


# The order of the members decides which one a value without a `kind` is loaded as.
MultiModalContent = ImageUrl | AudioUrl | DocumentUrl | VideoUrl | BinaryContent
"""A file, by URL or by value."""
UserContent: TypeAlias = str | MultiModalContent | CachePoint
"""An item of a user prompt."""


@lean_dataclass()
class ToolReturn:
    """What a tool returns when there is more to tell than the value: further content for the model, or metadata."""

    return_value: Any
    """What stands in the tool's return part."""

    _: KW_ONLY

    content: str | Sequence[UserContent] | None = None
    """What the model is sent beside it, as a user prompt part."""
    metadata: Any = None
    """Kept with the return part for the application; the model does not see it."""
    kind: Literal['tool-return'] = 'tool-return'
    """Tells this value from others."""
