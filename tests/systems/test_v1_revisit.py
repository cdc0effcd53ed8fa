"""The card of 116 v1-revisit; its head alone is tested in `tests/heads`."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import Permuted, builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import HOST, Picture, Text, batch, close, cut, fresh, host_of, ragged, real, said
from tests.tiny import tiny as tiny_of

from chiasm.assemble import build
from chiasm.backbone import GrowingCache, StaticCache
from chiasm.cost import count as cost
from chiasm.data import load
from chiasm.data.collate import Collator
from chiasm.data.templates import named
from chiasm.data.tokenizer import fit_tokenizer
from chiasm.decoding import Sampling, generate
from chiasm.errors import Misuse
from chiasm.heads import TextHead
from chiasm.spec import Scale
from chiasm.stream import Inputs, Modality, Role, Rows
from chiasm.stream.rule import KeyRows, QueryRows
from chiasm.visibility import Causal, Everything, Sight

SLUG = "v1-revisit"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")

V, ROWS = HOST.vocabulary, 15
"""Words, and image rows of a tiny picture."""
PROMPT = (said(3, 1), Picture(1, 30, 50), said(4, 2), said(1, 3, Role.TAG))
TWO = (said(2, 8), Picture(2, 21, 17), said(3, 9), Picture(3, 64, 64), said(2, 10))


def answered(*ids: int):
    """The prompt, answered by these ids."""
    return (*PROMPT, Text(ids, Role.ASSISTANT))


def tiny():
    return tiny_of(SLUG)


def model():
    return fresh(tiny()).requires_grad_(False)


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
@pytest.mark.parametrize("place", [0, 7, ROWS - 1])
def test_pointing_at_a_class_feeds_exactly_that_rows_embedding(place):
    """Bit for bit, at once and from a cache; words stay words."""
    made, inputs = model(), batch(tiny(), [answered(5, V + place, 6)])
    stream, shown = made.stream(inputs), inputs.source[0] >= 0
    entered = stream.embeddings[0][shown]
    assert len(entered) == ROWS
    assert torch.equal(stream.embeddings[0, -2], entered[place])
    assert torch.equal(stream.embeddings[0, -1], made.decoder.embed_tokens.weight[6])
    cache, rows = GrowingCache(), inputs.ids.shape[1]
    made.hidden(cut(inputs, slice(0, rows - 2), media=True), cache=cache)
    later = made.stream(cut(inputs, slice(rows - 2, rows), media=False), cache=cache)
    assert torch.equal(later.embeddings[0, 0], entered[place])


@lawful
def test_classes_run_over_all_images_of_a_sample():
    made, tail = model(), (said(1, 3, Role.TAG), Text((V + 4, V + ROWS + 4), Role.ASSISTANT))
    inputs = batch(tiny(), [(*TWO, *tail), answered(V + 4)])
    stream = made.stream(inputs)
    entered = stream.embeddings[0][inputs.source[0] >= 0]
    last = int(real(inputs)[0].sum())
    assert torch.equal(stream.embeddings[0, last - 2], entered[4])
    assert torch.equal(stream.embeddings[0, last - 1], entered[ROWS + 4])
    logits = made(inputs)
    opened = logits[..., V:].isfinite().sum(-1)
    text = (inputs.table.modality == 0) & real(inputs)
    assert opened[0][text[0]].tolist()[-3:] == [2 * ROWS] * 3
    assert opened[1][text[1]].tolist() == [0] * 3 + [ROWS] * 6


@lawful
def test_permuting_image_tokens_permutes_their_scores():
    """Where image rows see one another and no position tells them apart, nothing else changes."""
    rows = Rows.of(Modality.IMAGE)
    picture = QueryRows(rows) & KeyRows(rows)
    answers = replace(
        tiny(),
        host=replace(tiny().host, positions="none"),
        visibility=Sight(sequence=Causal() | picture, memory=Everything()),
    )
    made, inputs = fresh(answers).requires_grad_(False), batch(answers, [answered(5, 6)])
    order = torch.randperm(ROWS, generator=torch.Generator().manual_seed(4))
    before = made(inputs)
    made.encoder = Permuted(made.encoder, order)
    after = made(inputs)
    text = inputs.table.modality[0] == 0
    close(after[0][text][:, :V], before[0][text][:, :V], 1e-5)
    asked = after[0][text][3:, V : V + ROWS]
    close(asked, before[0][text][3:, V : V + ROWS][:, order], 1e-5)
    assert float((asked - asked[:, :1]).abs().max()) > 1e-3


@lawful
def test_without_an_image_no_class_is_open_and_words_are_the_hosts():
    made = model()
    answers = replace(tiny(), head=TextHead())
    plain, state = fresh(answers).requires_grad_(False), made.state_dict()
    plain.load_state_dict({name: state[name] for name in plain.state_dict()})
    texts = batch(tiny(), [(said(7, 1),), (said(3, 2),)])
    logits = made(texts)
    assert torch.equal(logits[..., :V], plain(texts))
    assert bool(logits[..., V:].isneginf().all())
    assert torch.equal(logits, host_of(made)(texts))
    shown = batch(tiny(), ragged())
    assert torch.equal(made(shown)[..., :V], plain(shown))
    with pytest.raises(Misuse, match="image row 3, but no image was shown"):
        made(batch(tiny(), [(said(4, 1), Text((V + 3,)))]))


@lawful
def test_an_id_of_no_row_is_refused_in_one_line():
    made = model()
    with pytest.raises(Misuse, match=f"image row {ROWS}, but {ROWS} rows were shown"):
        made(batch(tiny(), [answered(V + ROWS)]))
    with pytest.raises(Misuse, match="image row 3"):
        made(batch(tiny(), [(Text((V + 3,)), Picture(1, 30, 50), said(2, 4))]))
    few = replace(tiny(), head=replace(tiny().head, pointers=ROWS))
    with pytest.raises(Misuse, match=f"{2 * ROWS} image rows are shown, but .* {ROWS} pointers"):
        fresh(few)(batch(few, [TWO]))


@lawful
def test_two_square_maps_are_added():
    answers = SYSTEM.at(Scale.PAPER)
    both, plain = on_meta(answers), on_meta(replace(answers, head=TextHead()))
    width = answers.host.width
    assert count(both) - count(plain) == 2 * (width**2 + width) == 25_697_280
    assert count(both, "head") - count(plain, "head") == 25_697_280


@lawful
@pytest.mark.parametrize("kind", [GrowingCache, lambda: StaticCache(200)])
@pytest.mark.parametrize("side", ["right", "left"])
def test_cached_decoding_equals_uncached(kind, side):
    """One id at a time, pointers among them, after prompts of unequal length."""
    made = model()
    ids = (V + 3, 5, V + 14, V + 3, 6)
    longer = (said(6, 4), *PROMPT, Text(ids, Role.ASSISTANT))
    inputs = batch(tiny(), [answered(*ids), longer], side=side)
    expected, cache, rows = made(inputs), kind(), inputs.ids.shape[1]
    ends = range(rows - 5, rows + 1)
    starts = [0, *ends[:-1]]
    got = [
        made(cut(inputs, slice(start, end), media=start == 0), cache=cache)
        for start, end in zip(starts, ends, strict=True)
    ]
    close(torch.cat(got, 1)[real(inputs)], expected[real(inputs)], 1e-5)


def leaning(made, strength: float):
    """The model with its words' scores lowered, so that it points."""
    emit = made.head.emit
    made.head.emit = lambda read: emit(read) - strength * (torch.arange(V + 64) < V)
    return made


