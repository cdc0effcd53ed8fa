"""What stands in a layer's slots, by the layer's equation."""

from dataclasses import replace

import pytest
import torch
from tests.tiny import HOST, close, reading_of
from torch import Tensor, nn

from chiasm.backbone import Execution, Stack
from chiasm.backbone.attention import Runs, Step
from chiasm.backbone.block import Block
from chiasm.experts import PlainWeights, SharedWeights
from chiasm.layers import attend_slowly, merge_heads, split_heads
from chiasm.spec.reading import Chosen
from chiasm.spec.slots import Slots
from chiasm.stream import ALL, MEDIA, TEXT, Permission, RowPlan, Stream, TokenTable
from chiasm.visibility import Causal, Everything, dense_permission, materialise

ROWS, MEMORY = 5, 3
EVERY = slice(0, ROWS)


def table(*modality: int) -> TokenTable:
    kinds = torch.tensor([modality, modality])
    return replace(TokenTable.text(torch.ones_like(kinds, dtype=torch.bool)), modality=kinds)


def block(host=HOST) -> Block:
    torch.manual_seed(0)
    made = Block(host, 0, SharedWeights().weights(host))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made


def hidden(rows: int = ROWS) -> Tensor:
    return torch.randn(2, rows, HOST.width, generator=torch.Generator().manual_seed(1))


def step(permission: Permission | None = None, **slots) -> Step:
    reading = reading_of(table(*[0] * ROWS), permission=permission)
    mask = torch.ones(2, ROWS, ROWS).tril().bool()
    return Step(Runs(*[EVERY] * 4), None, Permission(dense=mask), reading, **slots)


