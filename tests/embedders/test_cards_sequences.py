"""Cards of embedders that read everything in one sequence."""

from dataclasses import replace

import pytest
import torch
from tests.embedders.few import (
    card,
    few,
    fresh,
    losses,
    nano,
    parameters,
    shared,
    taken,
    teacher,
)

from chiasm.embedders.batches import TEXT_TO_PICTURE
from chiasm.embedders.contents import Content, shown, words
from chiasm.embedders.mining import mine
from chiasm.embedders.model import part_of
from chiasm.embedders.stages.align import Align, Round, SameKind
from chiasm.embedders.stages.modality_aware import ModalityAware
from chiasm.embedders.stages.project import IdentityStart
from chiasm.embedders.stages.reduce import LatentAttention
from chiasm.embedders.stages.terms import Agreement
from chiasm.embedders.states import Read, States
from chiasm.embedders.teaching import chunked, freeze, round_losses
from chiasm.lineages.multimodal_embedders import lora
from chiasm.objectives import Contrastive
from chiasm.retrieval.embedder import Role
from chiasm.retrieval.embedding import Multi, Single, joined
from chiasm.retrieval.similarity import modality_maxsim, similarity
from chiasm.spec.embedder import registered_embedders
from chiasm.stream import Modality

PICTURE, TEXT = shown(few()[0].picture), words("a large red circle")


def embedded(embedder, *parts, **told):
    return embedder.embed_contents([Content(parts=parts, **told)])


def tokens(embedder, *parts) -> States:
    """What the one tower sees."""
    with torch.no_grad():
        return embedder.model(embedder.given([Content(parts=parts)])).seen["item"]


def adapted(slug: str):
    """The nano embedder with low-rank deltas at their start, and without them."""
    answers = registered_embedders()[slug].at("nano")
    (tower,) = answers.encode
    inner = replace(tower.encoder.answers, experts=lora(3, 6.0))
    with_them = replace(tower, encoder=replace(tower.encoder, answers=inner))
    return fresh(replace(answers, encode=(with_them,))), fresh(answers)


@pytest.mark.parametrize("slug", ["vlm2vec-v2", "jina-v4"])
def test_adapters_at_their_start_change_nothing(slug):
    if slug not in registered_embedders():
        pytest.skip(f"no {slug}")
    changed, plain = adapted(slug)
    state = plain.model.state_dict()
    missing, unknown = changed.model.load_state_dict(state, strict=False)
    assert not unknown and missing and all(".experts." in name for name in missing)
    one, other = (embedded(e, PICTURE, TEXT).vectors for e in (changed, plain))
    assert torch.equal(one, other)


@card("vlm2vec-v2")
def test_gradients_in_chunks_equal_those_of_the_whole(tmp_path):
    embedder = nano("vlm2vec-v2")
    batch = taken(embedder, tmp_path)
    embedder.model.eval()  # batch norms average over what is in memory
    torch.stack([*losses(embedder, batch).values()]).sum().backward()
    whole = {n: p.grad.clone() for n, p in embedder.model.named_parameters() if p.grad is not None}
    embedder.model.zero_grad()
    found = chunked(embedder, batch, 2)
    assert found.item() == pytest.approx(round_losses(embedder, batch)["contrast"].item(), abs=1e-5)
    for name, parameter in embedder.model.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(parameter.grad, whole[name], rtol=0, atol=2e-5)


@card("vlm2vec-v2")
def test_every_block_has_one_task_and_instructions_count(tmp_path):
    embedder = nano("vlm2vec-v2")
    batches = replace(embedder.model.answers.batches, block=2)
    embedder.model.answers = replace(embedder.model.answers, batches=batches)
    own = teacher(embedder, tmp_path)
    stage = embedder.model.answers.teaching.stages[0]
    drawn = own._batches(0, stage, 0, None)
    tasks = [[query.task for query in next(drawn).queries] for _ in range(5)]
    assert all(len(set(one[at : at + 2])) == 1 for one in tasks for at in (0, 2))
    assert {task for one in tasks for task in one} == {0, 1}
    one, other = (
        embedded(embedder, TEXT, instruction=told).vectors for told in ("find: ", "tell: ")
    )
    assert not torch.allclose(one, other)


