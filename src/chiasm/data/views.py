"""The views of an image as pixels, and a batch of views as one padded tensor."""

from collections.abc import Sequence
from math import floor

import torch
from jaxtyping import Bool, Float
from PIL import Image
from torch import Tensor

from chiasm.data.example import Drawing, Example, Picture
from chiasm.data.media import read_image
from chiasm.data.pixels import Pixels
from chiasm.spec import Size, View


def picture(source: Picture) -> Image.Image:
    """The image itself: read or drawn now, unless it was read before."""
    if isinstance(source, Image.Image):
        return source
    return source.draw() if isinstance(source, Drawing) else read_image(source)


def image_size(example: Example) -> Size:
    """(height, width) of the example's first image; the least there is without one."""
    if not example.images:
        return 1, 1
    image = picture(example.images[0])
    return image.height, image.width


def view_pixels(
    image: Image.Image, views: Sequence[View], pixels: Pixels
) -> list[Float[Tensor, "3 height width"]]:
    """Each view's box cut out of the image, resized and normalised."""
    return [pixels.prepare(_cut(image, view), view.target) for view in views]


def stack_views(
    pixels: Sequence[Float[Tensor, "3 height width"]],
) -> tuple[Float[Tensor, "image 3 height width"], Bool[Tensor, "image height width"] | None]:
    """Views padded at the bottom and right to the largest; the mask is None when all are equal."""
    height, width = max(p.shape[1] for p in pixels), max(p.shape[2] for p in pixels)
    if all(p.shape[1:] == (height, width) for p in pixels):
        return torch.stack(list(pixels)), None
    images = torch.zeros(len(pixels), 3, height, width)
    valid = torch.zeros(len(pixels), height, width, dtype=torch.bool)
    for number, picture in enumerate(pixels):
        _, rows, columns = picture.shape
        images[number, :, :rows, :columns] = picture
        valid[number, :rows, :columns] = True
    return images, valid


def _cut(image: Image.Image, view: View) -> Image.Image:
    top, left, bottom, right = view.box
    if (top, left, bottom, right) == (0.0, 0.0, 1.0, 1.0):
        return image
    width, height = image.size
    box = [_pixel(left, width), _pixel(top, height), _pixel(right, width), _pixel(bottom, height)]
    # Beyond the image a crop is black, in RGB.
    image = image if image.mode == "RGB" else image.convert("RGB")
    return image.crop((box[0], box[1], max(box[2], box[0] + 1), max(box[3], box[1] + 1)))


def _pixel(edge: float, length: int) -> int:
    """The pixel at which a fraction of an edge lies; a fraction a rounding below counts as it."""
    return floor(edge * length + 1e-6)
