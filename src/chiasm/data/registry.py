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
    splits: tuple[str, ...]
    packages: tuple[str, ...]
    """Aliases in `chiasm.weights` that bring it onto this machine; none: it is generated here."""
    load: Callable[[str], Dataset]


_SOURCES: Registry[Source] = Registry("data set", hint=" Or pass a .json or .jsonl path.")


def register(source: Source) -> None:
    """Add a data set; a name is taken once."""
    _SOURCES.enter(source.name, source)


def sources() -> dict[str, Source]:
    """All data sets by name, in alphabetical order."""
    return _SOURCES.every()


register(
    Source(
        name="easy-vqa",
        about="5,000 pictures of one coloured shape, 48,248 short questions, 13 answers",
        licence="MIT",
        splits=easy_vqa.SPLITS,
        packages=(easy_vqa.PACKAGE,),
        load=easy_vqa.load,
    )
)
register(
    Source(
        name="easy-vqa-pixels",
        about="the same questions, each written on a page with its picture",
        licence="MIT",
        splits=easy_vqa.SPLITS,
        packages=(easy_vqa.PACKAGE,),
        load=lambda split: as_pixels(easy_vqa.load(split), SMALL_PAGE),
    )
)
register(
    Source(
        name="scenes",
        about="9,000 drawings of several shapes: attributes, counts, relations, comparisons",
        licence="generated",
        splits=scenes.SPLITS,
        packages=(),
        load=scenes.load,
    )
)
register(
    Source(
        name="scenes-relations",
        about="the same drawings, only the questions that compare things",
        licence="generated",
        splits=scenes.SPLITS,
        packages=(),
        load=partial(scenes.load, name="scenes-relations", kinds=RELATIONS),
    )
)
register(
    Source(
        name="scenes-captions",
        about="the same drawings, each with a sentence that lists its shapes",
        licence="generated",
        splits=scenes.SPLITS,
        packages=(),
        load=scenes.captions,
    )
)

register(
    Source(
        name=marked_scenes.NAME,
        about="the same kind of drawings with two marks on each: what stands under one of them",
        licence="generated",
        splits=scenes.SPLITS,
        packages=(),
        load=marked_scenes.load,
    )
)

register(
    Source(
        name=written_words.NAME,
        about="9,000 pictures of one to three words: where they stand, what they say, both",
        licence="generated",
        splits=scenes.SPLITS,
        packages=(),
        load=written_words.load,
    )
)

register(
    Source(
        name=read_out.NAME,
        about="the same pictures, every question behind the words on them and their places",
        licence="generated",
        splits=scenes.SPLITS,
        packages=(),
        load=read_out.load,
    )
)

register(
    Source(
        name="lookups",
        about="9,000 grids of coloured shapes: what stands one to three steps from a named one; "
        "answers point at every cell on the way",
        licence="generated",
        splits=scenes.SPLITS,
        packages=(),
        load=lookups.load,
    )
)

register(
    Source(
        name="easy-vqa-captions",
        about="easy-VQA's pictures to draw from a caption and to describe, 24 captions",
        licence="MIT",
        splits=easy_vqa.SPLITS,
        packages=(easy_vqa.PACKAGE,),
        load=easy_vqa_captions.load,
    )
)

register(
    Source(
        name=charts.NAME,
        about="4,500 bar charts: how many bars, how high, which the highest",
        licence="generated",
        splits=charts.SPLITS,
        packages=(),
        load=charts.load,
    )
)

register(
    Source(
        name=maps.NAME,
        about="154 maps, each many times with two regions in colour: where they lie, whether they "
        "touch; a fifth of the maps is held out",
        licence="GPL-2+",
        splits=maps.SPLITS,
        packages=(maps.PACKAGE,),
        load=maps.load,
    )
)

register(
    Source(
        name=manual_pages.NAME,
        about="930 figures of GIMP's manual with their titles; a fifth of the pages is held out",
        licence="GFDL",
        splits=manual_pages.SPLITS,
        packages=(manual_pages.PACKAGE,),
        load=manual_pages.load,
    )
)

register(
    Source(
        name=manual_pages.TEXT,
        about="passages of the same manual, without pictures",
        licence="GFDL",
        splits=manual_pages.SPLITS,
        packages=(manual_pages.PACKAGE,),
        load=manual_pages.texts,
    )
)

for _name, _about, _licence, _packages in (
    ("stamps", "950 drawings and photographs, a sentence each", "GPL-2", (pairs.stamps.PACKAGE,)),
    (
        *("clip-art", "2,700 drawings with titles and keywords", "public domain"),
        (pairs.clip_art.PACKAGE,),
    ),
    (
        *("emoji", "1,850 emoji in three designs, with names", "MIT, CC-BY-4.0, OFL-1.1"),
        (pairs.emoji.NAMES, *pairs.emoji.DESIGNS.values()),
    ),
):
    register(
        Source(
            name=_name,
            about=f"{_about}; fifths of the concepts are held out",
            licence=_licence,
            splits=pairs.SPLITS,
            packages=_packages,
            load=partial(pairs.captions, _name),
        )
    )


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
