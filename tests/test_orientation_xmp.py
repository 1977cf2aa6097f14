# SPDX-License-Identifier: BSD-3-Clause
"""Orientation from XMP, where Exif has none."""

import pytest
from support.orientations import NO_TAG, orientation, pillow_orientation, tagged
from support.segments import APP1, COM, exif, segment, xmp

FORMS = [b'<rdf:Description tiff:Orientation="%s"/>', b"<tiff:Orientation>%s</tiff:Orientation>"]


def packet(body):
    """As writers have it."""
    return xmp(
        b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Make="t" />'
        + body
        + b'</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )


@pytest.mark.parametrize("form", FORMS, ids=["attribute", "element"])
@pytest.mark.parametrize("value", range(10))
def test_xmp(value, form):
    written = packet(form % str(value).encode())
    expected = value if value in range(1, 9) else 1
    assert orientation(written) == pillow_orientation(written) == expected
    assert orientation(NO_TAG, written) == orientation(written, exif(b"")) == expected


@pytest.mark.parametrize("form", FORMS, ids=["attribute", "element"])
def test_exif_goes_before_xmp(form):
    for value in (0, 1, 2, 6, 9):
        for pair in ((tagged(value), packet(form % b"8")), (packet(form % b"8"), tagged(value))):
            assert orientation(*pair) == pillow_orientation(*pair) == (value if value in range(1, 9) else 1)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'tiff:Orientation="6', 6),
        (b"tiff:Orientation>6", 6),
        (b'tiff:Orientation="', 1),
        (b"tiff:Orientation>", 1),
        (b"tiff:Orientation=", 1),
        (b"tiff:Orientation", 1),
        (b"", 1),
        (b"t", 1),
        (b't' * 60000 + b'iff:Orientation="6"', 6),
        (b"tiff:Orientation" * 3000 + b'="6"', 6),
        (b'tiff:Orientation="x" tiff:Orientation="6"', 6),
        (b"<tiff:Orientation/><tiff:Orientation>6</tiff:Orientation>", 6),
        (b'tiff:Orientation="0" tiff:Orientation="6"', 1),
        (b'tiff:Orientation="3" tiff:Orientation="6"', 3),
        (b'tiff:Orientation="66"', 6),
        (b"\0\0tiff:Orientation=\"6\"", 6),
        (b'tiff:Orientation=" 6"', 1),
        (b"tiff:Orientation='6'", 1),
        (b'tiff:Orientation = "6"', 1),
        (b'tiff:Orientation=6', 1),
        (b'tiff:orientation="6"', 1),
        (b'exif:Orientation="6"', 1),
        (b"<tiff:Orientation>\n6</tiff:Orientation>", 1),
        (b'tiff:Orientation="-6"', 1),
        (b'tiff:Orientation="\xb66"', 1),
    ],
)  # fmt: skip
def test_xmp_as_pillow_finds_it(body, expected):
    assert orientation(xmp(body)) == pillow_orientation(xmp(body)) == expected
    # Stray bytes after the segment complete nothing.
    for rest in (b'="6"', b'"6"', b">6", b"6"):
        assert orientation(xmp(body), rest) == expected


def test_the_last_packet():
    six, eight, none = packet(FORMS[0] % b"6"), packet(FORMS[1] % b"8"), packet(b"")
    for pair, expected in (
        ((six, eight), 8), ((eight, six), 6), ((none, six), 6), ((six, none), 1), ((six, xmp(b"")), 1)
    ):  # fmt: skip
        assert orientation(*pair) == pillow_orientation(*pair) == expected


def test_header_of_the_packet():
    body = FORMS[0] % b"6"
    for head in (
        b"http://ns.adobe.com/xap/1.0/",
        b"http://ns.adobe.com/xmp/extension/\0" + bytes(40),
        b"",
        b"XMP\0",
    ):
        assert orientation(segment(APP1, head + body)) == 1
    for other in (0xE0, 0xE2, 0xED, COM):
        assert orientation(segment(other, b"http://ns.adobe.com/xap/1.0/\0" + body)) == 1
