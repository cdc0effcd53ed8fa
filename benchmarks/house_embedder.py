"""Teaches the house embedder's projector and judges it: `python benchmarks/house_embedder.py`.

Pictures of stamps, clip art and two designs of emoji, and ImageNet's class vectors with their names,
are taught beside MiniLM's sentence vectors; a fifth of the concepts and a third design are held out.
Encoders stay frozen, so every picture is encoded once (`--features`, made if it is not there).
Controls: the same projector without the structure term, and untaught.
"""

import argparse
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from safetensors.torch import save_file
from torch.nn import functional as F

import chiasm.embedders.house as house
from chiasm import weights
from chiasm.data import pairs
from chiasm.data.example import Drawing
from chiasm.data.media import read_image
from chiasm.data.pairs import Pair
from chiasm.embedders.projector import Projector
from chiasm.evaluation.interval import clustered
from chiasm.objectives import Contrastive, Structure
from recording import recorded

UNSEEN_DESIGN = "noto"
VIEWS = 3
"""Of each picture: as it is, and varied twice."""
KS = (1, 5, 10)


@dataclass(frozen=True)
class Taught:
    """Everything that teaching reads, encoded."""

    pairs: tuple[Pair, ...]
    features: torch.Tensor
    """`[pair, view, width]`"""
    texts: tuple[tuple[str, ...], ...]
    vectors: dict[str, torch.Tensor]
    """MiniLM's vector of every text."""


def varied(picture: Image.Image, draw: random.Random) -> Image.Image:
    """Mirrored or not, cropped or set back, turned a little."""
    ground = picture.getpixel((0, 0))
    if draw.random() < 0.5:
        picture = ImageOps.mirror(picture)
    width, height = picture.size
    scale = draw.uniform(0.75, 1.3)
    if scale < 1:
        across, down = int(width * scale), int(height * scale)
        left, top = draw.randint(0, width - across), draw.randint(0, height - down)
        picture = picture.crop((left, top, left + across, top + down))
    else:
        page = Image.new("RGB", (int(width * scale), int(height * scale)), ground)
        page.paste(
            picture, (draw.randint(0, page.width - width), draw.randint(0, page.height - height))
        )
        picture = page
    return picture.rotate(
        draw.uniform(-12, 12), fillcolor=ground, resample=Image.Resampling.BILINEAR
    )


def encoded(path: Path) -> tuple[tuple[Pair, ...], torch.Tensor]:
    """Pooled features of every view of every pair."""
    every = tuple(pair for read in pairs.SETS.values() for pair in read())
    if not path.is_file():
        encoder, found, batch = house.picture_encoder(), [], []
        for at, pair in enumerate(every):
            held, draw = pair.picture, random.Random(at)
            picture = held.draw() if isinstance(held, Drawing) else read_image(held)
            batch += [picture, *(varied(picture, draw) for _ in range(VIEWS - 1))]
            if len(batch) >= 48 or at == len(every) - 1:
                found.append(house.features(encoder, batch))
                batch = []
            if at % 500 == 0:
                print(f"{at:,} of {len(every):,} pictures encoded", flush=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({"features": torch.cat(found).half()}, path)
    from safetensors.torch import load_file

    return every, load_file(path)["features"].float().view(len(every), VIEWS, -1)
