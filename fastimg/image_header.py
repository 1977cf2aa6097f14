# SPDX-License-Identifier: BSD-3-Clause
"""What an image's file says before its pixels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Header:
    """A JPEG's header.

    Attributes
    ----------
    width, height : int
        Size of the upright image: orientations 5 to 8 swap the file's. The file's height is 0 if it is left to
        a DNL marker, which `decode` does not support.
    components : int
        Channels in the file.
    color_space : str
        "YCbCr", "RGB", "grayscale", "CMYK", "YCCK" or "unknown", by libjpeg's rules.
    subsampling : str
        "4:4:4", "4:2:2", "4:2:0", "4:4:0", "4:1:1", "4:1:0"; "4:0:0" for one component; else the components'
        sampling factors, "2x2,2x1,1x1".
    progressive : bool
        Whether the image comes in passes of increasing detail.
    precision : int
        Bits per sample.
    restart_interval : int
        MCUs between restart markers, 0 for none.
    orientation : int
        From the Exif data or else the XMP data, 1 to 8.
    nbytes : int
        Size of the source in bytes.
    format : str
        "JPEG", or what a fallback decodes: "PNG" and so on, as Pillow names it. Then `components` and `precision` are
        those that Pillow gives, `color_space` is "RGB" also for a palette, `subsampling` says nothing of the file,
        `progressive` means interlaced, and `orientation` is 1 if the decoder applies it by itself.

    Examples
    --------
    >>> header = fastimg.read_header("cat.jpg")
    >>> header.height, header.width, header.shape
    (375, 500, (3, 375, 500))
    >>> header.color_space, header.subsampling, header.progressive
    ('YCbCr', '4:2:0', False)
    """

    width: int
    height: int
    components: int
    color_space: str
    subsampling: str
    progressive: bool
    precision: int
    restart_interval: int
    orientation: int
    nbytes: int
    format: str = "JPEG"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(3, height, width): the shape that `decode` gives by default."""
        return 3, self.height, self.width


def make_header(
    width: int,
    height: int,
    components: int,
    *,
    nbytes: int,
    color_space: str = "",
    orientation: int = 1,
    format: str = "unknown",
    precision: int = 8,
    interlaced: bool = False,
) -> Header:
    """The header of an image that is not JPEG; its sizes are those of the upright image."""
    return Header(
        width=width,
        height=height,
        components=components,
        color_space=color_space or ("grayscale" if components == 1 else "RGB"),
        subsampling="4:0:0" if components == 1 else "4:4:4",
        progressive=interlaced,
        precision=precision,
        restart_interval=0,
        orientation=orientation,
        nbytes=nbytes,
        format=format,
    )
