"""Cards of tiir, whose pictures are of any size, and omnibind, whose frozen spaces are bound."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from tests.embedders.few import (
    card,
    few,
    fresh,
    losses,
    nano,
    shared,
    taken,
    teacher,
    texts,
)
from torch import nn

from chiasm.compression import NoCompression, PooledTokens
from chiasm.embedders.building import prepare
from chiasm.embedders.contents import Content, shown, words
from chiasm.embedders.folder import open_folder, save
from chiasm.embedders.judging import judge
from chiasm.embedders.pages import Page, Pages, PageTask
from chiasm.embedders.sized import at_side
from chiasm.embedders.stages.align import Round
from chiasm.embedders.stages.binding import Bind
from chiasm.embedders.stages.bound import Bound, BoundSpaces, Router, Space, mixed
from chiasm.embedders.stages.schedules import AS_ANSWERED, EveryPair, RandomSize, SameSizes
from chiasm.embedders.states import Read, States
from chiasm.embedders.teaching import Teacher, round_losses
from chiasm.errors import Misuse
from chiasm.objectives import Contrastive
from chiasm.retrieval.embedding import Single
from chiasm.spec import geometry
from chiasm.spec.embedder import registered_embedders
from chiasm.stream import Features, Modality
from chiasm.training import Budget

PICTURES = tuple(shown(pair.picture) for pair in few())
TEXT = words("a large red circle")


def vectors(embedder, *contents):
    return embedder.embed_contents([Content(parts=parts) for parts in contents]).vectors


def pooled(tokens, side):
    grid = int(tokens.shape[1] ** 0.5)
    config = PooledTokens(frames=1, kept_frames=1, side=side)
    return config.build(tokens.shape[2]).keep(Features(tokens, (grid, grid))).tokens


@card("tiir")
def test_sides_of_24_12_6_and_1():
    tokens = torch.randn(3, 576, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(pooled(tokens, 24), tokens)
    torch.testing.assert_close(pooled(pooled(tokens, 12), 6), pooled(tokens, 6))
    torch.testing.assert_close(pooled(tokens, 1)[:, 0], tokens.mean(1))


@card("tiir")
def test_an_average_document_is_22_times_shorter_at_a_side_of_3():
    """4.97 pictures and 86 words' tokens."""
    (tower,) = registered_embedders()["tiir"].at("paper").encode
    counts = {
        side: 4.97 * geometry(tower.encoder.at_side(side).answers, (480, 640)).placeholders + 86
        for side in (24, 3)
    }
    assert int(counts[24]) == 2948
    assert int(counts[3]) == 130
    assert counts[24] / counts[3] == pytest.approx(22.6, abs=0.05)


@card("tiir")
def test_a_side_is_chosen_when_reading_and_the_whole_grid_is_no_compression():
    embedder = shared("tiir")
    answers = embedder.model.answers
    (tower,) = answers.encode
    inner = replace(tower.encoder.answers, compression=NoCompression())
    whole = replace(tower, encoder=replace(tower.encoder, answers=inner))
    plain = fresh(replace(answers, encode=(whole,)))
    plain.model.load_state_dict(embedder.model.state_dict())
    page = (PICTURES[0], TEXT, PICTURES[1])
    assert torch.equal(vectors(at_side(embedder, 4), page), vectors(plain, page))
    rows = {
        side: at_side(embedder, side).given([Content(parts=page)]).inputs["item"][1].inputs
        for side in (1, 2, 3, 4)
    }
    count = rows[1].ids.shape[1]
    assert [one.ids.shape[1] - count for one in rows.values()] == [0, 6, 16, 30]
    assert torch.equal(vectors(at_side(embedder, 2), page), vectors(embedder, page))
    assert torch.equal(vectors(at_side(plain, 3), page), vectors(at_side(embedder, 3), page))


@card("tiir")
def test_a_side_that_there_is_not_is_refused():
    with pytest.raises(Misuse, match="16 tokens cannot be averaged to 5 x 5"):
        at_side(shared("tiir"), 5)
    with pytest.raises(Misuse, match="0 x 0"):
        at_side(shared("tiir"), 0)
    if "align" in registered_embedders():
        with pytest.raises(Misuse, match="tower image reads pictures at one size"):
            at_side(shared("align"), 2)