def pieces(made: Block, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values of every row."""
    n, attention = made.input_layernorm(x), made.self_attn
    return (
        split_heads(attention.q_proj(n), HOST.heads),
        split_heads(attention.k_proj(n), HOST.kv_heads),
        split_heads(attention.v_proj(n), HOST.kv_heads),
    )


def finished(made: Block, x: Tensor, read: Tensor) -> Tensor:
    h = x + made.self_attn.o_proj(read)
    return h + made.mlp(made.post_attention_layernorm(h))


def test_joined_keys_share_the_softmax_of_the_sequence():
    """softmax over [keys of the sequence, keys of the memory], each under its own mask."""
    generator = torch.Generator().manual_seed(2)
    shape = (2, HOST.kv_heads, MEMORY, HOST.head_width)
    keys, values = torch.randn(shape, generator=generator), torch.randn(shape, generator=generator)
    seen = torch.rand(2, ROWS, MEMORY, generator=generator) > 0.4
    made, x = block(), hidden()
    q, k, v = pieces(made, x)
    mask = torch.cat([torch.ones(2, ROWS, ROWS).tril().bool(), seen], 2)
    read = attend_slowly(q, torch.cat([k, keys], 2), torch.cat([v, values], 2), mask)
    got = made(x, step(Permission(dense=seen), joined=lambda inside: (keys, values)))
    close(got, finished(made, x, merge_heads(read)), 1e-6)


def test_beside_changes_what_is_read_before_the_output_projection():
    made, x = block(), hidden()
    q, k, v = pieces(made, x)
    mask = torch.ones(2, ROWS, ROWS).tril().bool()
    read = merge_heads(attend_slowly(q, k, v, mask))
    seen: list[Tensor] = []

    def beside(inside, given):
        seen.extend([inside.queries, inside.normed, given])
        return 2 * given + inside.norm(x).sum()

    got = made(x, step(beside=beside))
    close(seen[0], q, 1e-6)
    close(seen[1], made.input_layernorm(x), 1e-6)
    close(seen[2], read, 1e-6)
    close(got, finished(made, x, 2 * read + made.input_layernorm(x).sum()), 1e-6)


def test_between_acts_after_attention_and_before_the_feed_forward():
    made, x = block(), hidden()
    q, k, v = pieces(made, x)
    read = merge_heads(attend_slowly(q, k, v, torch.ones(2, ROWS, ROWS).tril().bool()))
    h = 3 * (x + made.self_attn.o_proj(read))
    got = made(x, step(between=lambda given, reading: 3 * given))
    close(got, h + made.mlp(made.post_attention_layernorm(h)), 1e-6)


@pytest.mark.parametrize("arrangement", ["post", "parallel"])
def test_other_arrangements_are_their_equations(arrangement):
    host = replace(HOST, arrangement=arrangement, norm="layer", gated=False, activation="gelu")
    made, x = block(host), hidden()
    attention, mask = made.self_attn, torch.ones(2, ROWS, ROWS).tril().bool()
    n = x if arrangement == "post" else made.input_layernorm(x)
    q = split_heads(attention.q_proj(n), host.heads)
    k, v = (split_heads(p(n), host.kv_heads) for p in (attention.k_proj, attention.v_proj))
    update = attention.o_proj(merge_heads(attend_slowly(q, k, v, mask)))
    think = lambda y: made.mlp.down_proj(  # noqa: E731
        torch.nn.functional.gelu(made.mlp.up_proj(y))
    )
    if arrangement == "post":
        h = made.input_layernorm(x + update)
        expected = made.post_attention_layernorm(h + think(h))
    else:
        expected = x + update + think(n)
    close(made(x, step()), expected, 1e-6)


def test_sub_norms_and_layer_scales_are_their_equations():
    """x + s W_o norm(read); then h + t W_down norm(act(W_gate n) * W_up n)."""
    host = replace(HOST, sub_norm=True, layer_scale=0.3)
    made, x = block(host), hidden()
    q, k, v = pieces(made, x)
    read = merge_heads(attend_slowly(q, k, v, torch.ones(2, ROWS, ROWS).tril().bool()))
    h = x + made.attention_scale * made.self_attn.o_proj(made.self_attn.read_norm(read))
    n, mlp = made.post_attention_layernorm(h), made.mlp
    inside = mlp.norm(torch.nn.functional.silu(mlp.gate_proj(n)) * mlp.up_proj(n))
    close(made(x, step()), h + made.feed_forward_scale * mlp.down_proj(inside), 1e-6)


def stack(**changed) -> Stack:
    torch.manual_seed(0)
    settings = dict(
        rules=[Causal()] * 2,
        plans=[RowPlan()] * 2,
        memory_rule=Everything(),
        permit=materialise,
        permit_masked=dense_permission,
        weights=SharedWeights().weights(HOST),
    )
    return Stack(HOST, **{**settings, **changed})


def mixed() -> Stream:
    return Stream(hidden(7), table(0, 1, 1, 0, 0, 1, 0))


def test_lanes_of_equal_weights_are_one_lane():
    one, two = stack(), stack(lanes=(TEXT, MEDIA))
    two.layers.load_state_dict(one.layers.state_dict())
    two.experts[0].load_state_dict(one.layers.state_dict())
    close(two(mixed()), one(mixed()), 1e-5)


@pytest.mark.parametrize("plan", [RowPlan(), RowPlan(query=TEXT, output=TEXT)])
def test_lanes_planned_equal_lanes_masked(plan):
    two = stack(lanes=(TEXT, MEDIA), plans=[plan, RowPlan()])
    close(two(mixed()), two(mixed(), execution=Execution.MASKED), 1e-5)


def test_a_lane_reads_every_row_but_changes_its_own():
    """Another media row changes what text reads; other text weights leave the media rows."""
    two = stack(lanes=(TEXT, MEDIA), rules=[Causal()], plans=[RowPlan()])
    given = mixed()
    before = two(given)
    other = given.embeddings.clone()
    other[:, 1] += 1
    moved = (two(replace(given, embeddings=other)) != before).any(-1)[0]
    assert moved.tolist() == [False, True, True, True, True, True, True]
    with torch.no_grad():
        two.layers[0].mlp.up_proj.weight.add_(1.0)
    moved = (two(given) != before).any(-1)[0]
    assert moved.tolist() == [kind == 0 for kind in (0, 1, 1, 0, 0, 1, 0)]


def test_rows_that_no_set_names_are_not_touched():
    """A delayed entry: media rows are handed through the first layer as they came."""
    absent = RowPlan(query=TEXT, key_value=TEXT, output=TEXT, feed_forward=TEXT)
    made, given = stack(plans=[absent, RowPlan()]), mixed()
    inputs: list[Tensor] = []
    made(given, inputs=inputs)
    media = given.table.modality[0] > 0
    assert torch.equal(inputs[1][:, media], given.embeddings[:, media])
    other = given.embeddings.clone()
    other[:, media] += 1
    second: list[Tensor] = []
    made(replace(given, embeddings=other), inputs=second)
    assert torch.equal(inputs[1][:, ~media], second[1][:, ~media])
    close(made(given), made(given, execution=Execution.MASKED), 1e-5)


class Choosing(nn.Module):
    """Runs the named rows; the last is padding in the second sample."""

    def __init__(self, rows: list[int], weight: float = 1.0) -> None:
        super().__init__()
        self.rows, self.weight = rows, weight

    def forward(self, hidden, reading):
        index = torch.tensor([self.rows, self.rows])
        valid = torch.ones_like(index, dtype=torch.bool)
        valid[1, -1] = False
        weight = torch.full((*index.shape, 1), self.weight)
        return Chosen(index, valid, weight, ((ALL, slice(0, len(self.rows))),))


class ChoosingWeights(PlainWeights):
    def __init__(self, rows: list[int], weight: float) -> None:
        super().__init__(HOST)
        self.rows, self.weight = rows, weight

    def choose(self, layer: int) -> nn.Module | None:
        return Choosing(self.rows, self.weight) if layer == 0 else None


def test_rows_that_skip_a_layer_stay_and_are_not_read():
    """The layer over rows 1, 2, 4 alone, half of its update; row 4 of sample 1 skips too."""
    weights = ChoosingWeights([1, 2, 4], 0.5)
    made = stack(weights=weights, rules=[Causal()], plans=[RowPlan()])
    plain = stack(rules=[Causal()], plans=[RowPlan()])
    plain.layers.load_state_dict(made.layers.state_dict())
    given = Stream(hidden(), table(*[0] * ROWS))
    out = made(given)
    few = torch.tensor([[1, 2, 4], [1, 2, 4]])
    rows = given.embeddings[:, [1, 2, 4]]
    alone = plain(Stream(rows, given.table.rows(few)))
    expected = given.embeddings.clone()
    expected[:, [1, 2, 4]] = rows + 0.5 * (alone - rows)
    expected[1, 4] = given.embeddings[1, 4]
    close(out, expected, 1e-6)


def test_an_empty_slot_changes_nothing():
    plain = stack()
    close(stack(slots=Slots())(mixed()), plain(mixed()), 0.0)
