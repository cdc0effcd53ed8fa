"""Teaches the house embedder's projector and judges it: `python benchmarks/house_embedder.py`.

Pictures of stamps, clip art and two designs of emoji, and ImageNet's class vectors, are taught to
meet MiniLM's vectors of what they are called; a fifth of the concepts and a third design are held
out. Encoders stay frozen, so every picture is encoded once (`--features`, made if it is not there).
Controls: the same projector without the structure term, and untaught.
"""

import argparse
import random
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import sklearn.datasets
import torch
from descending import descend
from encoded_pictures import KEPT, VIEWS, encoded
from recalling import recalled
from recording import recorded
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from chiasm import weights
from chiasm.data.media import read_image
from chiasm.data.pairs import Pair, split_of
from chiasm.embedders import house
from chiasm.embedders.class_names import class_names
from chiasm.embedders.projector import Projector
from chiasm.objectives import Contrastive, Structure
from chiasm.retrieval import Item, Role, SentenceModel

UNSEEN_DESIGN = "noto"
PHOTOGRAPHS = {
    "astronaut.png": "a woman in a space suit",
    "brick.png": "a wall of bricks",
    "camera.png": "a man with a camera on a tripod",
    "chelsea.png": "a cat",
    "china.jpg": "a Chinese palace",
    "clock_motion.png": "a clock",
    "coffee.png": "a cup of coffee",
    "coins.png": "old coins",
    "flower.jpg": "a red flower",
    "grass.png": "grass",
    "gravel.png": "small stones",
    "hubble_deep_field.jpg": "many galaxies",
    "moon.png": "craters on the moon",
    "motorcycle_left.png": "a motorcycle",
    "page.png": "a page of a book",
    "retina.jpg": "the inside of an eye",
    "rocket.jpg": "a rocket that is launched",
}
"""What the sample photographs of scikit-image and scikit-learn show."""
SAMPLES = "scikit-image==0.26.0"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How the projector is taught."""

    hidden: int = 512
    steps: int = 500
    batch: int = 512
    rate: float = 1e-3
    weight_decay: float = 0.02
    temperature: float = 0.05
    structure: float = 10.0
    """Weight of the structure term; 0: without it."""
    warm: int = 100
    """Steps over which that weight rises."""
    classes: float = 0.2
    """Share of a batch that is ImageNet's class vectors."""


@dataclass(frozen=True)
class Known:
    """All that teaching and judging read, encoded once."""

    every: tuple[Pair, ...]
    features: torch.Tensor
    """`[pair, view, width]`"""
    said: dict[str, torch.Tensor] = field(repr=False)
    """MiniLM's vector of each text."""
    names: tuple[tuple[str, ...], ...]
    """Of ImageNet's classes."""
    classes: torch.Tensor
    """`[class, width]`: features that the classifier would call typical of each class."""

    def texts(self, at: int) -> tuple[str, ...]:
        pair = self.every[at]
        return (pair.texts[0], ", ".join(pair.texts[:4]), *pair.texts[:1])


def known(features: Path) -> Known:
    every, encoded_ = encoded(features)
    names = class_names()
    wanted = {text for pair in every for text in (pair.texts[0], ", ".join(pair.texts[:4]))}
    wanted |= {name for own in names for name in own}
    ordered = sorted(wanted)
    words = SentenceModel.open(weights.path("minilm-l6"))
    vectors = words.embed([Item(text=text) for text in ordered], role=Role.DOCUMENT).unit()
    said = dict(zip(ordered, vectors.clone(), strict=True))
    return Known(every, encoded_, said, names, _class_features(encoded_[:, 0]))


def _class_features(features: torch.Tensor) -> torch.Tensor:
    """m + C w_c: where a linear classifier's weights w_c come from if the classes share the
    covariance C, here that of the pictures taught.
    """
    encoder = load_file(weights.path("efficientnet-lite0") / "model.safetensors")
    rows = encoder["_fc.weight"].float()
    mean = features.mean(0)
    centred = features - mean
    covariance = centred.T @ centred / len(features)
    away = rows @ covariance
    # As far from the mean as pictures are.
    return mean + away * (centred.norm(dim=-1).mean() / away.norm(dim=-1, keepdim=True))


def teach(known: Known, recipe: Recipe, seed: int) -> Projector:
    """A projector whose vectors of pictures meet those of their words."""
    torch.manual_seed(seed)
    draw = random.Random(seed)
    chosen = [
        at
        for at, pair in enumerate(known.every)
        if split_of(pair.concept) == "train" and pair.design != UNSEEN_DESIGN
    ]
    projector = Projector(known.features.shape[-1], house.WIDTH, recipe.hidden)
    contrast = Contrastive(temperature=recipe.temperature, both_ways=True)
    structure = Structure(levels=1)
    classes = int(recipe.classes * recipe.batch)

    def loss_at(step: int) -> torch.Tensor:
        own = draw.sample(chosen, recipe.batch - classes)
        kinds = draw.sample(range(len(known.names)), classes)
        views = torch.tensor([draw.randrange(VIEWS) for _ in own])
        seen = torch.cat([known.features[own, views], known.classes[kinds]])
        told = [draw.choice(known.texts(at)) for at in own]
        told += [draw.choice(known.names[at]) for at in kinds]
        said = torch.stack([known.said[text] for text in told])
        projected = projector(seen)
        alike = said @ said.T > 0.999
        loss = contrast.judge(F.normalize(projected, dim=-1) @ said.T, alike.float())
        if recipe.structure:
            rise = min(1.0, step / recipe.warm)
            loss = loss + rise * recipe.structure * structure.judge(seen, projected) / 2
        return loss

    descend(
        projector,
        loss_at,
        steps=recipe.steps,
        rate=recipe.rate,
        weight_decay=recipe.weight_decay,
    )
    return projector