@card("tiir")
def test_a_side_is_saved(tmp_path):
    sized = at_side(shared("tiir"), 3)
    folder = save(sized, tmp_path / "kept", slug="tiir", scale="nano")
    again = open_folder(folder).embedder
    assert torch.equal(vectors(again, (PICTURES[0], TEXT)), vectors(sized, (PICTURES[0], TEXT)))


@card("tiir")
def test_parts_keep_their_order_and_other_places_change_the_embedding():
    embedder = shared("tiir")
    first, second = PICTURES[:2]
    said = [(first, TEXT, second), (second, TEXT, first), (TEXT, first, second)]
    told, turned, behind = vectors(embedder, *said)
    assert not torch.allclose(told, turned, atol=1e-3)
    assert not torch.allclose(told, behind, atol=1e-3)
    states = embedder.model(embedder.given([Content(parts=said[0])])).seen["item"]
    kinds = states.modality[0].tolist()
    count = len(kinds) - 9
    text = int(Modality.TEXT)
    assert kinds == [int(Modality.IMAGE)] * 4 + [text] * count + [int(Modality.IMAGE)] * 4 + [text]
    torch.testing.assert_close(vectors(embedder, said[2])[0], behind, rtol=0, atol=1e-4)


def shuffled(page: Page) -> Page:
    """The same names in their places, each picture in another picture's."""
    places = [at for at, asked in enumerate(page.asked) if asked]
    members = list(page.members)
    for at, other in zip(places, places[1:] + places[:1], strict=True):
        members[at] = page.members[other]
    return Page(tuple(members), page.asked)


class Shuffling(PageTask):
    """Asks with pictures in other places."""

    def asks(self, pair, turn, number):
        return super().asks(shuffled(pair), turn, number)


@card("tiir")
def test_other_places_of_pictures_lower_recall(tmp_path):
    """Taught pages [picture, name, picture], each beside the page with its pictures exchanged."""
    pairs = few(23)
    pages = []
    for at in range(0, 18, 3):
        a, b, c = pairs[at : at + 3]
        pages += [Page((a, b, c), (True, False, True)), Page((c, b, a), (True, False, True))]
    answers = registered_embedders()["tiir"].at("nano")
    (stage, _) = answers.teaching.stages
    answers = replace(
        answers,
        teaching=replace(answers.teaching, stages=(replace(stage, share=1.0),)),
        batches=replace(answers.batches, pages=Handed(tuple(pages)), sizes=AS_ANSWERED),
    )
    embedder = prepare(answers, texts(), 0)
    budget = Budget(samples=50 * len(pages))
    Teacher(embedder=embedder, pairs=pairs[:12], budget=budget, out=tmp_path).run()
    (told,), (turned,) = (
        judge(embedder, pages, (task,)) for task in (PageTask(), Shuffling(query=()))
    )
    assert told.recalls[0].share >= 0.9
    assert turned.recalls[0].share <= 0.3


class Handed:
    """Pages as they are."""

    def __init__(self, pages):
        self.pages = pages

    def of(self, pairs):
        return self.pages


@card("tiir")
def test_the_loss_of_every_pair_is_the_mean_of_all_infonces(tmp_path):
    embedder = nano("tiir")
    batch = taken(embedder, tmp_path)
    embedder.model.eval()
    sizes = (1, 2, 4)
    contrast = Contrastive(temperature=0.07)
    with torch.no_grad():
        sides = [
            [at_side(embedder, n).embed_contents(contents).unit() for n in sizes]
            for contents in (batch.queries, batch.documents)
        ]
        loss = {
            (n, m): contrast.judge(sides[0][a] @ sides[1][b].T, batch.targets.float())
            for a, n in enumerate(sizes)
            for b, m in enumerate(sizes)
        }
    found = partial(of_schedule, embedder, batch)
    torch.testing.assert_close(found(EveryPair(sizes=sizes)), torch.stack([*loss.values()]).mean())
    weighed = SameSizes(sizes=sizes, weights=(0.5, 0.25, 2.0))
    told = 0.5 * loss[1, 1] + 0.25 * loss[2, 2] + 2 * loss[4, 4]
    torch.testing.assert_close(found(weighed), told)
    drawn = {round(found(RandomSize(sizes=sizes), seed).item(), 4) for seed in range(12)}
    assert drawn == {round(loss[n, n].item(), 4) for n in sizes}


