"""Made-up evidence: whatever looks a reducer needs, drawn from one seed."""

import torch

from chiasm.compression.evidence import (
    BlockKeys,
    BlockLook,
    DecoderAttention,
    Encoded,
    Evidence,
    Look,
    PixelLook,
    Question,
    TextSimilarity,
)
from chiasm.compression.method import HostShape
from chiasm.compression.reducer import Reducer, Scope

BEFORE, AFTER = 3, 5  # text rows around the visual ones
WIDTH, ENCODER = 13, 11
HEADS = 2


def host(depth=28, first=1, blocks=24, class_token=True):
    return HostShape(depth=depth, first=first, blocks=blocks, class_token=class_token)


def evidence(items=((3, 5, 7),), needs=(), seed=0, dtype=torch.float32, class_tokens=1):
    """Items of `(units, rows, columns)`, with every look in `needs`.

    Attention over blocks and layers is drawn anew for each look; an encoder's is read through the
    look's own `per_patch`, unit by unit, and pixels are drawn in patches of 2.
    """
    draw = torch.Generator().manual_seed(seed)
    item, unit, place = [], [], []
    for number, (units, rows, columns) in enumerate(items):
        for one in range(units):
            grid = torch.cartesian_prod(torch.arange(rows), torch.arange(columns))
            place.append(grid)
            item += [number] * len(grid)
            unit += [one] * len(grid)
    count = len(item)
    made = Evidence(
        hidden=torch.randn(count, WIDTH, generator=draw, dtype=dtype),
        item=torch.tensor(item),
        unit=torch.tensor(unit),
        place=torch.cat(place),
        row=BEFORE + torch.arange(count),
    )
    seen = {look: _seen(look, made, items, draw, class_tokens) for look in needs}
    return Evidence(**{**made.__dict__, "seen": seen})


def _seen(look: Look, made, items, draw, class_tokens):
    count = made.tokens
    if isinstance(look, BlockLook):
        parts = []
        for units, rows, columns in items:
            all_rows = class_tokens + rows * columns
            for _ in range(units):
                logits = 2 * torch.randn(HEADS, all_rows, all_rows, generator=draw)
                attention = logits.softmax(-1)
                shown = attention if look.rows_of_all else attention[:, :1]
                parts.append(look.per_patch(shown, class_tokens))
        return torch.cat(parts)
    if isinstance(look, PixelLook):
        parts = []
        for units, rows, columns in items:
            for _ in range(units):
                pixels = torch.rand(3, 2 * rows, 2 * columns, generator=draw)
                parts.append(look.of_pixels(pixels, 2))
        return torch.cat(parts)
    if isinstance(look, BlockKeys | Encoded):
        return torch.randn(count, ENCODER, generator=draw)
    if isinstance(look, DecoderAttention):
        return decoder_attention(look, count, draw)
    if isinstance(look, TextSimilarity):
        return 0.2 * torch.randn(count, generator=draw)
    assert isinstance(look, Question)
    return torch.randn(AFTER, WIDTH, generator=draw)


def decoder_attention(look, visual, draw):
    """Causal attention of a prompt of BEFORE text rows, the visual ones and AFTER text rows."""
    rows = BEFORE + visual + AFTER
    logits = torch.randn(HEADS, rows, rows, generator=draw)
    hidden = torch.ones(rows, rows, dtype=torch.bool).triu(1)
    logits = logits.masked_fill(hidden, -torch.inf)
    asked = {"last": slice(-1, None), "question": slice(-AFTER, None), "all": slice(None)}
    shown = logits if look.logits else logits.softmax(-1)
    return shown[:, asked[look.asks.value]]


def groups(reducer: Reducer, given: Evidence):
    """The groups among which a reducer chooses: which tokens each holds."""
    if reducer.scope is Scope.SAMPLE:
        return [torch.ones(given.tokens, dtype=torch.bool)]
    if reducer.scope is Scope.ITEM:
        return [given.item == one for one in given.item.unique()]
    pairs = torch.stack([given.item, given.unit], 1)
    return [(pairs == one).all(1) for one in pairs.unique(dim=0)]


def run(reducers, items=((3, 5, 7),), seed=0, class_tokens=1):
    """Every reducer in turn; yields (reducer, evidence of a group, its reduction).

    Between sites, looks at the decoder are drawn anew, over the rows that are then left.
    """
    needs = tuple(dict.fromkeys(look for one in reducers for look in one.needs))
    lasting = tuple(one for one in needs if not isinstance(one, DecoderAttention | Question))
    now = evidence(items, lasting, seed, class_tokens=class_tokens)
    for number, reducer in enumerate(reducers):
        draw = torch.Generator().manual_seed(seed + 100 + number)
        late = {
            look: decoder_attention(look, now.tokens, draw)
            if isinstance(look, DecoderAttention)
            else torch.randn(AFTER, WIDTH, generator=draw)
            for look in reducer.needs
            if look not in lasting
        }
        fields = {**now.__dict__, "row": BEFORE + torch.arange(now.tokens)}
        now = Evidence(**{**fields, "seen": {**now.seen, **late}})
        kept = torch.zeros(now.tokens, dtype=torch.bool)
        hidden = now.hidden.clone()
        for chosen in groups(reducer, now):
            part = now.part(chosen)
            left = reducer.reduce(part)
            yield reducer, part, left
            numbers = chosen.nonzero().flatten()[left.index]
            kept[numbers] = True
            if left.hidden is not None:
                hidden[numbers] = left.hidden
        seen = {look: value for look, value in now.seen.items() if look in lasting}
        now = Evidence(**{**now.__dict__, "hidden": hidden, "seen": seen}).part(kept)


def alive(reducers, items, depth, seed=0, class_tokens=1):
    """Tokens in each decoder layer, by running every reducer on made-up evidence."""
    whole = sum(units * rows * columns for units, rows, columns in items)
    counts, gone = [whole] * depth, [0] * depth
    for reducer, part, left in run(reducers, items, seed, class_tokens):
        gone[reducer.site.layer] += part.tokens - len(left.index)
    left_now = whole
    for layer in range(depth):
        left_now -= gone[layer]
        counts[layer] = left_now
    return counts