@card("vlm2vec-v2")
def test_published_size():
    adapters = parameters("vlm2vec-v2", "paper", "item.experts")
    assert parameters("vlm2vec-v2", "paper") - adapters == 2_208_985_600  # Qwen2-VL-2B


@card("colembed")
def test_storage_of_a_page_and_of_a_million():
    vectors = 7 * 256 + 10
    assert vectors == 1802
    width = registered_embedders()["colembed"].at("paper").encode[0].encoder.answers.host.width
    page = vectors * width * 2
    assert page / 1e6 == pytest.approx(11.07, abs=0.005)
    assert 1e6 * page / 2**30 == pytest.approx(10_311, rel=1e-3)


@card("colembed")
def test_a_page_of_three_by_two_has_seven_views_of_256():
    from chiasm.spec import geometry

    answers = registered_embedders()["colembed"].at("paper").encode[0].encoder.answers
    assert geometry(answers, (1344, 896)).rows_per_view == (256,) * 7


@pytest.mark.parametrize("slug", ["colembed", "abc", "mm-embed", "vista"])
def test_a_later_token_changes_an_earlier_one(slug):
    if slug not in registered_embedders():
        pytest.skip(f"no {slug}")
    embedder = shared(slug)
    one, other = (tokens(embedder, words(text)) for text in ("red circle", "red square"))
    assert not torch.allclose(one.tokens[0, 0], other.tokens[0, 0])


@card("unite")
def test_a_causal_model_does_not_look_ahead():
    embedder = shared("unite")
    one, other = (tokens(embedder, words(text)) for text in ("red circle", "red square"))
    assert torch.equal(one.tokens[0, 0], other.tokens[0, 0])


@card("colembed")
def test_padding_never_wins():
    documents = Multi.of([torch.full((2, 3), -1.0), torch.full((5, 3), -1.0)])
    queries = Multi.of([torch.ones(2, 3)])
    torch.testing.assert_close(similarity(queries, documents), torch.full((1, 2), -2.0))


@card("abc")
def test_a_fresh_head_gives_x_and_selu_of_x(tmp_path):
    x = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
    head = IdentityStart(hidden=7).build(5)
    torch.testing.assert_close(head(States.all_of(x, 0)).tokens, x + torch.selu(x))
    embedder = nano("abc")
    freeze(embedder.model, embedder.model.answers.teaching.stages[1].trained)
    learning = {part_of(n) for n, p in embedder.model.named_parameters() if p.requires_grad}
    assert learning == {"item.decoder"}


@card("abc")
def test_two_instructions_give_a_picture_two_embeddings():
    embedder = shared("abc")
    one, other = (
        embedded(embedder, PICTURE, words(told), role=Role.QUERY).unit()
        for told in ("the circle", "the square")
    )
    assert float((one * other).sum()) < 0.9999


def a_round(kinds: list[int], seed: int = 0) -> tuple[Round, torch.Tensor]:
    """Scores of as many queries as documents, of these kinds, each with its own."""
    count = len(kinds)
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(count, count, generator=generator, requires_grad=True)
    nothing = Read(seen={}, reduced={}, made={}, outputs=())
    of = Round(
        queries=nothing,
        candidates=nothing,
        targets=torch.eye(count),
        kinds=torch.tensor(kinds),
        groups=torch.zeros(count).long(),
        about=torch.zeros(count).long(),
    )
    return of, scores


@card("unite")
def test_masked_contrast_is_the_mean_of_the_kinds_by_size():
    contrast = Contrastive(temperature=0.3)
    of, scores = a_round([2, 2, 2, 2, 2])
    plain = contrast.judge(scores, of.targets)
    torch.testing.assert_close(contrast.judge(scores, of.targets, SameKind().allowed(of)), plain)
    of, scores = a_round([2, 3, 2, 3, 2, 3, 2])
    masked = contrast.judge(scores, of.targets, SameKind().allowed(of))
    each = [
        len(at) * contrast.judge(scores[at][:, at], torch.eye(len(at)))
        for at in (torch.tensor([0, 2, 4, 6]), torch.tensor([1, 3, 5]))
    ]
    torch.testing.assert_close(masked, sum(each) / 7)
    (gradient,) = torch.autograd.grad(masked, scores)
    assert bool((gradient[of.kinds[:, None] != of.kinds] == 0).all())
    of, scores = a_round([2, 3, 2])
    alone = contrast.judge(scores[1:2], of.targets[1:2], SameKind().allowed(of)[1:2])
    assert alone.item() == pytest.approx(0, abs=1e-6)


