"""The card of omnibind: frozen spaces bound to a hub, and weighed."""

from dataclasses import replace

import torch
from tests.embedders.few import (
    card,
    few,
    losses,
    nano,
    shared,
    taken,
)
from torch import nn

from chiasm.embedders.contents import Content, shown, words
from chiasm.embedders.stages.align import Round
from chiasm.embedders.stages.binding import Bind
from chiasm.embedders.stages.bound import Bound, BoundSpaces, Router, Space, mixed
from chiasm.embedders.states import Read, States
from chiasm.objectives import Contrastive
from chiasm.retrieval.embedding import Single
from chiasm.spec.embedder import registered_embedders
from chiasm.stream import Modality

PICTURES = tuple(shown(pair.picture) for pair in few())
TEXT = words("a large red circle")


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