@lawful
@pytest.mark.parametrize("sampling", [Sampling(), Sampling(temperature=1.0, top_p=0.9, seed=3)])
def test_the_decoding_loop_says_and_reads_pointers(sampling):
    """Step by step with a cache, what a whole pass over what was said so far says next."""
    made = leaning(model(), 6.0 if sampling.temperature else 2.0)
    prompts = [PROMPT, (said(5, 4), Picture(3, 64, 64), said(1, 3, Role.TAG))]
    inputs = batch(tiny(), prompts, side="left")
    got = generate(made, inputs, max_new=6, sampling=sampling).ids[:, 0]
    assert bool((got >= V).any()) and bool((got < V + ROWS).all())
    generator = sampling.generator(torch.device("cpu"))
    for step in range(6):
        so_far = [
            (*p, Text(tuple(ids[:step].tolist()), Role.ASSISTANT))
            for p, ids in zip(prompts, got, strict=True)
        ]
        logits = made(batch(tiny(), so_far, side="left"))[:, -1]
        assert torch.equal(sampling.choose(logits, generator), got[:, step])


@lawful
def test_a_pointer_is_taught_as_a_word_is():
    """The loss falls on answers of pointers, and the pointed row's score rises."""
    made = fresh(tiny()).train()
    inputs = batch(tiny(), [answered(V + 4, 5, V + 11)])
    optimiser = torch.optim.AdamW(made.parameters(), lr=1e-2)
    first = made.loss(inputs)
    for _ in range(12):
        optimiser.zero_grad()
        made.loss(inputs).backward()
        optimiser.step()
    assert made.loss(inputs).item() < 0.5 * first.item()
    said_here = made.eval()(inputs)[0][inputs.labels[0] >= 0].argmax(-1)
    assert said_here.tolist() == [V + 4, 5, V + 11]


