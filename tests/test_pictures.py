"""Opening a picture: formats, bits, orientation, limits; what is refused and how."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from snn_deploy.models.data import pictures
from snn_deploy.models.data.pictures import read_picture, shown_size
from snn_deploy.toolchain.errors import DataError

RAMP = np.tile(np.linspace(0, 1, 24, dtype=np.float32), (16, 1))
BITS_8 = np.rint(RAMP * 255).astype(np.uint8)
BITS_16 = np.rint(RAMP * 65535).astype(np.uint16)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("name", "pixels"),
    [
        *[(f"a.{kind}", BITS_8) for kind in ("png", "jpg", "tif", "bmp", "pgm")],
        *[(f"a.{kind}", np.dstack([BITS_8] * 3)) for kind in ("png", "gif", "webp")],
        ("rgba.png", np.dstack([BITS_8] * 4)),
        *[(f"a.{kind}", BITS_16) for kind in ("png", "tif", "pgm")],
        ("a.tif", RAMP),
    ],
)
def test_a_ramp_from_black_to_white_is_read_as_0_to_1(tmp_path, name, pixels, channels):
    path = tmp_path / name
    Image.fromarray(pixels).save(path)
    found = read_picture(path, (16, 24, channels))
    assert found.shape == (16, 24, channels) and found.dtype == np.float32
    np.testing.assert_allclose(
        found, np.repeat(RAMP[..., None], channels, 2), atol=0.03
    )
    half = read_picture(path, (8, 12, channels))
    assert half.mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_read_as_it_is_shown(tmp_path, kind, orientation):
    stored = np.zeros((16, 24), np.uint8)
    stored[:8, :8] = 255  # the upper left
    path = tmp_path / f"a.{kind}"
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(stored).convert("RGB").save(path, exif=exif, quality=95)
    shown = (24, 16) if orientation <= 4 else (16, 24)
    assert shown_size(path) == shown
    found = read_picture(path, (shown[1], shown[0], 1))[..., 0] > 0.5
    # where row 0 and column 0 of what is stored are shown (TIFF 6.0, Orientation)
    row, column = ["tl", "tr", "br", "bl", "lt", "rt", "rb", "lb"][orientation - 1]
    sides = {row, column}
    rows = slice(0, 8) if "t" in sides else slice(-8, None)
    columns = slice(0, 8) if "l" in sides else slice(-8, None)
    assert found[rows, columns].all() and found.sum() == 64


def test_12_bit_tiff_has_its_own_white(tmp_path):
    path = tmp_path / "a.tif"
    Image.fromarray(BITS_16).save(path)
    raw = path.read_bytes()
    tag = raw.index(b"\x02\x01\x03\x00\x01\x00\x00\x00\x10\x00")  # BitsPerSample, 16
    path.write_bytes(raw[: tag + 8] + b"\x0c\x00" + raw[tag + 10 :])
    pixels = read_picture(path, (16, 24, 1))
    assert pixels.max() > 0.9  # 0xfff of 0xfff, not of 0xffff


BAD = {
    "floats": (lambda p: Image.fromarray(RAMP * 255).save(p), "0 to 255; 0 … 1"),
    "NaN": (lambda p: Image.fromarray(RAMP * np.nan).save(p), "nan"),
    "32 bits": (
        lambda p: Image.fromarray(BITS_16.astype(np.int32)).save(p),
        "32 bits.*8 or 16 bits",
    ),
    "pages": (
        lambda p: Image.fromarray(BITS_8).save(
            p, save_all=True, append_images=[Image.fromarray(BITS_8)]
        ),
        "several pages",
    ),
    "EPS": (
        lambda p: Image.fromarray(BITS_8).save(p, "EPS"),
        "no readable picture; PNG, JPEG",
    ),
    "no picture": (lambda p: p.write_bytes(b"GIF and no more"), "no readable picture"),
    "empty": (lambda p: p.write_bytes(b""), "no readable picture"),
    "missing": (lambda p: None, "the picture is missing; add it"),
    "folder": (lambda p: p.mkdir(), "no regular file"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_is_refused(tmp_path, name):
    make, words = BAD[name]
    path = tmp_path / "a.tif"
    make(path)
    with pytest.raises(DataError, match=f"a.tif: .*{words}"):
        read_picture(path, (16, 24, 1))


def test_the_advice_on_floats_helps(tmp_path):
    path = tmp_path / "a.tif"
    Image.fromarray(np.rint(RAMP * 255).astype(np.uint8)).save(path)
    np.testing.assert_allclose(
        read_picture(path, (16, 24, 1))[..., 0], RAMP, atol=0.003
    )


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path):
    path = tmp_path / "a.png"
    Image.new("1", (13300, 13300)).save(path)
    for read in (shown_size, lambda path: read_picture(path, (8, 8, 1))):
        with pytest.raises(DataError, match=f"more than {pictures.LARGEST} pixels"):
            read(path)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(DataError, match="no regular file"):
        read_picture(tmp_path / "a.png", (8, 8, 1))


def test_a_name_too_long_for_a_file_is_a_sentence(tmp_path):
    with pytest.raises(DataError, match="File name too long"):
        read_picture(tmp_path / f"{'a' * 5000}.png", (8, 8, 1))
