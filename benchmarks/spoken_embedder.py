"""Teaches speech and other languages to meet the house embedder's pictures, and judges them.

`python benchmarks/spoken_embedder.py speech`, and `written`. Stamps' captions are read aloud in
French, Spanish and Russian, and written in them; a fifth of the captions is held out, the same for
speech, picture and words. Encoders stay frozen and so do the house's pictures; only projectors are
taught, to meet MiniLM's vector of the English caption. Compared: InfoNCE with the words, with words
and picture (`pairwise`), and of the volume that all three span (`volume`, GRAM, judged by volumes
too), each of the two from the start and after half the steps with the words (`continued`);
projectors that were not taught; and, of the few English clips, the words that Whisper writes down.
Written words are read by Whisper's own table of tokens or by hashed runs of letters (`n-grams`),
with and without the names of emoji.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from descending import descend
from encoded_pictures import KEPT, encoded
from encoded_speech import encoded_speech, written_down
from recalling import recalled
from recording import recorded
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import nn
from torch.nn import functional as F

from chiasm import weights
from chiasm.data.pairs import Pair, emoji, split_of
from chiasm.embedders import foreign, house, spoken
from chiasm.embedders.projector import Projector
from chiasm.objectives import Contrastive, pairwise_volume
from chiasm.retrieval import Item, Role, SentenceModel
from chiasm.weights.ctranslate import ctranslate_tensors

TEMPERATURES = (0.05, 0.1, 0.2, 0.4)
CHOOSING = 7
"""Every so manieth of the taught captions, by name, chooses the temperature and is not taught."""
ARMS = (
    ("words", "words", 0),
    ("pairwise", "pairwise", 0),
    ("volume", "volume", 0),
    ("pairwise, continued", "pairwise", 100),
    ("volume, continued", "volume", 100),
)
"""Name, loss, and steps with the words before it."""
OTHER = "en"
"""A language in which nothing spoken was taught, 65 clips."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a projector is taught."""

    loss: str = "words"
    warm: int = 0
    """Steps with the words alone before it."""
    hidden: int = 512
    steps: int = 200
    batch: int = 256
    rate: float = 1e-3
    weight_decay: float = 0.02
    temperature: float = 0.05


@dataclass(frozen=True)
class Stamps:
    """The stamps, and where their pictures and words stand in the house's space."""

    pairs: tuple[Pair, ...]
    pictures: torch.Tensor
    said: torch.Tensor
    """`[stamp, width]`: MiniLM's vectors of the English captions."""
    caption: torch.Tensor
    """A number for each caption; stamps that share one are equally right."""

    def among(self, split: str) -> list[int]:
        return [at for at, pair in enumerate(self.pairs) if split_of(pair.concept) == split]


@dataclass(frozen=True)
class Taught:
    """What one projector reads, and the English words that it should meet."""

    given: Any
    """`[item, width]`, or texts: what is chosen from it goes into the projector."""
    said: torch.Tensor
    """`[item, width]`"""
    seen: torch.Tensor | None = None
    """`[item, width]`: the pictures."""


def words_of(texts: Sequence[str], minilm: SentenceModel) -> torch.Tensor:
    items = [Item(text=text) for text in texts]
    return minilm.embed(items, role=Role.DOCUMENT).unit().clone()


def read_stamps(features: Path, minilm: SentenceModel) -> Stamps:
    every, held = encoded(features)
    own = [at for at, pair in enumerate(every) if pair.id.startswith("stamps/")]
    projector = house.read_projector(house.PROJECTOR)
    with torch.inference_mode():
        pictures = F.normalize(projector(held[own, 0]), dim=-1)
    pairs = tuple(every[at] for at in own)
    texts = sorted({pair.texts[0] for pair in pairs})
    number = {text: at for at, text in enumerate(texts)}
    caption = torch.tensor([number[pair.texts[0]] for pair in pairs])
    return Stamps(pairs, pictures.clone(), words_of(texts, minilm)[caption], caption)