@card("unite")
def test_a_namesake_of_another_kind_is_neither_asked_for_nor_in_the_way():
    """Two pairs of one name, asked for in different kinds: each query wants its own kind alone."""
    of, scores = a_round([2, 3, 2])
    of = replace(of, targets=torch.tensor([[1.0, 1, 0], [1, 1, 0], [0, 0, 1]]))
    masked = Align(contrast=Contrastive(temperature=0.3), among=SameKind()).build({})
    alone = a_round([2, 3, 2])[0]
    torch.testing.assert_close(masked.contrast(scores, of), masked.contrast(scores, alone))


@card("lamra")
def test_the_first_stage_batches_words_alone(tmp_path):
    seen = []
    for stage in (0, 1):
        batch = taken(nano("lamra"), tmp_path, stage)
        parts = [part for one in (*batch.queries, *batch.documents) for part in one.parts]
        seen.append(any(part.pictures for part in parts))
    assert seen == [False, True]


@card("vista")
def test_embeddings_of_texts_survive_teaching(tmp_path):
    embedder = nano("vista")
    before = embedded(embedder, TEXT).vectors
    teacher(embedder, tmp_path).run()
    assert torch.equal(embedded(embedder, TEXT).vectors, before)
    both = embedded(embedder, PICTURE, TEXT).unit()
    summed = embedded(embedder, PICTURE).unit() + embedded(embedder, TEXT).unit()
    assert float((both * torch.nn.functional.normalize(summed, dim=-1)).sum()) < 0.999


@card("vista")
def test_vit_b_gives_196_tokens_at_places_without_gaps():
    from chiasm.spec import geometry

    answers = registered_embedders()["vista"].at("paper").encode[0].encoder.answers
    assert geometry(answers, (300, 200)).tokens == 196
    embedder = shared("vista")
    read = embedder.readers["item"].read([Content(parts=(PICTURE, TEXT))])
    position = read.inputs.table.position[0, :, 0]
    assert torch.equal(position, torch.arange(len(position)).float())


@card("mm-embed")
def test_an_instruction_weighs_nothing_in_the_pool():
    module = LatentAttention(latents=5, heads=1).build(7)
    x = torch.randn(1, 6, 7, generator=torch.Generator().manual_seed(1))
    told = torch.arange(6)[None] < 2
    states = replace(States.all_of(x, 0), told=told)
    other = replace(states, tokens=torch.where(told.unsqueeze(-1), 9 * x, x))
    assert torch.equal(module(states).tokens, module(other).tokens)


@card("mm-embed")
def test_mined_negatives_hold_no_right_document():
    embedder, pairs = shared("mm-embed"), few(11)
    found = mine(embedder, pairs, 0)
    tasks = embedder.model.answers.batches.tasks
    assert len(found) == len(tasks) * len(pairs) and any(found.values())
    for (_, pair), negatives in found.items():
        assert all(pairs[other].texts[0] != pairs[pair].texts[0] for _, other in negatives)


@card("jina-v4")
def test_words_after_a_picture_do_not_alter_its_vector():
    embedder = shared("jina-v4")
    alone, followed = (
        embedded(embedder, *parts).vectors for parts in ((PICTURE,), (PICTURE, TEXT))
    )
    torch.testing.assert_close(alone, followed, rtol=0, atol=1e-5)