@torch.inference_mode()
def recalls(known: Known, projector: Projector, chosen: Sequence[int]) -> dict[str, Any]:
    """Recall at 1, 5 and 10 both ways among the chosen pictures and their first texts.

    A text is right for every picture that bears it, a picture for its own text.
    """
    texts = sorted({known.every[at].texts[0] for at in chosen})
    number = {text: at for at, text in enumerate(texts)}
    owner = torch.tensor([number[known.every[at].texts[0]] for at in chosen])
    concepts = [known.every[at].concept for at in chosen]
    pictures = F.normalize(projector(known.features[list(chosen), 0]), dim=-1)
    scores = torch.stack([known.said[text] for text in texts]) @ pictures.T
    right = owner[None] == torch.arange(len(texts))[:, None]
    first = {
        text: concept
        for concept, at in zip(concepts, owner.tolist(), strict=True)
        for text in (texts[at],)
    }
    found: dict[str, Any] = {"pictures": len(chosen), "texts": len(texts)}
    ways = (
        ("text to picture", scores, right, [first[text] for text in texts]),
        ("picture to text", scores.T, right.T, concepts),
    )
    for way, table, correct, clusters in ways:
        for k, told in recalled(table, correct, clusters).items():
            found[f"{way}, recall@{k}"] = told
    return found


def photographed(projector: Projector, folder: Path) -> dict[str, Any]:
    """For each photograph, the place of its own description among all of them and the reverse."""
    names = sorted(PHOTOGRAPHS)
    read = [read_image(_photograph(name, folder)) for name in names]
    encoder = house.picture_encoder()
    with torch.inference_mode():
        seen = F.normalize(projector(house.features(encoder, read)), dim=-1)
    words = SentenceModel.open(weights.path("minilm-l6"))
    said = words.embed([Item(text=PHOTOGRAPHS[name]) for name in names], role=Role.QUERY).unit()
    table = said @ seen.T
    found: dict[str, Any] = {"photographs": len(names)}
    for way, scores in (("text to picture", table), ("picture to text", table.T)):
        places = (scores > scores.diagonal()[:, None]).sum(-1) + 1
        found[way] = {"first": int((places == 1).sum()), "places": places.tolist()}
    return found


def _photograph(name: str, folder: Path) -> Path:
    own = Path(sklearn.datasets.__file__).parent / "images" / name
    if own.is_file():
        return own
    if not (folder / name).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        pip = (sys.executable, "-m", "pip", "download", "-q", "--no-deps")
        subprocess.run([*pip, "--disable-pip-version-check", SAMPLES], cwd=folder, check=True)
        with zipfile.ZipFile(next(folder.glob("scikit_image*.whl"))) as wheel:
            for one in PHOTOGRAPHS:
                if f"skimage/data/{one}" in wheel.namelist():
                    (folder / one).write_bytes(wheel.read(f"skimage/data/{one}"))
    return folder / name


def held_out(known: Known) -> dict[str, list[int]]:
    """What is judged: new concepts of each set, and a new design of new and of taught concepts."""
    found: dict[str, list[int]] = {}
    for at, pair in enumerate(known.every):
        test = split_of(pair.concept) == "test"
        name = pair.id.split("/")[0]
        if pair.design == UNSEEN_DESIGN:
            name += ", new design" + ("" if test else ", taught concepts")
        elif not test:
            continue
        found.setdefault(name, []).append(at)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=Path, default=KEPT)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="result file")
    parser.add_argument("--ship", action="store_true", help="write seed 0's projector into chiasm")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    everything = known(asked.features)
    recipe = Recipe()
    arms = {
        "taught": recipe,
        "structure off": replace(recipe, structure=0.0),
        "untaught": replace(recipe, steps=0),
    }
    found: dict[str, Any] = {}
    photographs: dict[str, list[Any]] = {}
    for arm, how in arms.items():
        for seed in range(asked.seeds):
            projector = teach(everything, how, seed)
            if asked.ship and (arm, seed) == ("taught", 0):
                state = {name: tensor.half() for name, tensor in projector.state_dict().items()}
                save_file(state, house.PROJECTOR)
            photographs.setdefault(arm, []).append(
                photographed(projector, asked.features.with_name("photographs"))
            )
            print(arm, seed, photographs[arm][-1], flush=True)
            for name, chosen in held_out(everything).items():
                judged = recalls(everything, projector, chosen)
                found.setdefault(name, {}).setdefault(arm, []).append(judged)
                print(arm, seed, name, judged["text to picture, recall@10"], flush=True)
    told = {"recipe": asdict(recipe), "found": found, "photographs": photographs}
    recorded(__file__, asked.out, told, name="cpu")


if __name__ == "__main__":
    main()