@lawful
def test_the_cache_holds_keys_and_embeddings_of_image_rows():
    answers = SYSTEM.at(Scale.PAPER)
    plain = replace(answers, head=TextHead())
    one, other = cost(answers, text=64), cost(plain, text=64)
    rows = one.rows - 64
    assert one.kv_bytes - other.kv_bytes == 2 * rows * 2 * answers.host.width
    assert one.decode_flops - other.decode_flops == 2 * (
        answers.host.width**2 + rows * answers.host.width
    )
    cache, inputs = GrowingCache(), batch(tiny(), [PROMPT])
    model().hidden(inputs, cache=cache)
    held = [t for key, ts in cache.memory.items() for t in ts]
    assert sorted(tuple(t.shape) for t in held) == [(1, ROWS, HOST.width)] * 2
    step = Inputs(
        ids=torch.tensor([[V + 1]]),
        table=inputs.table.cut(slice(-1, None)),
        source=torch.tensor([[-1]]),
    )
    model().hidden(step, cache=cache)
    assert sum(t.numel() for ts in cache.memory.values() for t in ts) == 2 * ROWS * HOST.width


@lawful
def test_lookups_teach_the_rows_of_the_cells_on_the_way():
    """Each taught pointer is read as the embedding of the cell's own patch."""
    answers = SYSTEM.at(Scale.NANO)
    examples = load("lookups", "test")[:2]
    texts = [text for e in examples for t in e.turns for text in (t.question, t.answer)]
    tokenizer = fit_tokenizer(texts, answers.host.vocabulary)
    inputs = Collator(answers, named(answers.template), tokenizer).batch(examples, teach=True)
    made, first = build(answers).eval().requires_grad_(False), answers.host.vocabulary
    embeddings = made.stream(inputs).embeddings
    for sample, example in enumerate(examples):
        entered = embeddings[sample][inputs.source[sample] >= 0]
        cells = [int(p.y * 4) * 4 + int(p.x * 4) for t in example.turns for p in t.points]
        rows = (inputs.ids[sample] >= first).nonzero().flatten()
        assert torch.equal(embeddings[sample][rows], entered[cells])
        labels = inputs.labels[sample]
        assert (labels[labels >= first] - first).tolist() == cells
    assert bool(made.loss(inputs).isfinite())
