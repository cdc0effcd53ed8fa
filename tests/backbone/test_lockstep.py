"""Two stacks in lock step: what meets at a link, and what does not."""

from dataclasses import replace

import pytest
import torch
from tests.tiny import HOST, close
from torch import nn

from chiasm.backbone import GrowingCache, LockStep, Stack
from chiasm.experts import SharedWeights
from chiasm.spec.slots import Slots
from chiasm.stream import Memory, Modality, RowPlan, Stream, TokenTable
from chiasm.visibility import Causal, Everything, dense_permission, materialise

TOWER = replace(HOST, width=23, depth=4, heads=4, kv_heads=2, head_width=6, ff_width=31)


class Adding(nn.Module):
    """Adds the mean of the other stack's rows, mapped to this width; keeps it for cached steps."""

    def __init__(self, width: int, other: int) -> None:
        super().__init__()
        self.map = nn.Linear(other, width)

    def forward(self, hidden, reading):
        if reading.memory is not None:
            mean = reading.memory.tokens.mean(1, keepdim=True)
            if reading.cache is not None:
                reading.cache.memory[reading.layer] = (mean,)
        elif reading.cache is not None and reading.layer in reading.cache.memory:
            (mean,) = reading.cache.memory[reading.layer]
        else:
            return hidden
        return hidden + self.map(mean)


def made(links=((0, 1), (2, 2))) -> LockStep:
    torch.manual_seed(0)

    def stack(host, other, places) -> Stack:
        return Stack(
            host,
            rules=[Causal()] * host.depth,
            plans=[RowPlan()] * host.depth,
            memory_rule=Everything(),
            permit=materialise,
            permit_masked=dense_permission,
            weights=SharedWeights().weights(host),
            slots=Slots(before={at: Adding(host.width, other.width) for at in places}),
        )

    return LockStep(
        HOST,
        stack(HOST, TOWER, [i for i, _ in links]),
        SharedWeights().weights(HOST),
        tower_host=TOWER,
        tower=stack(TOWER, HOST, [j for _, j in links]),
        tower_weights=SharedWeights().weights(TOWER),
        links=links,
    )


def stream(*, media: bool = True) -> Stream:
    generator = torch.Generator().manual_seed(1)
    text = torch.randn(2, 5, HOST.width, generator=generator)
    rows = TokenTable.text(torch.ones(2, 5, dtype=torch.bool))
    tokens = torch.randn(2, 3, TOWER.width, generator=generator)
    kinds = torch.full((2, 3), int(Modality.IMAGE))
    own = replace(TokenTable.text(torch.ones(2, 3, dtype=torch.bool)), modality=kinds)
    return Stream(text, rows, Memory(tokens, own) if media else None)


def test_both_read_the_states_of_before():
    """By hand: alone to the link, exchange, on to the next, in both towers."""
    both, given = made(), stream()
    one = both.stack.begin(Stream(given.embeddings, given.table))
    other = both.tower.begin(Stream(given.memory.tokens, given.memory.table))
    for layer, place in both.links:
        both.stack.advance(one, layer)
        both.tower.advance(other, place)
        mean_other, mean_one = other.hidden.mean(1, keepdim=True), one.hidden.mean(1, keepdim=True)
        one.hidden = one.hidden + both.stack.before[str(layer)].map(mean_other)
        other.hidden = other.hidden + both.tower.before[str(place)].map(mean_one)
    both.stack.advance(one, HOST.depth)
    both.tower.advance(other, TOWER.depth)
    text, media = both.both(given)
    close(text, both.norm(one.hidden), 1e-6)
    close(media, both.tower_norm(other.hidden), 1e-6)


def test_without_media_the_host_runs_alone():
    both, given = made(), stream(media=False)
    text, media = both.both(given)
    assert media is None
    run = both.stack.begin(given)
    both.stack.advance(run, HOST.depth)
    close(text, both.norm(run.hidden), 0.0)


def test_later_rows_read_what_the_prompt_left():
    """The mean of the tower's states is in the cache; cached steps equal a full pass."""
    both, given, cache = made(), stream(), GrowingCache()
    for slots in (both.stack.before, both.tower.before):
        assert len(slots) == 2
    with torch.no_grad():
        # Tower rows that ignore the text leave the same memory however much text follows.
        for slot in both.tower.before.values():
            slot.map.weight.zero_()
    whole = both(given)
    first = replace(given, embeddings=given.embeddings[:, :4], table=given.table.cut(slice(0, 4)))
    last = Stream(given.embeddings[:, 4:], given.table.cut(slice(4, 5)))
    parts = torch.cat([both(first, cache=cache), both(last, cache=cache)], 1)
    close(parts, whole, 1e-5)


@pytest.mark.parametrize("links", [((1, 1), (0, 2)), ((0, 0), (3, 1)), ((0, 4),)])
def test_links_must_rise_and_exist(links):
    with pytest.raises(ValueError, match="3 host and 4 tower layers"):
        made(links)
