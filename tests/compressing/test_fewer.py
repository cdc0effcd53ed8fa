"""Visual rows that do less in transformers' models: not multiplied is as good as taken away."""

from typing import Any

import pytest
import torch
from tests.compressing import tiny_hosts as tiny
from tests.compressing.test_dropping import decode, logits
from torch import nn

from chiasm.compressing import fewer_operations
from chiasm.compression.heads import in_groups
from chiasm.compression.operations import VisualOperations
from chiasm.errors import Misuse
from chiasm.spec.reading import Execution

YOPO = pytest.mark.evidence(slug="yopo", grade="lawful")
NAMES = ["window", "heads", "split", "stop", "all"]
CASES = [(kind, "all") for kind in tiny.KINDS]
CASES += [(kind, name) for kind in ("llava", "qwen2_vl") for name in NAMES[:-1]]


def decoder(model: nn.Module) -> Any:
    core: Any = model.model
    return getattr(core, "language_model", getattr(core, "text_model", None))


def mask(model: nn.Module, seed: int = 0) -> tuple[tuple[bool, ...], ...]:
    """Active heads drawn by chance, whole groups of them, at least one layer with none."""
    config, draw = decoder(model).config, torch.Generator().manual_seed(seed)
    kv = config.num_key_value_heads
    each = config.num_attention_heads // kv
    found = torch.rand(config.num_hidden_layers, kv, generator=draw) > 0.5
    found[1] = False
    return tuple(tuple(layer) for layer in found.repeat_interleave(each, 1).tolist())


def operations(model: nn.Module, name: str) -> VisualOperations:
    depth = decoder(model).config.num_hidden_layers
    return {
        "window": VisualOperations(window=3),
        "heads": VisualOperations(heads=mask(model)),
        "split": VisualOperations(split=3),
        "stop": VisualOperations(stop=depth - 2),
        "all": VisualOperations(window=3, heads=mask(model), split=2, stop=depth - 1),
    }[name]


@YOPO
@pytest.mark.parametrize(("kind", "name"), CASES)
def test_what_is_not_multiplied_is_what_was_taken_away(kind: str, name: str) -> None:
    """In prefill and decoding, unequal pictures, padding on either side."""
    model = tiny.host(kind, 1)
    done = operations(model, name)
    for side in ("left", "right"):
        batch, found = tiny.batch(kind, 2, side), []
        plain = logits(model, batch)
        for execution in (Execution.PLANNED, Execution.MASKED):
            with fewer_operations(model, done, execution=execution):
                found.append((logits(model, batch), decode(model, batch, 4)))
        for planned, masked in zip(*found, strict=True):
            torch.testing.assert_close(planned, masked, rtol=0, atol=1e-5)
        assert not torch.allclose(found[0][0], plain, atol=1e-5)


@YOPO
@pytest.mark.parametrize("kind", tiny.KINDS)
def test_visual_states_behind_the_stop_are_read_by_nobody(kind: str) -> None:
    """In the reference, where visual rows are still there: noise on them leaves logits equal."""
    model, batch = tiny.host(kind, 1), tiny.batch(kind, 2)
    stop = decoder(model).config.num_hidden_layers - 2
    done = VisualOperations(stop=stop, window=5)
    layers = decoder(model).layers
    with fewer_operations(model, done, execution=Execution.MASKED) as context:
        quiet = logits(model, batch)

        def noisy(first: int) -> torch.Tensor:
            def shake(layer: nn.Module, args: Any, told: Any) -> Any:
                assert context.attached.visual is not None
                hidden = args[0] if args else told["hidden_states"]
                hidden = hidden + 3 * torch.randn_like(hidden) * context.attached.visual.unsqueeze(
                    -1
                )
                if args:
                    return (hidden, *args[1:]), told
                return args, {**told, "hidden_states": hidden}

            hooks = [
                layer.register_forward_pre_hook(shake, with_kwargs=True) for layer in layers[first:]
            ]
            try:
                return logits(model, batch)
            finally:
                for hook in hooks:
                    hook.remove()

        assert torch.equal(noisy(stop), quiet)
        assert not torch.allclose(noisy(stop - 1), quiet, atol=1e-4)


