"""Dropped rows are gone exactly as if they had been hidden, in every host."""

from typing import Any

import pytest
import torch
from tests.compressing import tiny_hosts as tiny
from torch import Tensor, nn

import chiasm
from chiasm.compression.method import methods
from chiasm.errors import Misuse
from chiasm.spec.reading import Execution

METHODS = sorted(methods())
FAMILIES = ["llava", "llava_next", "qwen2_5_vl", "smolvlm"]
"""One host of each way in which patches become tokens."""
PAIRS = [(kind, name) for kind in FAMILIES for name in METHODS]
PAIRS += [
    (kind, name)
    for kind in tiny.KINDS
    if kind not in FAMILIES
    for name in ("random", "fastv", "vscan")
]
"""Every method on a host of each family, three methods on the others."""


def attach(model: nn.Module, name: str, keep: float, **told: Any) -> Any:
    """The method's context; where its first stage alone spends more than `keep`, more is kept."""
    for enough in (keep, 0.6, 0.8, 0.9):
        try:
            return chiasm.compress(model, name, keep=max(keep, enough), **told)
        except Misuse:
            continue
    raise AssertionError(f"{name} meets no budget")


def fresh(model: nn.Module) -> None:
    """Qwen's models remember a prompt's positions; forget them between prompts."""
    core: Any = model.model
    if hasattr(core, "rope_deltas"):
        core.rope_deltas = None


@torch.no_grad()
def logits(model: nn.Module, batch: tiny.Batch) -> Tensor:
    """Of the last row of each prompt."""
    fresh(model)
    found = model(**batch.told).logits
    return torch.stack([found[number, row] for number, row in enumerate(batch.last)])


@torch.no_grad()
def decode(model: nn.Module, batch: tiny.Batch, steps: int, words: int = 1) -> Tensor:
    """Logits of `steps` forced steps of so many ids each, behind the prompt."""
    fresh(model)
    generator = torch.Generator().manual_seed(7)
    cache = model(**batch.told, use_cache=True).past_key_values
    mask, found = batch.told["attention_mask"], []
    for _ in range(steps):
        ids = torch.randint(9, tiny.VOCABULARY, (len(batch.last), words), generator=generator)
        mask = torch.cat([mask, torch.ones_like(ids)], 1)
        told = {"input_ids": ids, "attention_mask": mask, "past_key_values": cache}
        if hasattr(model.model, "rope_deltas"):
            places = (mask.cumsum(1) - 1)[:, -words:] + model.model.rope_deltas  # type: ignore[union-attr]
            told["position_ids"] = places.expand(3, -1, -1)
        out = model(**told, use_cache=True)
        found.append(out.logits)
    return torch.cat(found, 1)


@pytest.mark.parametrize(("kind", "name"), PAIRS)
def test_dropping_is_hiding(kind: str, name: str) -> None:
    """In prefill and in ten decode steps, unequal pictures, padding on either side."""
    model = tiny.host(kind, 1)
    for side in ("left", "right"):
        batch = tiny.batch(kind, 2, side)
        found, kept = [], []
        for execution in (Execution.PLANNED, Execution.MASKED):
            with attach(model, name, 0.4, execution=execution) as context:
                found.append((logits(model, batch), decode(model, batch, 10)))
                kept.append(context.kept)
        assert kept[0] == kept[1]
        assert kept[0][-1][1] < kept[0][0][1]
        for dropped, hidden in zip(*found, strict=True):
            torch.testing.assert_close(dropped, hidden, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("llava", name) for name in METHODS] + [(kind, "vscan") for kind in tiny.KINDS[1:]],
)
def test_a_budget_of_everything_is_the_model_itself(kind: str, name: str) -> None:
    """Bit for bit, in a plain call and in generate."""
    model, batch = tiny.host(kind, 1), tiny.batch(kind, 3)
    plain, (ids, scores) = logits(model, batch), tiny.generate(model, batch.told, 4)
    with chiasm.compress(model, name, keep=1):
        assert torch.equal(logits(model, batch), plain)
        again, kept = tiny.generate(model, batch.told, 4)
    assert torch.equal(again, ids)
    assert torch.equal(kept, scores)