@card("tiir")
def test_what_is_frozen_stays_so_behind_mining(tmp_path):
    """Batch norms of a frozen encoder, in a stage that begins with mining."""
    answers = registered_embedders()["tiir"].at("nano")
    (stage, _) = answers.teaching.stages
    still = replace(stage, share=1.0, trained=("item.decoder",))
    embedder = fresh(
        replace(
            answers,
            teaching=replace(answers.teaching, stages=(still,)),
            batches=replace(answers.batches, sizes=AS_ANSWERED, mined_from=0),
        )
    )
    before = {name: one.clone() for name, one in embedder.model.state_dict().items()}
    taught = teacher(embedder, tmp_path)
    taught.run()
    assert taught.steps == 1
    moved = {n for n, one in embedder.model.state_dict().items() if not torch.equal(before[n], one)}
    assert moved and all(".decoder." in name for name in moved)


def of_schedule(embedder, batch, schedule, seed=0):
    """The batch's loss under another schedule."""
    answers = embedder.model.answers
    model = embedder.model.under(replace(answers, batches=replace(answers.batches, sizes=schedule)))
    torch.manual_seed(seed)
    return round_losses(replace(embedder, model=model), batch)["contrast"].detach()


def test_pages_are_asked_for_by_their_other_half():
    pairs = few(13)
    pages = Pages(most=3).of(pairs)
    assert len(pages) == 13 and pages == Pages(most=3).of(pairs)
    assert {len(page.members) for page in pages} == {1, 2, 3}
    for page, twin in zip(pages[::2], pages[1::2], strict=False):
        if len(page.members) == 1:
            assert twin.members != page.members
        else:
            assert (twin.members, twin.asked) == (page.members[::-1], page.asked[::-1])
        assert len({member.concept for member in page.members}) == len(page.members)
        for asked, held in zip(page.query(0), page.document(0), strict=True):
            assert bool(asked.text) != bool(held.text)
    assert PageTask().asks(pairs[0], 0, 0).parts == (words(pairs[0].texts[0]),)


def test_no_document_holds_a_part_of_a_query_of_the_same_name():
    """What is looked for is never found by being the same picture or the same words."""
    named = [replace(pair, texts=few(1)[0].texts) for pair in few(7)]
    pages = Pages(most=3).of([*few(23), *named])
    for page in pages:
        for other in pages:
            if page.texts == other.texts:
                assert not {*page.query(0)} & {*other.document(0)}


@card("tiir")
def test_pages_of_other_lengths_beside_it_change_nothing():
    embedder = shared("tiir")
    task = PageTask()
    contents = [task.holds(page, 0, 0) for page in Pages(most=3).of(few(11))]
    together = embedder.embed_contents(contents).vectors
    alone = torch.cat([embedder.embed_contents([one]).vectors for one in contents])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-4)


# omnibind


def read(embedder, *contents) -> Read:
    return embedder.model(embedder.given([Content(parts=parts) for parts in contents]))


def fused(of: Read) -> Bound:
    assert isinstance(of.fused, Bound)
    return of.fused


MIXED = ((TEXT,), (PICTURES[0],), (words("a joker"),), (PICTURES[1], TEXT))


@card("omnibind")
def test_the_weights_of_a_router_sum_to_1():
    with torch.no_grad():
        bound = fused(read(shared("omnibind"), *MIXED))
    for kind, own in (("words", (0, 2, 3)), ("pictures", (1, 3))):
        sums = bound.weights[kind].sum(-1)
        expected = torch.zeros(4)
        expected[list(own)] = 1
        torch.testing.assert_close(sums, expected)
    # softmax of sigmoids: a picture's weights are within a factor of e.
    pictures = bound.weights["pictures"][[1, 3]]
    assert float(pictures.amax(-1).div(pictures.amin(-1)).max()) < torch.e


@card("omnibind")
def test_with_a_uniform_router_the_item_is_the_plain_average():
    embedder = nano("omnibind")
    model = embedder.model.eval()
    for router in model.fusion.routers.values():
        nn.init.zeros_(router[-1].weight)
        nn.init.zeros_(router[-1].bias)
    with torch.no_grad():
        found = read(embedder, *MIXED)
        bound = fused(found)
        expected = torch.zeros_like(found.embedding.vectors)
        for kind, entries in bound.projected.items():
            for item in range(len(MIXED)):
                own = bound.has[kind][item]
                if own.any():
                    mean = entries[item, own].mean((0, 1))
                    expected[item] += nn.functional.normalize(mean, dim=-1)
    torch.testing.assert_close(found.embedding.vectors, expected)