@YOPO
@pytest.mark.parametrize("kind", tiny.KINDS)
def test_text_alone_is_the_model_s(kind: str) -> None:
    model = tiny.host(kind, 1)
    ids = torch.randint(9, tiny.VOCABULARY, (2, 7), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        plain = model(input_ids=ids).logits
        for execution in (Execution.PLANNED, Execution.MASKED):
            with fewer_operations(model, operations(model, "all"), execution=execution):
                assert torch.equal(model(input_ids=ids).logits, plain)


@YOPO
def test_a_window_over_everything_is_bidirectional() -> None:
    """47 on a grid of up to 24: every visual row sees every other of its picture."""
    model, batch = tiny.host("llava", 1), tiny.batch("llava", 2)
    with torch.no_grad(), fewer_operations(model, VisualOperations(window=47)) as context:
        seen = []
        layer = decoder(model).layers[0]
        hook = layer.register_forward_pre_hook(
            lambda *_: seen.append((context.attached.seen, context.attached.visual))
        )
        logits(model, batch)
        hook.remove()
    (rules, visual) = seen[0]
    ids = batch.told["input_ids"]
    for row in range(len(ids)):
        places = visual[row].nonzero().flatten()
        assert torch.equal(visual[row], ids[row] == tiny.IMAGE)
        runs = (places.diff() > 1).cumsum(0)
        item = torch.cat([torch.zeros(1, dtype=torch.long), runs])
        same = item.unsqueeze(0) == item.unsqueeze(1)
        among = rules[row][places][:, places]
        if len(item.unique()) == (len(places) // 36):
            assert torch.equal(among, same)
        text = (~visual[row]).nonzero().flatten()
        given = batch.told["attention_mask"][row].bool()
        causal = (torch.arange(len(given)) <= text.unsqueeze(1)) & given | ~given[text].unsqueeze(1)
        assert torch.equal(rules[row][text], causal)


@pytest.mark.parametrize("execution", list(Execution))
def test_no_operation_less_is_the_model_itself(execution: Execution) -> None:
    model, batch = tiny.host("llava", 1), tiny.batch("llava", 2)
    plain = logits(model, batch)
    with fewer_operations(model, VisualOperations(), execution=execution):
        torch.testing.assert_close(logits(model, batch), plain, rtol=0, atol=1e-5)


def test_nothing_is_left_behind() -> None:
    """Also when something fails inside."""
    model, batch = tiny.host("llava", 1), tiny.batch("llava", 2)
    plain = logits(model, batch)
    context = fewer_operations(model, operations(model, "all"))
    with pytest.raises(RuntimeError, match="inside"), context:
        logits(model, batch)
        raise RuntimeError("inside")
    assert torch.equal(logits(model, batch), plain)
    for layer in decoder(model).layers:
        assert "forward" not in vars(layer.self_attn) and "forward" not in vars(layer.mlp)
        assert not layer._forward_pre_hooks


def test_what_does_not_fit_is_refused() -> None:
    model = tiny.host("llava", 1)
    config = decoder(model).config
    heads, depth = config.num_attention_heads, config.num_hidden_layers
    with pytest.raises(Misuse, match=f"the decoder has {depth} of {heads}"):
        fewer_operations(model, VisualOperations(heads=((True,) * heads,)))
    with pytest.raises(Misuse, match=f"not before layer {depth}"):
        fewer_operations(model, VisualOperations(stop=depth))
    with pytest.raises(Misuse, match="cannot compress"):
        fewer_operations(nn.Linear(2, 2), VisualOperations())


def test_heads_that_share_a_value_go_together() -> None:
    apart = ((True, False, False, False), (False, False, False, True))
    assert in_groups(apart, 2) == ((True, True, False, False), (False, False, True, True))
    with pytest.raises(Misuse, match="heads 0 to 1 of layer 0 share a value"):
        VisualOperations(heads=apart).check(2, 4, 2)
    VisualOperations(heads=in_groups(apart, 2)).check(2, 4, 2)
    VisualOperations(heads=apart).check(2, 4, 4)
