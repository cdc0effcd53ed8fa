"""Data sets by name, and anybody's own by the path of its JSON."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from chiasm.data import (
    charts,
    easy_vqa,
    easy_vqa_captions,
    lookups,
    manual_pages,
    maps,
    marked_scenes,
    pairs,
    read_out,
    scenes,
    written_words,
)
from chiasm.data.as_pixels import as_pixels
from chiasm.data.conversations import SUFFIXES, read_conversations
from chiasm.data.example import Dataset
from chiasm.data.mixture import mixed
from chiasm.data.scene_questions import RELATIONS
from chiasm.data.written_page import SMALL_PAGE
from chiasm.errors import Misuse
from chiasm.registry import Registry


@dataclass(frozen=True, kw_only=True)
class Source:
    """A packaged data set: what it is, and how a split of it is read."""

    name: str
    about: str
    licence: str
    packages: tuple[str, ...]
    """Aliases in `chiasm.weights` that bring it onto this machine; none: it is generated here."""
    load: Callable[[str], Dataset]
    splits: tuple[str, ...] = ("train", "test")


_SOURCES: Registry[Source] = Registry("data set", hint=" Or pass a .json or .jsonl path.")


def register(source: Source) -> None:
    """Add a data set; a name is taken once."""
    _SOURCES.enter(source.name, source)


def sources() -> dict[str, Source]:
    """All data sets by name, in alphabetical order."""
    return _SOURCES.every()


def _generated(name: str, about: str, load: Callable[[str], Dataset]) -> Source:
    return Source(name=name, about=about, licence="generated", packages=(), load=load)


def _packaged(
    name: str, about: str, licence: str, packages: tuple[str, ...], load: Callable[[str], Dataset]
) -> Source:
    return Source(name=name, about=about, licence=licence, packages=packages, load=load)


def _captioned(name: str, about: str, licence: str, *packages: str) -> Source:
    """Pictures with what they are called."""
    told = f"{about}; fifths of the concepts are held out"
    return _packaged(name, told, licence, packages, partial(pairs.captions, name))


for _source in (
    _generated(
        "scenes",
        "9,000 drawings of several shapes: attributes, counts, relations, comparisons",
        scenes.load,
    ),
    _generated(
        "scenes-relations",
        "the same drawings, only the questions that compare things",
        partial(scenes.load, name="scenes-relations", kinds=RELATIONS),
    ),
    _generated(
        "scenes-captions",
        "the same drawings, each with a sentence that lists its shapes",
        scenes.captions,
    ),
    _generated(
        marked_scenes.NAME,
        "the same kind of drawings with two marks on each: what stands under one of them",
        marked_scenes.load,
    ),
    _generated(
        written_words.NAME,
        "9,000 pictures of one to three words: where they stand, what they say, both",
        written_words.load,
    ),
    _generated(
        read_out.NAME,
        "the same pictures, every question behind the words on them and their places",
        read_out.load,
    ),
    _generated(
        "lookups",
        "9,000 grids of coloured shapes: what stands one to three steps from a named one; answers "
        "point at every cell on the way",
        lookups.load,
    ),
    _generated(
        charts.NAME,
        "4,500 bar charts: how many bars, how high, which the highest",
        charts.load,
    ),
    _packaged(
        "easy-vqa",
        "5,000 pictures of one coloured shape, 48,248 short questions, 13 answers",
        "MIT",
        (easy_vqa.PACKAGE,),
        easy_vqa.load,
    ),
    _packaged(
        "easy-vqa-pixels",
        "the same questions, each written on a page with its picture",
        "MIT",
        (easy_vqa.PACKAGE,),
        lambda split: as_pixels(easy_vqa.load(split), SMALL_PAGE),
    ),
    _packaged(
        "easy-vqa-captions",
        "easy-VQA's pictures to draw from a caption and to describe, 24 captions",
        "MIT",
        (easy_vqa.PACKAGE,),
        easy_vqa_captions.load,
    ),
    _packaged(
        maps.NAME,
        "154 maps, each many times with two regions in colour: where they lie, whether they touch; "
        "a fifth of the maps is held out",
        "GPL-2+",
        (maps.PACKAGE,),
        maps.load,
    ),
    _packaged(
        manual_pages.NAME,
        "930 figures of GIMP's manual with their titles; a fifth of the pages is held out",
        "GFDL",
        (manual_pages.PACKAGE,),
        manual_pages.load,
    ),
    _packaged(
        manual_pages.TEXT,
        "passages of the same manual, without pictures",
        "GFDL",
        (manual_pages.PACKAGE,),
        manual_pages.texts,
    ),
    _captioned(
        "stamps", "950 drawings and photographs, a sentence each", "GPL-2", pairs.stamps.PACKAGE
    ),
    _captioned(
        *("clip-art", "2,700 drawings with titles and keywords", "public domain"),
        pairs.clip_art.PACKAGE,
    ),
    _captioned(
        *("emoji", "1,850 emoji in three designs, with names", "MIT, CC-BY-4.0, OFL-1.1"),
        *(pairs.emoji.NAMES, *pairs.emoji.DESIGNS.values()),
    ),
    _packaged(
        "emoji-names",
        "the same emoji, named in German, Spanish, French and Italian",
        "MIT, CC-BY-4.0, OFL-1.1",
        (pairs.emoji.NAMES, *pairs.emoji.DESIGNS.values()),
        pairs.emoji_names,
    ),
):
    register(_source)


def source(name: str) -> Source:
    """The registered data set of this name; Misuse, with the nearest names, if there is none."""
    return _SOURCES.of(name)


def load(name: str, split: str = "train", *, image_folder: Path | None = None) -> Dataset:
    """A split of a packaged data set, or the whole of a LLaVA or messages file by its path; several
    of them as one where `+` joins their names (`chiasm.data.mixture`).

    `image_folder` is what a file's image names are relative to, its own folder by default.
    Raises Misuse for an unknown name or split, ChiasmError for a malformed record.
    """
    if Path(name).suffix.lower() in SUFFIXES:
        if split != "train":
            raise Misuse(
                f"{name}: a file has one split, 'train', not {split!r}; "
                f"give the held-out file by its own path"
            )
        return Dataset(name, split, read_conversations(Path(name), image_folder))
    if "+" in name or ":" in name:
        return mixed(name, split, load)
    found = source(name)
    if split not in found.splits:
        raise Misuse(f"{name} has the splits {', '.join(found.splits)}, not {split!r}")
    return found.load(split)
