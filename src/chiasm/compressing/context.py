"""`chiasm.compress(model, "vscan", keep=0.1)`: a context under which a host drops visual tokens."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Protocol

from torch import nn

from chiasm.compressing.clip_question import ClipQuestion
from chiasm.compressing.hosted import HostReducing
from chiasm.compressing.hosts import host_of
from chiasm.compressing.own import OwnReducing, shape_of
from chiasm.compressing.rows import masks_of
from chiasm.compressing.weights import check_weights
from chiasm.compression.composed import Member, composed
from chiasm.compression.evidence import Look, TextSimilarity, reads_question
from chiasm.compression.reducer import Reducer
from chiasm.errors import Misuse
from chiasm.model import Model
from chiasm.spec.reading import Execution


class Attached(Protocol):
    """What a context attaches to one kind of model."""

    kept: list[tuple[int, int]]

    def attach(self, stack: ExitStack) -> None: ...


class Compressed:
    """A model with reducers attached while the context is entered.

    `generate` and plain calls run under it as they are: prompts, masks and ids are given uncut.
    Rows that are dropped are gone from the decoder's work and from its cache; states and logits
    come back in the uncut prompt's rows, those of dropped tokens as of a zero state. A cache filled
    here is read on here.
    """

    def __init__(self, attached: Attached) -> None:
        self.attached = attached
        self._open: ExitStack | None = None

    @property
    def kept(self) -> list[tuple[int, int]]:
        """Of the last prefill: layer, and visual tokens of the batch from it on."""
        return self.attached.kept

    def __enter__(self) -> "Compressed":
        if self._open is not None:
            raise Misuse("this compression is entered already; make another")
        stack = ExitStack()
        try:
            self.attached.attach(stack)
        except BaseException:
            stack.close()
            raise
        self._open = stack
        return self

    def __exit__(self, *error: object) -> None:
        assert self._open is not None
        self._open.close()
        self._open = None


def compress(
    model: nn.Module,
    method: str | Member | Sequence[str | Member],
    *,
    keep: float | None = None,
    prefix_caching: bool = False,
    question: ClipQuestion | None = None,
    execution: Execution = Execution.PLANNED,
    **settings: object,
) -> Compressed:
    """A context in which `model` drops visual tokens as a published method does.

    Args:
        model: one of chiasm's own whose pictures are rows of the sequence, or a transformers
            model: LLaVA, LLaVA-NeXT, LLaVA-OneVision, Qwen2-VL, Qwen2.5-VL,
            Qwen3-VL, InternVL, Idefics3, SmolVLM.
        method: a registered method's name, or one made by hand; or several members that are to run
            together, such as `["vscan:keep=0.1", "visual-kv-quant:bits=1", "int8-weights"]`: at
            most one method of tokens, and companions.
        keep: share of visual tokens alive, averaged over the decoder's layers, in (0, 1].
        prefix_caching: whether caches filled here are to serve other questions.
        question: what the batch asks, for methods that compare patches with it in CLIP's space.
        execution: `MASKED` hides rows instead of dropping them: the slow reference.
        settings: the method's own.

    Raises:
        Misuse: an unknown method, setting or architecture; members that cannot run together; a
            budget that is no share, or that the method cannot meet here; a method that reads the
            question, with `prefix_caching`; a look that the model's encoder cannot give. All before
            anything is allocated.
    """
    made = composed(method, keep=keep, settings=settings)
    masked, projects = execution is Execution.MASKED, False
    if made.precision.weights is not None:
        check_weights()
    if isinstance(model, Model):
        answer = model.answers.compression
        made.check_beside(f"the model's {type(answer).__name__}", answer)
        if made.precision.visual_kv is not None:
            raise Misuse(
                f"{made.name}: one of chiasm's own models packs visual keys in the cache that it "
                f"is given; leave visual-kv-quant out and give a chiasm.compressing.VisualCache"
            )
        reducers = made.reducers(shape_of(model)) if made.methods else ()
        looks = looks_of(reducers)
        attached: Attached = OwnReducing(
            model, reducers, looks, masked=masked, weights=made.precision.weights
        )
    else:
        host = host_of(model)
        reducers = made.reducers(host.shape)
        looks = looks_of(reducers)
        projects = host.projector is not None
        attached = HostReducing(
            host, reducers, looks, masked=masked, precision=made.precision, question=question
        )
        masks_of(host.decoder.config._attn_implementation)  # type: ignore[union-attr]
    if TextSimilarity() in looks and (question is None or not projects):
        raise Misuse(
            f"{made.name} compares patches with the question by CLIP's text tower: pass question= "
            "a ClipQuestion, on a transformers model of one patch a token, or text='embeddings'"
        )
    if prefix_caching and reads_question(looks):
        raise Misuse(
            f"{made.name} keeps what the question asks for, so its caches cannot serve another "
            f"question (prefix_caching=True); use a method that does not read the text"
        )
    return Compressed(attached)


def looks_of(reducers: Sequence[Reducer]) -> tuple[Look, ...]:
    """All looks that some reducers need, each once."""
    return tuple(dict.fromkeys(look for reducer in reducers for look in reducer.needs))
