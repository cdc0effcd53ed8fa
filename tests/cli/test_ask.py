"""`chiasm ask`: every way to hand over an image, and every way to hand over a bad one."""

import base64
import io
import json
import struct
import tracemalloc
import types
import zlib

import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

QUESTION = "what color is the shape?"


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises a size and holds no pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    )


def one_line(err: str) -> str:
    """The error, which is one line and no traceback."""
    lines = [line for line in err.splitlines() if line.strip()]
    assert len(lines) == 1, err
    assert lines[0].startswith("chiasm: ") and "Traceback" not in err
    return lines[0]


def test_answers_about_an_image(chiasm, checkpoint, picture):
    code, out, err = chiasm("ask", checkpoint, picture, QUESTION, "--max-new", 3)
    assert (code, err) == (0, "") and out.count("\n") == 1


def test_the_ways_to_hand_over_an_image_agree(chiasm, checkpoint, picture):
    asked = ["ask", checkpoint, QUESTION, "--max-new", 3, "--image"]
    data = picture.read_bytes()
    uri = "data:image/png;base64," + base64.b64encode(data).decode()
    stdin = types.SimpleNamespace(buffer=io.BytesIO(data))
    told = {
        chiasm(*asked, picture)[1],
        chiasm(*asked, uri)[1],
        chiasm(*asked, "-", stdin=stdin)[1],
        chiasm("ask", checkpoint, picture, QUESTION, "--max-new", 3)[1],
    }
    assert len(told) == 1


def test_several_images_are_shown_together_and_a_folder_one_by_one(
    chiasm, checkpoint, picture, tmp_path
):
    folder = tmp_path / "album"
    folder.mkdir()
    for name in ("a.png", "b.png", "c.jpg"):
        Image.open(picture).save(folder / name)
    code, out, _ = chiasm("ask", checkpoint, folder, QUESTION, "--max-new", 2)
    assert code == 0
    assert [line.split(":")[0] for line in out.splitlines()] == ["a.png", "b.png", "c.jpg"]
    code, out, _ = chiasm(
        *("ask", checkpoint, QUESTION, "--image", picture, "--image", picture, "--json")
    )
    [told] = json.loads(out)
    assert code == 0 and len(told["images"]) == 2


BAD = {
    "truncated.png": lambda good: good[: len(good) // 2],
    "huge.png": lambda good: png_header(50_000, 50_000),
    "empty.png": lambda good: b"",
    "words.png": lambda good: b"this is text, whatever its name says\n" * 9,
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_image_is_one_line_that_names_it(chiasm, checkpoint, tmp_path, name):
    buffer = io.BytesIO()
    Image.effect_noise((97, 89), 50).save(buffer, format="PNG")
    path = tmp_path / name
    path.write_bytes(BAD[name](buffer.getvalue()))
    chiasm("ask", checkpoint, QUESTION, "--max-new", 1)  # everything but the image is loaded now
    tracemalloc.start()
    code, out, err = chiasm("ask", checkpoint, path, QUESTION)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert code in (1, 2) and out == ""
    assert name in one_line(err)
    assert peak < 64 * 2**20


def test_a_missing_image_is_one_line(chiasm, checkpoint, tmp_path):
    code, _, err = chiasm("ask", checkpoint, tmp_path / "nowhere.png", QUESTION)
    assert code == 2 and "nowhere.png" in one_line(err)


def test_remote_images_are_denied(chiasm, checkpoint):
    code, _, err = chiasm("ask", checkpoint, "http://127.0.0.1/x.png", QUESTION)
    assert code == 2 and "127.0.0.1" in one_line(err)


def odd(name: str, folder):
    """An image that is unusual, not broken."""
    path = folder / name
    if name == "cmyk.jpg":
        Image.new("CMYK", (31, 23), (10, 200, 30, 5)).save(path)
    elif name == "deep.png":
        Image.new("I;16", (31, 23), 40_000).save(path)
    elif name == "palette.png":
        Image.new("RGB", (31, 23), (9, 8, 7)).quantize(4).save(path)
    elif name == "animated.gif":
        frames = [Image.new("RGB", (31, 23), (80 * i, 0, 0)) for i in range(3)]
        frames[0].save(path, save_all=True, append_images=frames[1:])
    else:
        image = Image.new("RGB", (31, 23), (1, 2, 3))
        exif = image.getexif()
        exif[0x0112] = 6
        image.save(path, exif=exif)
    return path


@pytest.mark.parametrize(
    "name", ["cmyk.jpg", "deep.png", "palette.png", "animated.gif", "turned.jpg"]
)
def test_an_unusual_image_is_read_and_noted(chiasm, checkpoint, tmp_path, name):
    path = odd(name, tmp_path)
    code, out, err = chiasm("ask", checkpoint, path, QUESTION, "--max-new", 2)
    assert code == 0 and out.count("\n") == 1
    notes = err.splitlines()
    assert notes and all(note.startswith("note: ") and name in note for note in notes)


def test_a_question_longer_than_the_context(chiasm, checkpoint, picture):
    code, _, err = chiasm("ask", checkpoint, picture, "what color? " * 400)
    assert code == 1 and "context of 120" in one_line(err)


def test_an_empty_question(chiasm, checkpoint, picture):
    code, _, err = chiasm("ask", checkpoint, picture, "  ")
    assert code == 2 and "empty" in one_line(err)


def broken(checkpoint, tmp_path, change):
    """A copy of the checkpoint whose tensors were changed."""
    copy = tmp_path / "broken"
    copy.mkdir()
    for file in checkpoint.iterdir():
        if file.is_file():
            (copy / file.name).write_bytes(file.read_bytes())
    tensors = load_file(copy / "model.safetensors")
    change(tensors)
    save_file(tensors, copy / "model.safetensors")
    return copy


def test_a_checkpoint_with_a_missing_tensor(chiasm, checkpoint, tmp_path, picture):
    name = next(iter(load_file(checkpoint / "model.safetensors")))
    folder = broken(checkpoint, tmp_path, lambda tensors: tensors.pop(name))
    code, _, err = chiasm("ask", folder, picture, QUESTION)
    assert code == 1 and name in one_line(err)


def test_a_checkpoint_with_an_extra_tensor(chiasm, checkpoint, tmp_path, picture):
    def add(tensors):
        tensors["stowaway"] = next(iter(tensors.values())).clone()

    code, _, err = chiasm("ask", broken(checkpoint, tmp_path, add), picture, QUESTION)
    assert code == 1 and "stowaway" in one_line(err)


def test_a_checkpoint_of_other_width(chiasm, checkpoint, tmp_path, picture):
    sizes = []

    def widen(tensors):
        name, tensor = next((n, t) for n, t in tensors.items() if t.dim() == 2)
        sizes.extend((tensor.shape[0], tensor.shape[0] + 3))
        tensors[name] = tensor.new_zeros(tensor.shape[0] + 3, tensor.shape[1])

    code, _, err = chiasm("ask", broken(checkpoint, tmp_path, widen), picture, QUESTION)
    line = one_line(err)
    assert code == 1 and all(str(size) in line for size in sizes)


def test_a_folder_that_is_no_checkpoint(chiasm, tmp_path, picture):
    code, _, err = chiasm("ask", tmp_path, picture, QUESTION)
    assert code in (1, 2)
    one_line(err)
