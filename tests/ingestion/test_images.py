"""Pictures and drawings: upright, shrunk, their words found, nothing outside them opened."""

import io
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from chiasm.data import pairs
from chiasm.ingestion import Options, read
from chiasm.ingestion.pictures import SIDE
from chiasm.retrieval.unit import Kind


def encoded(image, format, **options):
    into = io.BytesIO()
    image.save(into, format, **options)
    return into.getvalue()


def shown(unit):
    return Image.open(io.BytesIO(unit.picture)).convert("RGB")


def near(colour, wanted):
    return all(abs(one - other) < 12 for one, other in zip(colour, wanted, strict=True))


@pytest.fixture
def halves():
    """Red above, blue below, 47 x 83."""
    image = Image.new("RGB", (47, 83), "red")
    image.paste("blue", (0, 41, 47, 83))
    return image


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_every_format(units, halves, format):
    [unit] = units(f"pics/two_halves.{format.lower()}", encoded(halves, format))
    assert unit.kind is Kind.IMAGE and unit.title == "two halves" and unit.text == ""
    assert unit.metadata == {"format": format.lower(), "width": 47, "height": 83}
    assert near(shown(unit).getpixel((20, 10)), (255, 0, 0))
    assert near(shown(unit).getpixel((20, 70)), (0, 0, 255))


def test_photographs_are_turned_upright(units, halves):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = halves.transpose(Image.Transpose.ROTATE_90)
    [unit] = units("a.jpg", encoded(turned, "JPEG", exif=exif, quality=95))
    assert shown(unit).size == (47, 83)
    assert near(shown(unit).getpixel((20, 10)), (255, 0, 0))


def test_large_pictures_are_kept_small(units):
    [unit] = units("a.png", encoded(Image.new("L", (3001, 1009)), "PNG"))
    assert shown(unit).size == (SIDE, 344) and unit.metadata["width"] == 3001


def test_pages_of_a_tiff_are_not_passed_over_in_silence(made, plainly, halves):
    data = encoded(halves, "TIFF", save_all=True, append_images=[halves, halves])
    reading = read(made("fax.tif", data), plainly)
    assert reading.notes == ("holds 3 pictures; only the first is read",)
    assert len(reading.units) == 1


def test_words_on_a_picture_and_where(made):
    image = Image.new("RGB", (601, 211), "white")
    draw = ImageDraw.Draw(image)
    draw.text((31, 20), "Quarterly revenue", fill="black", font=ImageFont.load_default(40))
    draw.text((31, 140), "rose by 12 percent", fill="black", font=ImageFont.load_default(40))
    [unit] = read(made("chart.png", encoded(image, "PNG")), Options()).units
    assert unit.text == "Quarterly revenue\nrose by 12 percent"
    upper, lower = unit.spans
    assert abs(upper.box[0] - 31 / 601) < 0.03 and upper.box[3] < 0.5 < lower.box[1]


def test_shapes_are_not_read_as_letters(made):
    """A curved pepper is no C; a number on a sign is still read."""
    stamps = {pair.id.rsplit("/", 1)[-1]: pair for pair in pairs.SETS["stamps"]()}
    pepper = Path(stamps["chilepepper"].picture).read_bytes()
    [unit] = read(made("pepper.png", pepper), Options()).units
    assert unit.text == ""
    sign = Image.new("RGB", (307, 307), "white")
    ImageDraw.Draw(sign).text((40, 90), "50", fill="black", font=ImageFont.load_default(160))
    [unit] = read(made("sign.png", encoded(sign, "PNG")), Options()).units
    assert unit.text == "50"


def test_a_drawing_is_drawn_and_its_words_read(units):
    [unit] = units(
        "sun.svg",
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 100">'
        '<rect width="200" height="100" fill="lime"/><text x="9" y="50">warm  day</text></svg>',
    )
    assert unit.kind is Kind.IMAGE and unit.text == "warm day"
    assert shown(unit).size == (SIDE, SIDE // 2)
    assert near(shown(unit).getpixel((900, 500)), (0, 255, 0))


def test_a_drawing_brings_nothing_in(made, plainly, tmp_path, halves):
    secret = tmp_path / "secret.png"
    halves.resize((200, 200)).save(secret)
    files = "".join(
        f'<image {name}="{where}" width="200" height="200"/>'
        for name in ("href", "xlink:href")
        for where in (secret, f"file://{secret}", "../secret.png", "http://localhost/x.png")
    )
    drawing = (
        f'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY s SYSTEM "file://{tmp_path}/words">]>'
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 200 200"><script>alert(1)</script>{files}<text>&s;</text></svg>'
    )
    (tmp_path / "words").write_text("secret")
    reading = read(made("x.svg", drawing), plainly)
    assert reading.notes == ("references to other files, not followed: 8",)
    [unit] = reading.units
    assert unit.text == "" and shown(unit).getcolors() == [(SIDE * SIDE, (255, 255, 255))]


def test_a_drawing_of_any_size_is_drawn_small(units):
    [unit] = units(
        "tall.svg",
        '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="900000">'
        '<rect width="1" height="900000"/></svg>',
    )
    assert max(shown(unit).size) <= SIDE


def test_a_drawing_measured_in_millimetres_is_drawn(made, plainly):
    """Much of clip art is a page of paper."""
    drawing = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="210mm" height="297mm">'
        '<rect width="99" height="99"/></svg>'
    )
    [found] = read(made("page.svg", drawing), plainly).units
    assert max(Image.open(io.BytesIO(found.picture)).size) == 1024
