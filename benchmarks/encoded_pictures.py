"""Every picture of the pairs through the house embedder's encoder, once."""

import random
from pathlib import Path

import torch
from PIL import Image, ImageOps
from safetensors.torch import load_file, save_file

from chiasm.data import pairs
from chiasm.data.pairs import Pair
from chiasm.data.views import picture
from chiasm.embedders import house

VIEWS = 2
"""Of each picture: as it is, and varied."""
KEPT = Path("runs/house/features.safetensors")
"""Where the features are kept, unless the caller says otherwise."""


def encoded(path: Path) -> tuple[tuple[Pair, ...], torch.Tensor]:
    """Pooled features `[pair, view, width]` of every pair, read from `path` or written there."""
    every = tuple(pair for read in pairs.SETS.values() for pair in read())
    if not path.is_file():
        encoder, found, batch = house.picture_encoder(), [], []
        for at, pair in enumerate(every):
            shown, draw = picture(pair.picture), random.Random(at)
            batch += [shown, *(varied(shown, draw) for _ in range(VIEWS - 1))]
            if len(batch) >= house.BATCH or at == len(every) - 1:
                found.append(house.features(encoder, batch))
                batch = []
            if at % 500 == 0:
                print(f"{at:,} of {len(every):,} pictures encoded", flush=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({"features": torch.cat(found).half()}, path)
    return every, load_file(path)["features"].float().view(len(every), VIEWS, -1)


def varied(shown: Image.Image, draw: random.Random) -> Image.Image:
    """Mirrored or not, cropped or set back, turned a little."""
    ground = shown.getpixel((0, 0))
    if draw.random() < 0.5:
        shown = ImageOps.mirror(shown)
    width, height = shown.size
    scale = draw.uniform(0.75, 1.3)
    if scale < 1:
        across, down = int(width * scale), int(height * scale)
        left, top = draw.randint(0, width - across), draw.randint(0, height - down)
        shown = shown.crop((left, top, left + across, top + down))
    else:
        page = Image.new("RGB", (int(width * scale), int(height * scale)), ground)
        page.paste(
            shown, (draw.randint(0, page.width - width), draw.randint(0, page.height - height))
        )
        shown = page
    return shown.rotate(draw.uniform(-12, 12), fillcolor=ground, resample=Image.Resampling.BILINEAR)