Score = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def cosines(asked: torch.Tensor, held: torch.Tensor) -> torch.Tensor:
    """As the library compares."""
    return asked @ held.T


def volumes(asked: torch.Tensor, held: torch.Tensor) -> torch.Tensor:
    """As GRAM compares: opposite vectors are as near as equal ones."""
    return -pairwise_volume(asked, held[:, None])


def chosen_from(given: Any, items: Sequence[int]) -> Any:
    return given[list(items)] if torch.is_tensor(given) else [given[at] for at in items]


def teach(module: nn.Module, taught: Taught, recipe: Recipe, seed: int) -> None:
    """Both ways over batches; items of the same English words are right for each other."""
    draw = torch.Generator().manual_seed(seed)
    contrast = Contrastive(temperature=recipe.temperature, both_ways=True)
    size = min(recipe.batch, len(taught.said))

    def loss_at(step: int) -> torch.Tensor:
        items = torch.randperm(len(taught.said), generator=draw)[:size].tolist()
        found = F.normalize(module(chosen_from(taught.given, items)), dim=-1)
        said = taught.said[items]
        alike = (said @ said.T > 0.999).float()
        if recipe.loss == "words" or step < recipe.warm or taught.seen is None:
            return contrast.judge(found @ said.T, alike)
        seen = taught.seen[items]
        if recipe.loss == "pairwise":
            both = (contrast.judge(found @ one.T, alike) for one in (said, seen))
            return sum(both, start=torch.zeros(())) / 2
        return contrast.judge(-pairwise_volume(said, torch.stack([found, seen], 1)), alike)

    descend(module, loss_at, steps=recipe.steps, rate=recipe.rate, weight_decay=recipe.weight_decay)


def judged(
    stamps: Stamps, owners: Sequence[int], vectors: torch.Tensor, score: Score = cosines
) -> dict[str, Any]:
    """Recall among the held-out pictures, and of the given items by those pictures that have one.

    `owners` says whose caption each vector is.
    """
    shown = stamps.among("test")
    owner = stamps.caption[list(owners)]
    right = owner[:, None] == stamps.caption[shown]
    scores = score(vectors, stamps.pictures[shown])
    asking = right.any(0)
    clusters = [stamps.pairs[at].concept for at in owners]
    seen = [stamps.pairs[at].concept for at, asks in zip(shown, asking, strict=True) if asks]
    found: dict[str, Any] = {
        "items": len(owners),
        "pictures": len(shown),
        "pictures that ask": int(asking.sum()),
    }
    for way, table, correct, by in (
        ("to picture", scores, right, clusters),
        ("from picture", scores.T[asking], right.T[asking], seen),
    ):
        for k, told in recalled(table, correct, by).items():
            found[f"{way}, recall@{k}"] = told
    return found


def choose(
    stamps: Stamps, make: Callable[[], nn.Module], all_: Taught, owners: list[int], recipe: Recipe
) -> tuple[float, Recipe]:
    """The temperature at which captions that were set aside find most pictures among ten, and the
    recall there.
    """
    names = sorted({stamps.pairs[at].concept for at in stamps.among("train")})
    aside = set(names[::CHOOSING])
    own = [stamps.pairs[at].concept in aside for at in owners]
    taught = [at for at, away in enumerate(own) if not away]
    kept = [at for at, away in enumerate(own) if away]
    shown = sorted({owners[at] for at in kept})
    part = Taught(
        chosen_from(all_.given, taught),
        all_.said[taught],
        None if all_.seen is None else all_.seen[taught],
    )
    best = (-1.0, recipe)
    for temperature in TEMPERATURES:
        how = replace(recipe, temperature=temperature)
        torch.manual_seed(0)
        module = make()
        teach(module, part, how, 0)
        with torch.inference_mode():
            found = F.normalize(module(chosen_from(all_.given, kept)), dim=-1)
        right = stamps.caption[[owners[at] for at in kept]][:, None] == stamps.caption[shown]
        score = volumes if recipe.loss == "volume" else cosines
        scores = score(found, stamps.pictures[shown])
        recall = recalled(scores, right, [str(owners[at]) for at in kept])[10]["recall"]
        print(recipe.loss, recipe.warm, temperature, f"{recall:.3f}", flush=True)
        best = max(best, (recall, how), key=lambda one: one[0])
    return best


