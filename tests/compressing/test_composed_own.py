"""Our own decoders under several members at once, and what cannot run beside early exits."""

from dataclasses import replace

import pytest
import torch
from tests.compressing.test_visual_cache import ReadBack, how
from tests.laws.test_cache import in_steps
from tests.tiny import batch, close, fresh, ragged, real, shared_model, tiny

import chiasm
from chiasm.backbone import GrowingCache
from chiasm.compressing.visual_cache import VisualCache
from chiasm.compression import EarlyExits
from chiasm.decoding.early_exit import Proposal, climb, exit_layers
from chiasm.errors import Misuse
from chiasm.model import Model


@pytest.mark.parametrize("members", [["random:keep=0.5"], ["fastv:keep=0.9", "int8-weights"]])
@pytest.mark.parametrize("side", ["left", "right"])
def test_reducers_weights_and_packed_rows_together(members, side):
    """Steps behind a thinned prompt are those of rows that are read back first."""
    model, inputs = shared_model("llava-1.5"), batch(tiny("llava-1.5"), ragged(), side=side)
    rows, here = inputs.ids.shape[1], None
    ends = [rows - 2, rows - 1, rows]
    with chiasm.compress(model, members) as context:
        cache = VisualCache(how(2))
        got = in_steps(model, inputs, cache, ends)
        here = context.kept
        want = in_steps(model, inputs, ReadBack(how(2)), ends)
        plain = in_steps(model, inputs, GrowingCache(), ends)
    assert here[-1][1] < here[0][1]
    close(got[real(inputs)], want[real(inputs)], 1e-5)
    assert float((got - plain)[real(inputs)].abs().max()) > 1e-4
    held = cache.held(model.decoder.stack.depth - 1)
    assert held is not None
    assert int((held.packed[0].column >= 0).sum()) == here[-1][1]


def exiting() -> Model:
    """A model whose pictures are rows, with exits."""
    return fresh(replace(tiny("llava-1.5"), compression=EarlyExits(every=2)))


def left(model: Model, threshold: float) -> tuple[torch.Tensor, int]:
    inputs = batch(tiny("llava-1.5"), ragged()[:1])
    count = len(exit_layers(model))
    found = climb(
        model,
        inputs,
        [threshold] * count,
        lambda run: Proposal(run.hidden[:, -1], (run.hidden[:, -1],)),
    )
    return found.given[0].detach(), found.layers


def test_early_exits_run_with_reducers_and_weights():
    """The exit's state is that of fewer rows and rounded matrices; without, to the bit the same."""
    model = exiting()
    plain, layers = left(model, float("inf"))
    assert layers < model.decoder.stack.depth
    found = {}
    for members in (["random:keep=0.5"], ["int8-weights"], ["random:keep=0.5", "int8-weights"]):
        with chiasm.compress(model, members):
            found[len(members), members[0]], ran = left(model, float("inf"))
        assert ran == layers
        assert float((found[len(members), members[0]] - plain).abs().max()) > 1e-6
    both = found[2, "random:keep=0.5"]
    assert not torch.equal(both, found[1, "random:keep=0.5"])
    assert torch.equal(left(model, float("inf"))[0], plain)


def test_early_exits_and_packed_keys_are_refused_with_the_reason():
    model = exiting()
    reason = "visual-kv-quant relies on .* with the model's EarlyExits there are none: "
    with pytest.raises(Misuse, match=reason):
        chiasm.compress(model, ["random:keep=0.5", "visual-kv-quant:bits=1", "int8-weights"])


def test_packed_keys_of_our_own_models_belong_to_their_cache():
    with pytest.raises(Misuse, match=r"give a chiasm\.compressing\.VisualCache"):
        chiasm.compress(shared_model("llava-1.5"), "visual-kv-quant")
