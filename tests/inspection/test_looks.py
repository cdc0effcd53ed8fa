"""Visual attention heads (087): what weights on a picture are worth; watching changes nothing."""

from dataclasses import replace

import pytest
import torch

from chiasm.errors import Misuse
from chiasm.inspection.ablation import ablate, silenced
from chiasm.inspection.heads import Heads, find_heads, looks, stability
from chiasm.inspection.subject import Subject
from chiasm.inspection.watching import watch
from chiasm.layers import merge_heads
from chiasm.spec.reading import Execution
from chiasm.stream.table import take

lawful = pytest.mark.evidence(slug="visual-heads", grade="lawful")


@lawful
def test_an_even_look_has_no_concentration_and_a_single_token_all_of_it():
    visual = torch.tensor([[False, True, True, True, False]])
    even = torch.tensor([0.1, 0.2, 0.2, 0.2, 0.3])
    narrow = torch.tensor([0.1, 0.0, 0.6, 0.0, 0.3])
    blind = torch.tensor([0.5, 0.0, 0.0, 0.0, 0.5])
    w, c = looks(torch.stack([even, narrow, blind])[None], visual)
    torch.testing.assert_close(w, torch.tensor([[0.6, 0.6, 0.0]]).double())
    torch.testing.assert_close(c, torch.tensor([[0.0, 1.0, 0.0]]).double(), atol=1e-6, rtol=0)


@lawful
def test_half_the_tokens_evenly_is_the_share_of_the_logarithm():
    weights = torch.tensor([[[0.25, 0.25, 0.0, 0.0, 0.5]]])
    _, c = looks(weights, torch.tensor([[True, True, True, True, False]]))
    assert float(c) == pytest.approx(1 - 1 / 2)  # 1 - ln 2 / ln 4


@lawful
def test_the_order_of_visual_tokens_changes_nothing():
    draw = torch.Generator().manual_seed(3)
    weights = torch.rand(2, 3, 11, generator=draw).softmax(-1)
    visual = torch.arange(11).expand(2, -1) < 7
    order = torch.cat([torch.randperm(7, generator=draw), torch.arange(7, 11)])
    for one, other in zip(looks(weights, visual), looks(weights[..., order], visual), strict=True):
        torch.testing.assert_close(one, other)


@lawful
@pytest.mark.parametrize("slug", ["llava-1.5", "saisa"])
def test_watching_leaves_every_logit_as_it_was(subjects, slug):
    subject = subjects(slug)
    asked = next(subject.batches(5))
    _, logits = watch(subject, asked)
    with torch.no_grad():
        rows = asked.ends.unsqueeze(1)
        masked = subject.model.hidden(asked.inputs, execution=Execution.MASKED)
        planned = subject.model.hidden(asked.inputs)
        plain = subject.model.scores(take(masked, rows)).squeeze(1)
        fast = subject.model.scores(take(planned, rows)).squeeze(1)
    assert torch.equal(logits, plain)
    torch.testing.assert_close(logits, fast, atol=1e-5, rtol=1e-5)


@lawful
@pytest.mark.parametrize("slug", ["llava-1.5", "saisa"])
def test_the_weights_read_what_the_fast_path_reads(subjects, slug):
    """Weights times values, head by head, is what the last prompt row's W_o is given."""
    subject = subjects(slug)
    asked = next(subject.batches(3))
    given, values = {}, {}
    hooks = []
    for layer, block in enumerate(subject.model.decoder.stack.layers):
        attention = block.self_attn
        hooks += [
            attention.o_proj.register_forward_pre_hook(
                lambda m, args, at=layer: given.__setitem__(at, args[0])
            ),
            attention.v_proj.register_forward_hook(
                lambda m, args, made, at=layer: values.__setitem__(at, made)
            ),
        ]
    layers, _ = watch(subject, asked)
    for hook in hooks:
        hook.remove()
    for layer, one in enumerate(layers):
        heads = one.weights.shape[1]
        v = values[layer].unflatten(-1, (-1, subject.model.answers.host.head_width))
        v = v.transpose(1, 2).repeat_interleave(heads // v.shape[2], 1)
        read = merge_heads(one.weights.unsqueeze(2) @ v).squeeze(1)
        torch.testing.assert_close(one.weights.sum(-1), torch.ones_like(one.weights.sum(-1)))
        torch.testing.assert_close(read, _at(given[layer], asked), atol=1e-5, rtol=1e-5)


def _at(read, asked):
    """The rows of a masked run that no weights sort stand in the stream's order."""
    return take(read, asked.ends.unsqueeze(1)).squeeze(1)


@lawful
def test_grouped_queries_count_one_by_one(subjects):
    subject = subjects("llava-1.5")
    host = subject.model.answers.host
    assert host.heads != host.kv_heads
    found = find_heads(subject)
    assert found.weight.shape == (len(subject.examples), host.depth, host.heads)
    assert float(found.weight.max()) <= 1 and float(found.concentration.min()) >= 0


@lawful
def test_a_silenced_head_is_a_zero_slice_of_what_w_o_is_given(subjects):
    subject = subjects("llava-1.5")
    asked = next(subject.batches(4))
    width = subject.model.answers.host.head_width
    with torch.no_grad():
        whole = subject.model(asked.inputs)
        with silenced(subject, [(1, 2), (2, 0)]):
            less = subject.model(asked.inputs)
        assert torch.equal(subject.model(asked.inputs), whole)
        layers = subject.model.decoder.stack.layers
        kept = {at: layers[at].self_attn.o_proj.weight.clone() for at in (1, 2)}
        layers[1].self_attn.o_proj.weight[:, 2 * width : 3 * width] = 0
        layers[2].self_attn.o_proj.weight[:, :width] = 0
        cut = subject.model(asked.inputs)
        for at, weight in kept.items():
            layers[at].self_attn.o_proj.weight.copy_(weight)
    torch.testing.assert_close(less, cut, atol=1e-6, rtol=1e-6)
    assert not torch.equal(less, whole)


@pytest.mark.evidence(slug="visual-heads", grade="builds")
def test_heads_are_found_ranked_and_silenced(subjects):
    subject = subjects("llava-1.5")
    found = find_heads(subject)
    score = found.score
    top = found.top(4)
    assert [float(score[at]) for at in top] == sorted(score.flatten().tolist(), reverse=True)[:4]
    assert [layer for layer, _ in found.late(score.shape[1])] == [score.shape[0] - 1] * score.shape[
        1
    ]
    arms = {one.name: one for one in ablate(subject, found, 3, draws=2)}
    assert list(arms) == ["all heads", "top", "random 0", "random 1", "late"]
    assert arms["all heads"].lost.value == 0
    assert all(len(one.heads) == 3 for name, one in arms.items() if name != "all heads")
    with pytest.raises(Misuse, match="leave some"):
        ablate(subject, found, score.numel())


@lawful
def test_two_tasks_agree_wholly_with_themselves():
    draw = torch.Generator().manual_seed(5)
    weight = torch.rand(6, 3, 4, generator=draw).double()
    one = Heads(weight=weight, concentration=weight.sqrt(), maps=())
    assert stability(one, one, 5) == replace(
        stability(one, one, 5), rank_correlation=1.0, shared=1.0
    )
    other = Heads(weight=1 - weight, concentration=torch.ones_like(weight), maps=())
    assert stability(one, other, 3).rank_correlation < -0.9


def test_a_model_without_picture_rows_is_refused(subjects):
    subject: Subject = subjects("flamingo")
    with pytest.raises(Misuse, match="no head"):
        find_heads(subject)
