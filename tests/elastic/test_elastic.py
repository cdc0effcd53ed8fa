"""Super-networks of two modalities: sub-networks, INT8 matrices, bytes; SimQ-NAS's exact checks."""

from dataclasses import replace
from random import Random

import pytest
import torch
from tests.tiny import Picture, batch, fresh, said, tiny
from torch import nn

from chiasm.cost import count
from chiasm.elastic import (
    Int8Matrix,
    Predictor,
    Space,
    answers_at,
    calibrated,
    quantise,
    shared,
    skeleton,
    sliced,
    space_of,
    weight_bytes,
)
from chiasm.errors import Misuse
from chiasm.model import Model
from chiasm.spec import Answers, registered
from chiasm.stream import Inputs, Role
from chiasm.training.elastic import answered, elastic_losses, teach_elastic

lawful = pytest.mark.evidence(slug="simq-nas", grade="lawful")
builds = pytest.mark.evidence(slug="simq-nas", grade="builds")
HEADS, HIDDEN = (3, 6), (11, 23, 37)


def space(model: Model, **changes: object) -> Space:
    choices = {"depths": (1, 2, 3), "heads": HEADS, "hidden": HIDDEN, **changes}
    return space_of(model, **choices)  # type: ignore[arg-type]


def asked(answers: Answers, seed: int) -> Inputs:
    samples = [
        (said(3, at), Picture(at % 3 + 1, 30, 50), said(4, at + 1), said(2, at, Role.ASSISTANT))
        for at in (seed, seed + 5)
    ]
    return batch(answers, samples)


@pytest.fixture(scope="module", params=["beit-3", "vilt"])
def whole(request: pytest.FixtureRequest) -> Model:
    return fresh(tiny(request.param))


@lawful
def test_the_maximal_genome_is_the_super_network(whole: Model) -> None:
    of = space(whole)
    inputs = asked(whole.answers, 0)
    own = sliced(whole, of, of.maximal())
    assert torch.equal(own(inputs), whole(inputs))
    assert torch.equal(shared(whole, skeleton(whole, of, of.maximal()), inputs), whole(inputs))


@lawful
@pytest.mark.parametrize("seed", range(4))
def test_a_sub_network_runs_on_the_super_networks_weights(whole: Model, seed: int) -> None:
    of, inputs = space(whole), asked(whole.answers, seed)
    genome = of.random(Random(seed))
    slim = sliced(whole, of, genome)
    torch.testing.assert_close(
        slim(inputs), shared(whole, skeleton(whole, of, genome), inputs), atol=1e-6, rtol=0
    )
    depth, heads, hidden = of.architecture(genome)
    assert len(slim.decoder.stack.layers) == depth == slim.answers.host.depth
    for at, block in enumerate(slim.decoder.stack.layers):
        width = whole.answers.host.head_width
        assert block.get_parameter("self_attn.q_proj.weight").shape[0] == heads[at] * width
        assert block.get_parameter("self_attn.k_proj.weight").shape[0] == heads[at] * width // 3
        assert block.get_parameter("mlp.up_proj.weight").shape[0] == hidden[at]


@lawful
@pytest.mark.parametrize("seed", range(4))
def test_slices_against_a_super_network_whose_other_channels_are_silent(seed: int) -> None:
    """Without norms over heads and hidden units, what is cut is what adds nothing."""
    whole = fresh(tiny("vilt"))
    of, inputs = space(whole, depths=(3,)), asked(whole.answers, seed)
    genome = of.random(Random(seed))
    slim = sliced(whole, of, genome)(inputs)
    _, heads, hidden = of.architecture(genome)
    with torch.no_grad():
        for block, kept, units in zip(whole.decoder.stack.layers, heads, hidden, strict=True):
            block.get_parameter("self_attn.o_proj.weight")[:, kept * 6 :] = 0
            block.get_parameter("mlp.down_proj.weight")[:, units:] = 0
    torch.testing.assert_close(whole(inputs), slim, atol=1e-5, rtol=1e-5)


@lawful
def test_genes_of_absent_layers_change_nothing(whole: Model) -> None:
    of, inputs, draw = space(whole), asked(whole.answers, 1), Random(3)
    first = [gene.choices[0] for gene in of.genes]
    above = list(first)
    for at, gene in enumerate(of.genes):
        if gene.layer is not None and gene.layer >= 1:
            above[at] = draw.choice(gene.choices[1:])
    one, other = of.canonical(first), of.canonical(above)
    assert first != above and one == other and one[0] == 1
    assert sum(value == 0 for value in one) == sum((gene.layer or 0) >= 1 for gene in of.genes)
    logits = [quantise(sliced(whole, of, g), of.bits_of(g), [inputs])(inputs) for g in (one, other)]
    assert torch.equal(*logits)
    genomes = [of.random(draw) for _ in range(12)]
    predictor = Predictor(of, genomes, [float(sum(genome)) for genome in genomes])
    assert predictor([one]) == predictor([other])


