"""Cards of embedders whose towers are fused: frozen-in-time, uniir, ret, preflmr, deepstyle."""

from dataclasses import replace

import pytest
import torch
from tests.embedders.few import card, few, nano, parameters, shared

from chiasm.embedders.contents import Content, shown, words
from chiasm.embedders.stages.conditioned import ConditionedPatches
from chiasm.embedders.stages.margin import ClassesAndMargin
from chiasm.embedders.stages.recurrent import Cell, RecurrentLayers
from chiasm.embedders.states import States
from chiasm.objectives import Contrastive
from chiasm.spec.embedder import registered_embedders
from chiasm.stream import Modality

PICTURES = tuple(pair.picture for pair in few())
PICTURE, TEXT = shown(PICTURES[0]), words("a large red circle")


def embedded(embedder, *parts, **told):
    return embedder.embed_contents([Content(parts=parts, **told)])


@card("frozen-in-time")
def test_fresh_time_does_nothing():
    """One frame is a plain transformer's picture; the order of frames does not matter yet."""
    embedder = nano("frozen-in-time")
    encoder = embedder.model.eval().encoders["image"]
    frames = torch.randn(1, 3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        one = encoder(frames[:, :1]).tokens
        x = encoder.patches(frames[:, 0]).flatten(2).transpose(1, 2)
        first = encoder.first.expand(1, 1, -1)
        x = torch.cat([first, x], 1) + encoder.places
        for block in encoder.blocks:
            n = block.norm_space(x)
            read = block.space(n, n, _everything())
            x = x + read
            x = x + block.mlp(block.norm_mlp(x))
        torch.testing.assert_close(one, encoder.norm(x), rtol=0, atol=1e-4)
        turned = encoder(frames.flip(1)).tokens
        torch.testing.assert_close(turned[:, 0], encoder(frames).tokens[:, 0], rtol=0, atol=1e-5)


def _everything():
    from chiasm.stream import Permission

    return Permission()


@card("frozen-in-time")
def test_taught_time_tells_frames_apart_and_patches_see_frame_and_place():
    encoder = shared("frozen-in-time").model.encoders["image"]
    frames = torch.randn(1, 3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        ordered, turned = encoder(frames).tokens, encoder(frames.flip(1)).tokens
    assert not torch.allclose(ordered[:, 0], turned[:, 0], atol=1e-4)
    block, count = encoder.blocks[0], encoder.config.patches
    x = torch.randn(1, 1 + 3 * count, 96, generator=torch.Generator().manual_seed(2))
    x.requires_grad_()
    for within in (False, True):
        read = block._apart(block.space, x, 3, within=within)
        (gradient,) = torch.autograd.grad(read[0, 1 + count + 2].sum(), x)
        seen = set((gradient[0].abs().sum(-1) > 0).nonzero().flatten().tolist())
        own_frame = {0, *range(1 + count, 1 + 2 * count)}
        own_place = {0, 1 + 2, 1 + count + 2, 1 + 2 * count + 2}
        assert seen == (own_frame if within else own_place)


@card("frozen-in-time")
def test_a_clip_is_embedded_and_a_long_one_refused():
    from chiasm.errors import Misuse

    embedder = shared("frozen-in-time")
    clip = shown(*PICTURES[:3], modality=Modality.VIDEO)
    assert embedded(embedder, clip).vectors.shape == (1, 64)
    with pytest.raises(Misuse, match="5 frames"):
        embedded(embedder, shown(*PICTURES[:5], modality=Modality.VIDEO))


@card("uniir")
def test_score_fusion_is_the_sum_and_words_stay_out_of_pictures():
    embedder = shared("uniir")
    picture, text, both = (
        embedded(embedder, *parts).vectors for parts in ((PICTURE,), (TEXT,), (PICTURE, TEXT))
    )
    torch.testing.assert_close(both, picture + text)
    (gradient,) = torch.autograd.grad(
        embedder.model(embedder.given([Content(parts=(PICTURE,))])).embedding.vectors.sum(),
        next(embedder.model.encoders["text"].parameters()),
        allow_unused=True,
    )
    assert gradient is None


@card("uniir")
def test_clip_has_its_published_size_and_targets_share_a_querys_mass():
    assert parameters("uniir", "paper") == 427_616_513
    scores = torch.randn(2, 4, generator=torch.Generator().manual_seed(3))
    targets = torch.tensor([[1.0, 1, 0, 0], [0, 0, 1, 0]])
    expected = -(scores.log_softmax(-1)[0, :2].mean() + scores.log_softmax(-1)[1, 2]) / 2
    torch.testing.assert_close(Contrastive(temperature=1.0).judge(scores, targets), expected)


@card("ret")
def test_the_cell_has_its_published_number_of_weights():
    with torch.device("meta"):
        weights = sum(p.numel() for p in Cell(1024, 16).parameters())
    assert weights == 24 * 1024**2 + 23 * 1024
    assert weights + 32 * 1024 == pytest.approx(25.2e6, rel=2e-3)


@card("ret")
def test_without_a_picture_pixels_do_not_matter_and_gates_can_leave_the_state_alone():
    cell = Cell(12, 3)
    generator = torch.Generator().manual_seed(4)
    state, said, seen = (torch.randn(1, n, 12, generator=generator) for n in (5, 4, 3))
    there, absent = torch.ones(1, 4, dtype=torch.bool), torch.zeros(1, 3, dtype=torch.bool)
    one, other = (cell(state, said, there, picture, absent) for picture in (seen, 9 * seen))
    assert torch.equal(one, other)
    with torch.no_grad():
        for gate, bias in (
            (cell.in_words, -50.0),
            (cell.in_picture, -50.0),
            (cell.forget_words, 50.0),
            (cell.forget_picture, 50.0),
        ):
            gate.bias.fill_(bias)
    n = cell.norm(state)
    plain = state + cell.itself(n, n, _everything())
    plain = plain + cell.mlp(cell.norm_mlp(plain))
    torch.testing.assert_close(cell(state, said, there, seen, ~absent), plain)


@card("ret")
@pytest.mark.parametrize("layers", [1, 2, 5])
def test_the_state_has_one_shape_for_any_number_of_layers(layers):
    config = RecurrentLayers(out=12, queries=5, heads=3, layers=layers, text=7, image=11)
    states = States.all_of(torch.randn(2, 3, 7), int(Modality.TEXT))
    states = replace(states, layers=tuple(torch.randn(2, 3, 7) for _ in range(5)))
    out = config.build({})({"text": states}, {"text": states})
    assert out.tokens.shape == (2, 5, 12)


@card("preflmr")
def test_a_query_has_words_vectors_and_patches():
    large = registered_embedders()["preflmr"].at("paper").fuse
    assert isinstance(large, ConditionedPatches) and large.vectors == 32
    config = ConditionedPatches(out=8, vectors=32, width_inside=12, heads=3)
    fusion = config.build({"text": 7, "image": 11})
    said = States.all_of(torch.randn(1, 5, 7), int(Modality.TEXT))
    seen = States.all_of(torch.randn(1, 1 + 256, 11), int(Modality.IMAGE))
    out = fusion({"text": said, "image": seen}, {})
    assert out.tokens.shape == (1, 5 + 32 + 256, 8) and bool(out.valid.all())
    other = States.all_of(torch.randn(1, 5, 7), int(Modality.TEXT))
    again = fusion({"text": other, "image": seen}, {})
    assert torch.equal(out.tokens[:, 5:37], again.tokens[:, 5:37])
    assert not torch.allclose(out.tokens[:, 37:], again.tokens[:, 37:])
    told = replace(said, told=torch.arange(5)[None] < 2)
    quiet = fusion({"text": told, "image": seen}, {})
    assert bool((quiet.tokens[:, :2] == 0).all()) and not bool(quiet.valid[:, :2].any())


@card("preflmr")
def test_documents_in_another_order_have_scores_in_that_order():
    embedder = shared("preflmr")
    queries = embedder.embed_contents([Content(parts=(PICTURE, TEXT))])
    texts = [words(pair.texts[0]) for pair in few()]
    found = [
        embedder.model.scores(queries, embedder.embed_contents([Content(parts=(t,)) for t in each]))
        for each in (texts, texts[::-1])
    ]
    torch.testing.assert_close(found[0], found[1].flip(-1), rtol=0, atol=1e-4)


@card("deepstyle")
def test_the_margin_is_symmetric_and_costs_nothing_where_it_is_kept():
    judge = ClassesAndMargin(width=3, classes=5, margin=1.0).build({})
    x = torch.tensor([[0.0, 0, 0], [3.0, 0, 0]])
    together = torch.eye(2)
    assert float(judge.margin(x, x, together)) == pytest.approx(0, abs=1e-6)
    apart = torch.tensor([[0.0, 0, 0], [0.5, 0, 0]])
    torch.testing.assert_close(judge.margin(x, apart, together), judge.margin(apart, x, together.T))
    assert float(judge.margin(x, apart, together)) > 0


@card("deepstyle")
def test_other_words_move_the_vector_of_one_picture():
    embedder = shared("deepstyle")
    one, other = (
        embedded(embedder, PICTURE, words(text)).vectors for text in ("red circle", "blue square")
    )
    assert not torch.allclose(one, other)
    assert torch.equal(one, embedded(embedder, PICTURE, words("red circle")).vectors)
