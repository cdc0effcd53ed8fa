"""One folder in two engines: transformers' own class and chiasm, compared layer by layer."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from chiasm.errors import ChiasmError
from chiasm.hub.examples import prompts, sights
from chiasm.hub.folder import CONFIG
from chiasm.hub.formats import Format, format_of
from chiasm.hub.module import KeywordModel
from chiasm.hub.read import load
from chiasm.hub.readers import READERS
from chiasm.hub.tensors import stored_tensors
from chiasm.hub.whole import read_config
from chiasm.stream import Features, Tokens

COUNTS = (2, 1, 0)
"""Images of each sample of the compared batch."""


@dataclass(frozen=True)
class Stage:
    """One place that both engines pass, in the order of execution."""

    name: str
    difference: float
    """Largest absolute difference; of hidden states in units of their largest magnitude, if that
    is above 1, of scores as it is."""


@dataclass(frozen=True)
class Parity:
    """What the comparison of one folder found."""

    folder: str
    architecture: str
    stages: tuple[Stage, ...]
    tolerance: float

    @property
    def max_difference(self) -> float:
        """The largest difference of any stage."""
        return max(stage.difference for stage in self.stages)

    @property
    def first_differing_layer(self) -> str | None:
        """The first stage that differs by more than the tolerance; None if none does."""
        # Written so that a difference that is no number counts as one.
        wrong = [stage.name for stage in self.stages if not stage.difference <= self.tolerance]
        return wrong[0] if wrong else None

    def as_object(self) -> dict[str, Any]:
        """What `chiasm parity --json` prints."""
        return {
            "folder": self.folder,
            "architecture": self.architecture,
            "max_difference": self.max_difference,
            "first_differing_layer": self.first_differing_layer,
        }


def compare(
    folder: Path,
    *,
    against: Path | None = None,
    tolerance: float = 1e-4,
    seed: int = 0,
) -> Parity:
    """Run the same random inputs through chiasm and through transformers, in float32.

    chiasm opens `folder`, transformers `against`, which is the same folder unless given.

    Raises:
        ChiasmError: a folder that one of the two cannot open.
    """
    if not (folder / CONFIG).is_file():
        raise ChiasmError(
            f"{folder}: has no {CONFIG}, so transformers cannot open it; name one that both can"
        )
    config = read_config(folder)
    ours: Any = load(folder, dtype=torch.float32)
    theirs = _theirs(folder if against is None else against, config)
    generator = torch.Generator().manual_seed(seed)
    if isinstance(ours, KeywordModel):
        stages = _decoder_stages(ours, theirs, format_of(config), config, generator)
    else:
        stages = _module_stages(ours, theirs, folder, config, generator)
    return Parity(str(folder), type(theirs).__name__, tuple(stages), tolerance)


def _theirs(folder: Path, config: Any) -> Any:
    import transformers

    [name] = config.architectures or [None]
    kind = getattr(transformers, str(name), None)
    if kind is None:
        raise ChiasmError(f"{folder}: transformers has no class {name!r}; set architectures")
    verbosity = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        model = kind.from_pretrained(
            folder,
            dtype=torch.float32,
            local_files_only=True,
            # Its grouped products take only some widths, its loop over experts takes all.
            experts_implementation="eager",
        )
    except Exception as error:
        # What a damaged folder raises depends on its format; the remedy does not.
        reason = " ".join(str(error).split())
        raise ChiasmError(f"{folder}: transformers does not open it ({reason:.160})") from None
    finally:
        transformers.logging.enable_progress_bar()
        transformers.logging.set_verbosity(verbosity)
    return model.eval()


def _decoder_stages(
    ours: KeywordModel, theirs: Any, format: Format, config: Any, generator: torch.Generator
) -> list[Stage]:
    """Embeddings, tower, connector, every decoder layer, the scores (or last hidden states)."""
    model, text = ours.model, theirs.get_decoder()
    shown = format.example(model.answers, COUNTS, generator)
    words = prompts(model.answers.host.vocabulary, ours.tokens, shown.marks, generator)
    real = words["attention_mask"].bool()
    pairs: list[tuple[str, nn.Module, nn.Module]] = [
        ("embeddings", model.decoder.embed_tokens, theirs.get_input_embeddings()),
        *(
            (f"layers.{at}", model.decoder.stack.get_submodule(mine), text.layers[at])
            for mine, at in format.layers(config)
        ),
    ]
    if model.decoder.norm is not None:
        pairs.append(("norm", model.decoder.norm, _found(text, format.final_norm)))
    with (
        _recorded(pairs) as (mine, his),
        _connected(ours, theirs, format) as connected,
        _entered(model.decoder, text.layers[0]) as entered,
    ):
        media = {**shown.media, **sights(shown, real.shape[1])}
        if "image_grid_thw" in media:
            media["mm_token_type_ids"] = (words["input_ids"] == ours.tokens.image).long()
        output, reference = _both(ours, theirs, {**words, **media}, generator.initial_seed())
    stages = [Stage("embeddings", _hidden(mine["embeddings"][real], his["embeddings"][real]))]
    stages += connected()
    if model.answers.fusion.enters:
        stages.append(Stage("inputs", _hidden(*(hidden[real] for hidden in entered))))
    stages += [Stage(name, _hidden(mine[name][real], his[name][real])) for name, _, _ in pairs[1:]]
    if not ours.headless:
        stages.append(Stage("logits", _apart(output.logits[real], reference.logits[real])))
    return stages


@contextmanager
def _connected(
    ours: KeywordModel, theirs: Any, format: Format
) -> Iterator[Callable[[], list[Stage]]]:
    """Gives, after the call, the stages before and after the connector."""
    if not format.connector or ours.model.connector is None:
        yield list
        return
    connector: Any = ours.model.connector
    kept: list[tuple[Features, Tokens]] = []
    plain = connector.connect

    def recording(features: Features, *rest: Any) -> Tokens:
        tokens = plain(features, *rest)
        kept.append((features, tokens))
        return tokens

    reached: dict[str, Tensor] = {}
    module = _found(theirs, format.connector)
    handle = module.register_forward_hook(
        lambda _, given, options, made: reached.update(
            entered=_first((*given, *options.values())), left=_first(made)
        ),
        with_kwargs=True,
    )
    connector.connect = recording
    try:
        yield lambda: [
            Stage("vision_tower", _packed(kept[0][0].tokens, kept[0][0].valid, reached["entered"])),
            Stage("connector", _packed(kept[0][1].embeddings, kept[0][1].valid, reached["left"])),
        ]
    finally:
        del connector.connect
        handle.remove()


@contextmanager
def _entered(decoder: nn.Module, first: nn.Module) -> Iterator[list[Tensor]]:
    """Gives, after the call, what entered the two decoders."""
    mine: list[Tensor] = []
    his: list[Tensor] = []
    handles = (
        decoder.register_forward_pre_hook(lambda _, given: mine.append(given[0].embeddings)),
        first.register_forward_pre_hook(
            lambda _, given, options: his.append(_first((*given, *options.values()))),
            with_kwargs=True,
        ),
    )
    held: list[Tensor] = []
    try:
        yield held
        held += [*mine, *his]
    finally:
        for handle in handles:
            handle.remove()


def _packed(mine: Tensor, valid: Tensor | None, his: Tensor) -> float:
    """Real tokens, which transformers may hold image by image or one image after another."""
    flat, reference = mine.flatten(0, 1), his.flatten(0, -2)
    if valid is not None:
        real = valid.flatten()
        reference = reference[real] if len(reference) == len(real) else reference
        flat = flat[real]
    return _hidden(flat, reference)


def _module_stages(
    ours: Any, theirs: Any, folder: Path, config: Any, generator: torch.Generator
) -> list[Stage]:
    """What a model without a decoder names as its stages, then each of its outputs."""
    if config.model_type not in READERS:
        raise ChiasmError(
            f"{folder}: {type(theirs).__name__} is transformers' own class in chiasm too; there is "
            "nothing to compare"
        )
    plan = READERS[config.model_type](config, stored_tensors(folder))
    if plan.example is None:
        raise ChiasmError(f"{folder}: no random inputs are known for {type(theirs).__name__}")
    pairs = [(name, _found(ours, mine), _found(theirs, his)) for name, mine, his in plan.stages]
    with _recorded(pairs) as (mine, his):
        output, reference = _both(ours, theirs, plan.example(generator), generator.initial_seed())
    # One may hold as one row of tokens what the other holds image by image.
    stages = [
        Stage(name, _hidden(mine[name].flatten(0, -2), his[name].flatten(0, -2)))
        for name, _, _ in pairs
    ]
    told = [name for name, value in output.items() if isinstance(value, Tensor)]
    return stages + [Stage(name, _apart(output[name], reference[name])) for name in told]


def _both(ours: Any, theirs: Any, inputs: Mapping[str, Tensor], seed: int) -> tuple[Any, Any]:
    """What each of the two gives; both start from one seed, since ViLT draws its patches."""
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(seed)
        output = ours(**inputs)
        torch.manual_seed(seed)
        try:
            return output, theirs(**inputs)
        except Exception as error:
            # A class of transformers may fail on sizes that its kernels do not take.
            reason = " ".join(str(error).split())
            raise ChiasmError(
                f"transformers' {type(theirs).__name__} fails on these inputs ({reason:.160})"
            ) from None


@contextmanager
def _recorded(
    pairs: Sequence[tuple[str, nn.Module, nn.Module]],
) -> Iterator[tuple[dict[str, Tensor], dict[str, Tensor]]]:
    """The outputs of paired modules during one call, by the pair's name."""
    mine: dict[str, Tensor] = {}
    his: dict[str, Tensor] = {}

    def keep(held: dict[str, Tensor], name: str) -> Callable[..., None]:
        return lambda _, __, output: held.update({name: _first(output)})

    handles = [
        handle
        for name, one, other in pairs
        for handle in (
            one.register_forward_hook(keep(mine, name)),
            other.register_forward_hook(keep(his, name)),
        )
    ]
    try:
        yield mine, his
    finally:
        for handle in handles:
            handle.remove()


def _found(model: nn.Module, path: str) -> nn.Module:
    """The submodule at a path, which models without a head name without its first part."""
    names = {name for name, _ in model.named_modules()}
    short = path.partition(".")[2]
    return model.get_submodule(path if path in names else short)


def _first(output: Any) -> Tensor:
    """The tensor that a module is about: itself, or the first of several."""
    while not isinstance(output, Tensor):
        output = output[0]
    return output


def _hidden(mine: Tensor, his: Tensor) -> float:
    return _apart(mine, his) / max(1.0, float(his.abs().max()))


def _apart(mine: Tensor, his: Tensor) -> float:
    if mine.shape != his.shape:
        raise ChiasmError(
            f"chiasm gives {tuple(mine.shape)} numbers where transformers gives {tuple(his.shape)}"
        )
    return float((mine - his).abs().max())