@lawful
def test_all_matrices_of_32_bits_are_the_unquantised_sub_network(whole: Model) -> None:
    of, inputs = space(whole), asked(whole.answers, 2)
    genome = of.with_bits(of.random(Random(5)), 32)
    plain, slim = sliced(whole, of, genome), sliced(whole, of, genome)
    assert set(of.bits_of(genome).values()) == {32}
    assert torch.equal(quantise(slim, of.bits_of(genome), [inputs])(inputs), plain(inputs))


@lawful
@pytest.mark.parametrize("seed", range(4))
def test_bytes_are_parameters_times_bits_over_eight(whole: Model, seed: int) -> None:
    of = space(whole)
    genome = of.random(Random(seed))
    slim = sliced(whole, of, genome)
    bits = of.bits_of(genome)
    wanted = 0.0
    for name, parameter in slim.named_parameters():
        width = bits.get(name.removesuffix(".weight"), 32) if name.endswith("weight") else 32
        wanted += parameter.numel() * width / 8
    assert weight_bytes(slim, bits) == wanted
    small = quantise(slim, bits, [asked(whole.answers, seed)])
    held = {id(value): value for value in small.parameters()}.values()
    real = sum(
        value.data.rows.numel() if isinstance(value.data, Int8Matrix) else value.numel() * 4
        for value in held
    )
    assert weight_bytes(small, bits) == real == wanted
    every = of.with_bits(genome, 8)
    assert weight_bytes(slim, of.bits_of(every)) <= wanted


@lawful
def test_matrices_are_counted_as_the_paper_counts_them() -> None:
    """Six a layer of a plain transformer, and one gene of depth, one of each size a layer."""
    model = fresh(tiny("vilt"))
    genes = space(model).genes
    assert sum(gene.name.startswith("bits ") for gene in genes) == 6 * 3
    # BEiT-3 has a feed-forward a modality: eight.
    model = fresh(tiny("beit-3"))
    genes = space(model).genes
    assert sum(gene.name.startswith("bits ") for gene in genes) == 8 * 3
    assert len(genes) == 1 + 3 + 3 + 24


@lawful
def test_an_int8_product_is_that_of_the_rounded_matrices() -> None:
    torch.manual_seed(0)
    weight, bias, x = torch.randn(13, 31), torch.randn(13), 3 * torch.randn(2, 5, 31) + 1
    matrix = Int8Matrix(weight, (float(x.min()), float(x.max())))
    found = nn.functional.linear(x, matrix, bias)
    read = (matrix.rounded(x).double() - matrix.zero) * matrix.step
    wanted = read @ matrix.plain().double().T + bias
    torch.testing.assert_close(found.double(), wanted, atol=1e-5, rtol=1e-5)
    assert float((read - x).abs().max()) <= matrix.step / 2 * 1.01
    assert bool(((matrix.plain() - weight).abs() <= matrix.scales.unsqueeze(1) / 2 * 1.01).all())
    assert matrix.rows.dtype == torch.int8
    # What lies beyond the calibrated range is held at its end.
    far = matrix.rounded(torch.tensor([1e6, -1e6]))
    assert far.tolist() == [127, -128]


@lawful
def test_calibration_meets_least_and_greatest(whole: Model) -> None:
    of, batches = space(whole), [asked(whole.answers, seed) for seed in (0, 7)]
    names = [name for name, _ in of.matrices]
    seen: dict[str, list[torch.Tensor]] = {}
    handles = [
        whole.get_submodule(name).register_forward_pre_hook(
            lambda _, given, name=name: seen.setdefault(name, []).append(given[0].flatten())
        )
        for name in names
        if ("up_proj" in name and "experts" in name) or "o_proj" in name
    ]
    ranges = calibrated(whole, names, batches)
    for handle in handles:
        handle.remove()
    assert set(ranges) == set(names) and handles
    for name, parts in seen.items():
        values = torch.cat(parts)
        assert ranges[name] == (min(0, float(values.min())), max(0, float(values.max())))


@lawful
def test_int8_stays_near_and_each_bit_matters(whole: Model) -> None:
    of, inputs = space(whole), asked(whole.answers, 4)
    plain = whole(inputs)
    real = inputs.table.valid
    for name, _ in of.matrices:
        # Words alone pass only the words' branch; here every matrix is passed.
        one = quantise(sliced(whole, of, of.maximal()), {name: 8}, [inputs])(inputs)
        assert not torch.equal(one, plain)
        assert float((one - plain)[real].norm() / plain[real].norm()) < 0.1


