"""The card of tiir: pages in their own order, pictures of any size."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from tests.embedders.few import (
    card,
    few,
    fresh,
    nano,
    shared,
    taken,
    teacher,
    texts,
)

from chiasm.compression import NoCompression, PooledTokens
from chiasm.embedders.building import prepare
from chiasm.embedders.contents import Content, shown, words
from chiasm.embedders.folder import open_folder, save
from chiasm.embedders.judging import judge
from chiasm.embedders.pages import Page, Pages, PageTask
from chiasm.embedders.sized import at_side
from chiasm.embedders.stages.schedules import AS_ANSWERED, EveryPair, RandomSize, SameSizes
from chiasm.embedders.teaching import Teacher, round_losses
from chiasm.errors import Misuse
from chiasm.objectives import Contrastive
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
    assert taught.position.step == 1
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