@card("jina-v4")
def test_one_token_each_is_the_cosine_and_agreement_vanishes():
    generator = torch.Generator().manual_seed(2)
    a, b = torch.randn(3, 5, generator=generator), torch.randn(4, 5, generator=generator)
    many = [Multi.of([*one.unsqueeze(1)]) for one in (a, b)]
    one = [Single(vectors=x) for x in (a, b)]
    torch.testing.assert_close(similarity(*many), similarity(*one))
    agreement = registered_embedders()["jina-v4"].at("nano").teaching.objective.terms[1]
    assert isinstance(agreement, Agreement)
    sides = [
        Read(seen={}, reduced={}, made={}, outputs=(s, m)) for s, m in zip(one, many, strict=True)
    ]
    of = Round(
        queries=sides[0],
        candidates=sides[1],
        targets=torch.eye(3, 4),
        kinds=torch.zeros(4).long(),
        groups=torch.zeros(4).long(),
        about=torch.zeros(3).long(),
    )
    scores = similarity(*one)
    assert float(agreement.judge(of, scores, torch.nn.Identity())) == pytest.approx(0, abs=1e-6)
    assert float(agreement.judge(of, scores.flip(-1), torch.nn.Identity())) > 1e-3


@card("clamr")
def test_token_max_bounds_modality_max_and_noise_lowers_only_averages():
    embedder = shared("clamr")
    task = embedder.model.answers.batches.tasks[0]
    queries = embedder.embed_contents([task.asks(pair, 0, 0) for pair in few()])
    documents = embedder.embed_contents([task.holds(pair, 0, 0) for pair in few()])
    best = modality_maxsim(queries, documents)
    assert bool((similarity(queries, documents) >= best - 1e-5).all())
    pictures = embedder.embed_contents([TEXT_TO_PICTURE.holds(pair, 0, 0) for pair in few()])
    only = replace(pictures, modality=torch.full_like(pictures.modality, int(Modality.IMAGE)))
    torch.testing.assert_close(similarity(queries, only), modality_maxsim(queries, only))
    noise = torch.full_like(documents.vectors[:, :1], -1.0)
    spoken = torch.full_like(documents.modality[:, :1], int(Modality.SPEECH))
    louder = Multi(
        vectors=torch.cat([documents.vectors, noise], 1),
        valid=torch.cat([documents.valid, torch.ones_like(documents.valid[:, :1])], 1),
        modality=torch.cat([documents.modality, spoken], 1),
    )
    with_noise = modality_maxsim(queries, louder)
    assert bool((with_noise >= best - 1e-5).all())


@card("clamr")
def test_what_is_said_changes_what_is_written():
    embedder = shared("clamr")
    written = words("blue square", Modality.DOCUMENT)
    rows = []
    for said in ("red circle", "green cross"):
        states = tokens(embedder, words(said, Modality.SPEECH), written)
        rows.append(states.tokens[states.modality == int(Modality.DOCUMENT)])
    assert rows[0].shape == rows[1].shape and not torch.allclose(*rows)


@card("clamr")
def test_a_positive_scores_as_the_asked_modality_does():
    vectors = torch.eye(3)[None]
    modality = torch.tensor([[int(Modality.IMAGE), int(Modality.DOCUMENT), int(Modality.IMAGE)]])
    document = Multi(vectors=vectors, valid=torch.ones(1, 3, dtype=torch.bool), modality=modality)
    documents = joined([document, replace(document, vectors=-vectors)])
    queries = Multi.of([torch.eye(3)[:1], torch.eye(3)[1:2]])
    sides = [Read(seen={}, reduced={}, made={}, outputs=(one,)) for one in (queries, documents)]
    of = Round(
        queries=sides[0],
        candidates=sides[1],
        targets=torch.tensor([[1.0, 0.0], [1.0, 0.0]]),
        kinds=torch.zeros(2).long(),
        groups=torch.zeros(2).long(),
        about=torch.full((2,), int(Modality.IMAGE)),
    )
    judge = ModalityAware(contrast=Contrastive(temperature=1.0)).build({})
    # The first query is answered by an image (score 1 against 0), the second by writing alone,
    # so that its own document scores 0 as an image.
    expected = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    found = judge(of, torch.nn.Identity())["contrast"]
    torch.testing.assert_close(found, Contrastive(temperature=1.0).judge(expected, of.targets))