@pytest.mark.parametrize("kind", tiny.KINDS)
@pytest.mark.parametrize("name", ["random", "fastv"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_several_ids_at_a_time_behind_the_prompt(kind: str, name: str, side: str) -> None:
    """A later turn: several rows read the cut cache causally."""
    model, batch = tiny.host(kind, 4), tiny.batch(kind, 5, side)
    found = []
    for execution in (Execution.PLANNED, Execution.MASKED):
        with attach(model, name, 0.5, execution=execution):
            found.append(decode(model, batch, 3, words=4))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["llava", "llava_next", "internvl", "idefics3", "smolvlm"])
@pytest.mark.parametrize("name", ["random", "fastv"])
def test_a_second_picture_in_a_later_turn(kind: str, name: str) -> None:
    model, first, second = tiny.host(kind, 4), tiny.batch(kind, 5), tiny.batch(kind, 6)
    found = []
    for execution in (Execution.PLANNED, Execution.MASKED):
        with torch.no_grad(), attach(model, name, 0.5, execution=execution) as context:
            cache = model(**first.told, use_cache=True).past_key_values
            before = list(context.kept)
            mask = torch.cat([first.told["attention_mask"], second.told["attention_mask"]], 1)
            told = {**second.told, "attention_mask": mask}
            found.append(model(**told, past_key_values=cache).logits[:, -1])
            assert context.kept[-1][1] < context.kept[0][1]
            assert context.kept is not before
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", tiny.KINDS)
def test_against_padding_of_transformers_own(kind: str) -> None:
    """What is dropped before the first layer counts as padding would, positions kept."""
    model, batch = tiny.host(kind, 8), tiny.batch(kind, 9, pictures=(2,))
    ids = batch.told["input_ids"]
    with chiasm.compress(model, "uniform", keep=0.5) as context:
        dropped = logits(model, batch)
    kept_tokens = context.kept[-1][1]
    visual = (ids[0] == tiny.IMAGE).nonzero().squeeze(1)
    told: dict[str, Any] = {}

    def spy(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        told.update(kwargs)

    decoder: Any = getattr(model.model, "language_model", None) or model.model.text_model  # type: ignore[union-attr]
    handle = decoder.register_forward_pre_hook(spy, with_kwargs=True)
    plain = logits(model, batch)
    handle.remove()
    items = _items(kind, batch)
    stays = torch.cat([_evenly(count) + start for start, count in items])
    assert stays.numel() == kept_tokens
    gone = torch.ones(visual.numel(), dtype=torch.bool)
    gone[stays] = False
    mask = batch.told["attention_mask"].clone()
    mask[0, visual[gone]] = 0
    told |= {"attention_mask": mask, "past_key_values": None}
    if told.get("position_ids") is None:
        told["position_ids"] = torch.arange(ids.shape[1])[None]
    with torch.no_grad():
        states = decoder(**told).last_hidden_state
        padded = model.lm_head(states)[0, batch.last[0]]  # type: ignore[operator]
    torch.testing.assert_close(dropped[0], padded, rtol=0, atol=1e-5)
    assert (dropped - plain).abs().max() > 1e-3


def _evenly(count: int) -> Tensor:
    kept = (count + 1) // 2
    return torch.tensor([int((i + 0.5) * count / kept) for i in range(kept)])


def _items(kind: str, batch: tiny.Batch) -> list[tuple[int, int]]:
    """Start and length, among the visual tokens, of every run of placeholders."""
    runs, start, length = [], 0, 0
    for one in [*(batch.told["input_ids"][0] == tiny.IMAGE).tolist(), False]:
        if one:
            length += 1
        elif length:
            runs.append((start, length))
            start, length = start + length, 0
    return runs


@pytest.mark.parametrize("kind", ["llava", "qwen2_5_vl", "smolvlm"])
@pytest.mark.parametrize("name", ["random", "fastv"])
def test_eager_attention(kind: str, name: str) -> None:
    found = []
    for attention in ("sdpa", "eager"):
        model, batch = tiny.host(kind, 1, attention), tiny.batch(kind, 2)
        with attach(model, name, 0.5):
            found.append(tiny.generate(model, batch.told, 4)[1])
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["llava", "qwen2_5_vl", "qwen3_vl", "smolvlm"])
@pytest.mark.parametrize("name", ["random", "fastv"])
def test_beams(kind: str, name: str) -> None:
    """Beams share a sample's pictures, and carry the cut rows along when they change places."""
    model, batch = tiny.host(kind, 1), tiny.batch(kind, 2, pictures=(1, 1))
    found = []
    for execution in (Execution.PLANNED, Execution.MASKED):
        with attach(model, name, 0.5, execution=execution):
            found.append(
                model.generate(  # type: ignore[operator]
                    **batch.told, max_new_tokens=5, num_beams=3, do_sample=False, pad_token_id=0
                )
            )
    assert torch.equal(found[0], found[1])


@pytest.mark.parametrize("name", ["random", "fastv"])
def test_gradients_flow_through_what_is_kept(name: str) -> None:
    found = []
    for execution in (Execution.PLANNED, Execution.MASKED):
        model, batch = tiny.host("llava", 1), tiny.batch("llava", 2)
        ids, mask = batch.told["input_ids"], batch.told["attention_mask"]
        # What a dropped row predicts, or one of padding, is not there to be learnt.
        unknown = (ids == tiny.IMAGE) | (ids == tiny.END) | (mask == 0) | (ids == 1)
        labels = ids.masked_fill(unknown, -100)
        with attach(model, name, 0.5, execution=execution):
            model(**batch.told, labels=labels).loss.backward()
        found.append({path: p.grad for path, p in model.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys()
    assert any("projector" in path for path in found[0])
    for path, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][path], rtol=0, atol=1e-5)