@card("omnibind")
def test_no_gradient_reaches_an_expert_and_each_loss_teaches_its_own_part(tmp_path):
    embedder = nano("omnibind")
    model = embedder.model.train()
    batch = taken(embedder, tmp_path)
    taught = {"binding": "projectors", "contrast": "routers", "decoupling": "routers"}
    for name, part in taught.items():
        model.zero_grad()
        losses(embedder, batch)[name].backward()
        received = {n for n, p in model.named_parameters() if p.grad is not None and p.grad.any()}
        assert received and all(n.startswith(f"fusion.{part}.") for n in received), name


@card("omnibind")
def test_without_an_expert_the_others_weights_sum_to_1():
    embedder = shared("omnibind")
    model = embedder.model
    with torch.no_grad():
        whole = read(embedder, (PICTURES[0],), (PICTURES[1],))
        made = {name: one for name, one in whole.made.items() if name != "colours_pictures"}
        less = model.fusion(made, whole.seen)
        bound = fused(whole)
        entries, weights = bound.projected["pictures"].mean(2), bound.weights["pictures"]
        towers = model.answers.fuse.routers[1].towers
        kept = [at for at, tower in enumerate(towers) if tower != "colours_pictures"]
        shares = weights[:, kept] / weights[:, kept].sum(-1, keepdim=True)
        mean = torch.einsum("is,isw->iw", shares, entries[:, kept])
    torch.testing.assert_close(less.tokens[:, 0], nn.functional.normalize(mean, dim=-1))
    assert less.has["pictures"].sum(-1).tolist() == [2, 2]
    assert not torch.allclose(less.tokens, whole.fused.tokens, atol=1e-4)


@card("omnibind")
def test_words_that_name_no_colour_are_heard_without_the_space_of_colours():
    bound = fused(read(shared("omnibind"), (TEXT,), (words("a joker"),)))
    place = shared("omnibind").model.answers.fuse.routers[0].towers.index("colours_words")
    assert bound.has["words"][:, place].tolist() == [True, False]
    kept = bound.has["words"][1].float() * bound.weights["words"][1]
    entries = bound.projected["words"][1].mean(1)
    alone = nn.functional.normalize(kept @ entries / kept.sum(), dim=-1)
    torch.testing.assert_close(bound.tokens[1, 0], alone)


def test_nothing_present_gives_zeros_and_keeps_gradients_finite():
    weights = torch.full((2, 3), 1 / 3, requires_grad=True)
    has = torch.tensor([[False] * 3, [True, False, True]])
    out = mixed(torch.randn(2, 3, 2, 5), weights, has)
    assert not out[0].any() and torch.allclose(out[1].norm(), torch.ones(()))
    out.sum().backward()
    assert bool(weights.grad.isfinite().all())


@card("omnibind")
def test_published_projectors_have_their_sizes():
    fuse = registered_embedders()["omnibind"].at("paper").fuse
    assert (fuse.projectors, fuse.hidden, fuse.routing) == (7, 2048, (512, 100))
    widths = {t: 1024 for one in fuse.spaces for t in one.towers}
    widths |= {"eva_18b_words": 1536, "eva_18b_pictures": 1536}
    with torch.device("meta"):
        made = fuse.build(widths)
    each = (1024 * 2048 + 2048) + (2048 * 1536 + 1536) + 2 * (2048 + 1536)
    assert sum(p.numel() for p in made.projectors["dfn_h"].parameters()) == 7 * each
    assert "eva_18b" not in made.projectors
    assert [router.gain for router in fuse.routers] == [10.0, 1.0]
    assert len(fuse.routers[0].towers) == 10 and len(fuse.routers[1].towers) == 5


def toy(**changes):
    """Two spaces of words and pictures: `a` the hub, `b` of sounds."""
    spaces = (
        Space(name="a", towers=("a_words", "a_pictures")),
        Space(name="b", towers=("b_words", "b_pictures"), source=Modality.AUDIO),
    )
    routers = (
        Router(
            name="words",
            towers=("a_words", "b_words"),
            reads=("a_words", "b_words"),
            gain=10.0,
            by_source=True,
        ),
        Router(name="pictures", towers=("a_pictures", "b_pictures"), reads=("a_pictures",)),
    )
    sizes = dict(projectors=2, hidden=64, routing=(32, 16)) | changes
    return BoundSpaces(spaces=spaces, hub="a", routers=routers, **sizes)