def speech(stamps: Stamps, asked: argparse.Namespace, minilm: SentenceModel) -> dict[str, Any]:
    """Every arm, language and seed; and the words that Whisper writes down."""
    heard = {
        language: encoded_speech(stamps.pairs, language, asked.spoken)
        for language in (*spoken.LANGUAGES, OTHER)
    }
    test = set(stamps.among("test"))
    owners = [at for one in spoken.LANGUAGES for at in heard[one][0]]
    every = torch.cat([heard[one][1] for one in spoken.LANGUAGES])
    train = [at for at, owner in enumerate(owners) if owner not in test]
    own = [owners[at] for at in train]
    taught = Taught(every[train], stamps.said[own], stamps.pictures[own])

    def make() -> nn.Module:
        return Projector(every.shape[1], house.WIDTH, Recipe().hidden)

    tried = {
        arm: choose(stamps, make, taught, own, Recipe(loss=loss, warm=warm))
        for arm, loss, warm in ARMS
    }
    best = max(tried, key=lambda arm: tried[arm][0])
    arms = {arm: recipe for arm, (_, recipe) in tried.items()}
    arms["untaught"] = Recipe(steps=0)
    found: dict[str, Any] = {one: {} for one in heard}
    for arm, recipe in arms.items():
        for seed in range(asked.seeds):
            torch.manual_seed(seed)
            projector = make()
            teach(projector, taught, recipe, seed)
            if asked.ship and (arm, seed) == (best, 0):
                ship(projector, spoken.PROJECTOR)
            for language, (whose, features) in heard.items():
                held = [at for at, one in enumerate(whose) if one in test]
                with torch.inference_mode():
                    vectors = F.normalize(projector(features[held]), dim=-1)
                asking = [whose[at] for at in held]
                scores = {arm: cosines}
                if recipe.loss == "volume":
                    scores = {arm: volumes, f"{arm}, by cosine": cosines}
                for name, score in scores.items():
                    told = judged(stamps, asking, vectors, score)
                    found[language].setdefault(name, []).append(told)
                    print(name, seed, language, told["to picture, recall@10"], flush=True)
    held = [one for one in heard[OTHER][0] if one in test]
    # Where nothing is heard, a word stands that asks for nothing.
    said = [one or "nothing" for one in written_down(stamps.pairs, held, asked.spoken)]
    found[OTHER]["written down"] = [judged(stamps, held, words_of(said, minilm))]
    return {
        "recipes": {arm: asdict(recipe) for arm, recipe in arms.items()},
        "recall@10 of captions set aside": {arm: recall for arm, (recall, _) in tried.items()},
        "shipped": best,
        "taught clips": len(train),
        "found": found,
    }