@lawful
def test_gradients_of_a_sub_network_stay_within_its_slices(whole: Model) -> None:
    of, inputs = space(whole), asked(whole.answers, 3)
    genome = of.canonical([gene.choices[0] for gene in of.genes])
    whole.zero_grad()
    shared(whole, skeleton(whole, of, genome), inputs).square().mean().backward()
    first, second, _ = whole.decoder.stack.layers
    for name, kept in (("self_attn.q_proj.weight", 3 * 6), ("mlp.up_proj.weight", 11)):
        grad = first.get_parameter(name).grad
        assert grad is not None and bool((grad[kept:] == 0).all())
        assert bool((grad[:kept].abs().sum(1) > 0).any())
    assert all(p.grad is None or not p.grad.any() for p in second.parameters())
    whole.zero_grad()


@lawful
def test_the_part_imitates_the_whole(whole: Model) -> None:
    of, inputs = space(whole), asked(whole.answers, 6)
    task, part = elastic_losses(whole, of, of.maximal(), inputs, 1.0)
    torch.testing.assert_close(part, task)  # the whole imitates itself for nothing
    small = of.canonical([gene.choices[0] for gene in of.genes])
    _, bare = elastic_losses(whole, of, small, inputs, 0.0)
    _, both = elastic_losses(whole, of, small, inputs, 1.0)
    assert inputs.labels is not None
    taught = inputs.labels >= 0
    said_, own = whole(inputs)[taught].softmax(-1), sliced(whole, of, small)(inputs)[taught]
    kl = (said_ * (said_.log() - own.log_softmax(-1))).sum(-1).mean()
    torch.testing.assert_close(both - bare, kl, atol=1e-5, rtol=1e-4)


@builds
def test_a_super_network_learns_whole_and_in_parts() -> None:
    model = fresh(tiny("beit-3"))
    of = space(model)
    batches = [asked(model.answers, seed) for seed in range(3)] * 8
    stage = replace(model.answers.teaching.stages[-1], learning_rate=5e-3, warmup=0.0)
    small = of.canonical([gene.choices[0] for gene in of.genes])
    losses = []
    for _ in range(2):
        with torch.no_grad():
            told = [elastic_losses(model, of, small, one, 0.0) for one in batches[:3]]
        losses.append([sum(float(one[at]) for one in told) for at in (0, 1)])
        teach_elastic(model, of, batches, len(batches), stage=stage)
        model.eval()
    assert losses[1][0] < 0.8 * losses[0][0] and losses[1][1] < 0.9 * losses[0][1]
    assert 0 <= answered(model, batches[:3]) <= 1


@builds
def test_a_sub_network_of_the_papers_size_is_counted() -> None:
    answers = registered()["beit-3"].at("paper")
    host = answers.host
    of = Space(depths=(24, 32, 40), heads=(8, 12, 16), hidden=(3072, 4608, 6144), matrices=())
    genome = of.canonical([24, *[8] * 40, *[3072] * 40])
    small = count(answers_at(answers, of, genome))
    whole = count(answers_at(answers, of, of.maximal()))
    assert count(answers).prefill_flops == whole.prefill_flops
    assert small.prefill_flops < 0.4 * whole.prefill_flops and host.depth == 40
    # What the operators do beside the analytic count does not depend on the layers' sizes.
    assert small.prefill_flops_operator is not None and whole.prefill_flops_operator is not None
    beside = whole.prefill_flops_operator - whole.prefill_flops
    assert small.prefill_flops_operator - small.prefill_flops == beside


def test_layers_may_differ_in_heads() -> None:
    host = tiny("beit-3").host
    each = replace(host, head_counts=(3, 6, 3))
    assert [(each.at(i).heads, each.at(i).kv_heads) for i in range(3)] == [(3, 1), (6, 2), (3, 1)]
    with pytest.raises(ValueError, match="keep whole groups"):
        replace(host, head_counts=(3, 4, 6))


def test_misuse_is_refused(whole: Model) -> None:
    of = space(whole)
    with pytest.raises(Misuse, match="end at 7, the super-network has 6"):
        space(whole, heads=(3, 7))
    with pytest.raises(Misuse, match="no choices"):
        Space(depths=(2, 1), heads=(1,), hidden=(1,), matrices=())
    with pytest.raises(Misuse, match="'heads 0' is 5"):
        of.canonical([3, 5, *of.maximal()[2:]])
    with pytest.raises(Misuse, match="4 bits"):
        quantise(whole, {of.matrices[0][0]: 4}, [])