WIDTH = 13


def states(of):
    return States.all_of(of.unsqueeze(1), 0)


def test_what_is_blended_into_the_hub_is_a_tenth_of_its_entry():
    plain = toy()
    words_router, other = plain.routers
    alone = replace(words_router, towers=("a_words",), reads=("a_words",), blended="b_words")
    fusion = replace(plain, routers=(alone, other)).build(
        dict.fromkeys(("a_words", "a_pictures", "b_words", "b_pictures"), WIDTH)
    )
    fusion.eval()
    generator = torch.Generator().manual_seed(3)
    a, b = (torch.randn(4, WIDTH, generator=generator) for _ in range(2))
    a, b = nn.functional.normalize(a, dim=-1), nn.functional.normalize(b, dim=-1)
    with torch.no_grad():
        bound = fusion({"a_words": states(a), "b_words": states(b)}, {})
        entry = 0.9 * a + 0.1 * fusion.project("b", b).mean(1)
        without = fusion({"a_words": states(a)}, {})
    torch.testing.assert_close(bound.hubs["words"], nn.functional.normalize(entry, dim=-1))
    torch.testing.assert_close(without.hubs["words"], a)


def conflicting(count, turn, generator, *, clean=False):
    """Captions that one space reads rightly, the other as the next item's; and their pictures."""
    a = nn.functional.normalize(torch.randn(count, WIDTH, generator=generator), dim=-1)
    sound = torch.rand(count, generator=generator) < 0.5
    seen, heard = a, a @ turn
    if not clean:
        seen = torch.where(sound[:, None], a.roll(1, 0), a)
        heard = torch.where(sound[:, None], a, a.roll(1, 0)) @ turn
    seen = seen.clone()
    seen[:, 0] += torch.where(sound, 0.7, -0.7)  # how a caption of sounds is worded
    about = torch.where(sound, int(Modality.AUDIO), int(Modality.IMAGE))
    said = {"a_words": states(seen), "b_words": states(heard)}
    return said, {"a_pictures": states(a), "b_pictures": states(a @ turn)}, about


def gave(fusion, made) -> Read:
    bound = fusion(made, {})
    outputs = (Single(vectors=bound.tokens[:, 0]),)
    return Read(seen={}, reduced={}, made=made, outputs=outputs, fused=bound)


def cosines(queries, documents):
    return queries.unit() @ documents.unit().T


def test_words_routed_by_their_source_beat_fixed_weights_where_spaces_conflict():
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    turn = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=generator)).Q
    config = toy()
    towers = dict.fromkeys(("a_words", "a_pictures", "b_words", "b_pictures"), WIDTH)
    fusion = config.build(towers)
    judge = Bind(fusion=config, contrast=Contrastive(temperature=0.1)).build(towers)
    count = 64
    for part, clean in (("projectors", True), ("routers", False)):
        own = getattr(fusion, part)
        fusion.eval()
        own.train()
        adam = torch.optim.Adam(own.parameters(), lr=3e-3)
        for _ in range(120):
            said, pictures, about = conflicting(count, turn, generator, clean=clean)
            of = Round(
                queries=gave(fusion, said),
                candidates=gave(fusion, pictures),
                targets=torch.eye(count),
                kinds=torch.ones(count).long(),
                groups=torch.arange(count),
                about=about,
            )
            adam.zero_grad()
            torch.stack([*judge(of, cosines).values()]).sum().backward()
            adam.step()
    fusion.eval()
    with torch.no_grad():
        said, pictures, _ = conflicting(200, turn, generator)
        queries, documents = gave(fusion, said), gave(fusion, pictures)
        words_bound = fused(queries)
        entries, has = words_bound.projected["words"], words_bound.has["words"]

        def right(of):
            found = of @ documents.embedding.unit().T
            return float((found.argmax(-1) == torch.arange(200)).float().mean())

        routed = right(queries.embedding.unit())
        fixed = [
            right(mixed(entries, torch.tensor([[w, 1 - w]]).expand(200, -1), has))
            for w in torch.linspace(0, 1, 11).tolist()
        ]
    assert routed > 0.9
    assert routed > max(fixed) + 0.2