def written(stamps: Stamps, asked: argparse.Namespace, minilm: SentenceModel) -> dict[str, Any]:
    """Captions in other languages: two readers, with and without the names of emoji, and MiniLM."""
    table = ctranslate_tensors(weights.path(spoken.SPEECH) / "model.bin", "decoder/embeddings/")
    tokens = Tokenizer.from_file(str(weights.path(spoken.SPEECH) / "tokenizer.json"))

    def looked_up(texts: Sequence[str]) -> torch.Tensor:
        read = tokens.encode_batch([f" {text}" for text in texts], add_special_tokens=False)
        return torch.stack([table["weight"][one.ids].mean(0) for one in read])

    train, test = stamps.among("train"), stamps.among("test")
    texts, meant = [], []
    for language in foreign.LANGUAGES:
        for at in train:
            if language in stamps.pairs[at].translations:
                texts.append(stamps.pairs[at].translations[language])
                meant.append(stamps.pairs[at].texts[0])
    more = emoji_names(foreign.LANGUAGES)
    names = sorted({*meant, *(said for _, said in more)})
    vectors = dict(zip(names, words_of(names, minilm), strict=True))
    plain = texts, torch.stack([vectors[one] for one in meant])
    both = (
        [*texts, *(text for text, _ in more)],
        torch.cat([plain[1], torch.stack([vectors[said] for _, said in more])]),
    )
    steep = Recipe(rate=5e-3, steps=600, batch=512)
    flat = Recipe(steps=600, batch=512)
    readers: dict[str, tuple[Callable[[], nn.Module], Any, Recipe, Any]] = {
        "tokens": (_of_tokens, plain, flat, looked_up),
        "tokens, emoji's names": (_of_tokens, both, flat, looked_up),
        "n-grams": (foreign.untaught, plain, steep, list),
        "n-grams, emoji's names": (foreign.untaught, both, steep, list),
        "n-grams, untaught": (foreign.untaught, plain, replace(steep, steps=0), list),
    }
    found: dict[str, Any] = {one: {} for one in foreign.LANGUAGES}
    for arm, (make, (given, said), recipe, read) in readers.items():
        for seed in range(asked.seeds):
            torch.manual_seed(seed)
            module = make()
            teach(module, Taught(read(given), said), recipe, seed)
            if asked.ship and (arm, seed) == ("n-grams, emoji's names", 0):
                ship(module, foreign.WEIGHTS)
            for language in foreign.LANGUAGES:
                held = [at for at in test if language in stamps.pairs[at].translations]
                told = [stamps.pairs[at].translations[language] for at in held]
                with torch.inference_mode():
                    vectors_ = F.normalize(module(read(told)), dim=-1)
                result = judged(stamps, held, vectors_)
                found[language].setdefault(arm, []).append(result)
                print(arm, seed, language, result["to picture, recall@10"], flush=True)
    for language in foreign.LANGUAGES:
        held = [at for at in test if language in stamps.pairs[at].translations]
        told = [stamps.pairs[at].translations[language] for at in held]
        found[language]["MiniLM as it is"] = [judged(stamps, held, words_of(told, minilm))]
    english = judged(stamps, test, stamps.said[test])
    return {
        "recipes": {arm: asdict(one[2]) for arm, one in readers.items()},
        "shipped": "n-grams, emoji's names",
        "taught texts": {"captions": len(texts), "emoji's names": len(more)},
        "found": found,
        "English captions": english,
    }


def emoji_names(languages: Sequence[str]) -> list[tuple[str, str]]:
    """What emoji of taught concepts are called, and in English."""
    english = emoji.names("en")
    return [
        (own[0], english[key][0])
        for language in languages
        for key, own in emoji.names(language).items()
        if key in english and split_of(emoji.concept(key)) == "train"
    ]


def _of_tokens() -> nn.Module:
    return Projector(512, house.WIDTH, 512)


def ship(module: nn.Module, path: Path) -> None:
    save_file({name: one.half().contiguous() for name, one in module.state_dict().items()}, path)


def main() -> None:
    parts = {"speech": speech, "written": written}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=parts)
    parser.add_argument("--features", type=Path, default=KEPT, help="of the pictures")
    parser.add_argument("--spoken", type=Path, default=Path("runs/spoken"), help="of the clips")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="result file")
    parser.add_argument("--ship", action="store_true", help="write seed 0 of the best into chiasm")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    minilm = SentenceModel.open(weights.path("minilm-l6"))
    stamps = read_stamps(asked.features, minilm)
    recorded(__file__, asked.out, parts[asked.part](stamps, asked, minilm), name=asked.part)


if __name__ == "__main__":
    main()
