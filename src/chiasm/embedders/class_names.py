"""The names of ImageNet's classes, in the order of a classifier's scores."""

from chiasm import weights


def class_names() -> tuple[tuple[str, ...], ...]:
    """Of each of the 1,000 classes, its synonyms.

    Raises:
        ChiasmError: the names were not fetched.
    """
    folder = weights.path("imagenet-names")
    lines = (folder / "imagenet_synset_to_lemma.txt").read_text(encoding="utf-8").splitlines()
    lemmas = dict(line.split("\t", 1) for line in lines if "\t" in line)
    synsets = (folder / "imagenet_synsets.txt").read_text(encoding="utf-8").split()
    return tuple(tuple(name.strip() for name in lemmas[one].split(",")) for one in synsets)
