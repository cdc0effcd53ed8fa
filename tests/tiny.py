"""Every registered system at tiny prime-ish sizes, and hand-made batches for it.

No list of systems stands here: a new file in `systems/` is under the laws from its first day.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from chiasm.assemble import build
from chiasm.compression import NoCompression
from chiasm.connectors import NoConnector
from chiasm.data.views import stack_views
from chiasm.encoders import NoEncoder
from chiasm.fusion import NoFusion
from chiasm.model import Model
from chiasm.positions import Sequential
from chiasm.spec import Answers, Host, NoViews, View, geometry, registered
from chiasm.spec.reading import Call, Losses, Reading
from chiasm.stream import (
    ALL,
    SHARED,
    Inputs,
    Memory,
    Modality,
    Permission,
    Role,
    Rows,
    Spotted,
    Stream,
    TokenTable,
)
from chiasm.visibility import Causal, Everything, Sight

HOST = Host(
    vocabulary=101,
    width=29,
    depth=3,
    heads=6,
    kv_heads=2,
    head_width=6,
    ff_width=37,
    max_positions=2048,
)
"""No two sizes are equal, so that swapped axes fail."""

VIEW_SIZES = {"height": 24, "width": 40, "longest": 40, "shortest": 16}
ROOM_SIZES = {
    "width": 20,
    "depth": 2,
    "ff_width": 31,
    "latents": 7,
    "head_width": 6,
    "ff_multiple": 3,
    "patch": 8,
    "stem": (5, 7, 11),
    "patches": 15,
    "most_words": 13,
    "levels": 89,
    "table_rows": HOST.vocabulary,
    "factor": (1, 5),
}

LATENT_SIZES = {"height": 6, "width": 10, "patch": 2, "stride": 1, "channels": 3}


def shrunk(value: Any, sizes: dict[str, Any]) -> Any:
    """A config with the fields named in `sizes` at most that large, nested configs included."""
    if not is_dataclass(value) or isinstance(value, type):
        return value
    changed: dict[str, Any] = {}
    for field in fields(value):
        old = getattr(value, field.name)
        small = sizes.get(field.name)
        if isinstance(small, tuple) and isinstance(old, tuple):
            changed[field.name] = small[: len(old)]
        elif isinstance(small, int) and isinstance(old, int):
            changed[field.name] = min(old, small)
        elif is_dataclass(old):
            changed[field.name] = shrunk(old, sizes)
    return replace(value, **changed)


def tiny_host(host: Host) -> Host:
    """The sizes of HOST, three layers of the host's own kind."""
    sizes = ("vocabulary", "width", "depth", "max_positions")
    attention = ("heads", "kv_heads", "head_width", "query_key_norm")
    drawn = ("initial_std", "embedding_std", "weights")
    names = (*sizes, *drawn, *(attention if host.mixer is None else ()))
    kept = {name: getattr(HOST, name) for name in names}
    half = HOST.head_width // 2
    sections = tuple(
        half // len(host.rope_sections) + (axis < half % len(host.rope_sections))
        for axis in range(len(host.rope_sections))
    )
    return replace(
        host,
        **kept,
        ff_width=HOST.ff_width if host.ff_width else 0,
        rope_sections=sections,
        rope_layers=host.rope_layers[: HOST.depth],
        windows=(),
        mixer=shrunk(host.mixer, ROOM_SIZES),
    )


def tiny_answers(answers: Answers) -> Answers:
    """The same answers at sizes that run in milliseconds; the host keeps its kind."""
    return replace(
        answers,
        host=tiny_host(answers.host),
        experts=shrunk(answers.experts, ROOM_SIZES),
        head=shrunk(answers.head, LATENT_SIZES),
        views=shrunk(answers.views, VIEW_SIZES),
        encoder=shrunk(answers.encoder, ROOM_SIZES),
        connector=shrunk(answers.connector, ROOM_SIZES),
        fusion=shrunk(answers.fusion, ROOM_SIZES),
        compression=shrunk(answers.compression, ROOM_SIZES),
    )


@functools.cache
def tiny(slug: str) -> Answers:
    """A registered system's answers, tiny."""
    return tiny_answers(registered()[slug].at("nano"))


def fresh(answers: Answers, *, seed: int = 0) -> Model:
    """A tiny model in evaluation mode whose every parameter matters.

    Zero gates are opened and the small initial weights enlarged: near zero, a broken path would
    hide within the tolerances.
    """
    model = build(answers, seed=seed).eval()
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(noise * (0.3 if parameter.dim() < 2 else 0.1))
    return model


@functools.cache
def shared_model(slug: str) -> Model:
    """A tiny model for tests that only read it."""
    return fresh(tiny(slug)).requires_grad_(False)


@functools.cache
def sketch(answers: Answers) -> Model:
    """A model without memory, for questions about its structure."""
    return build(answers, device="meta", seed=None)


def every(where: Callable[[Answers], bool] | None = None) -> list[Any]:
    """Test parameters: the slug of every registered system whose tiny answers satisfy `where`.

    A passing law is evidence for the system it ran on; a system without a row in the catalogue
    (the control) needs none.
    """
    return [
        pytest.param(
            slug,
            id=slug,
            marks=[] if value.no is None else [pytest.mark.evidence(slug=slug, grade="lawful")],
        )
        for slug, value in registered().items()
        if where is None or where(tiny(slug))
    ]


def host_of(model: Model) -> Model:
    """The language model alone, with a model's weights of it: its experts are its own."""
    alone = replace(
        model.answers,
        views=NoViews(),
        encoder=NoEncoder(),
        connector=NoConnector(),
        compression=NoCompression(),
        fusion=NoFusion(),
        visibility=Sight(sequence=Causal(), memory=Everything()),
        positions=Sequential(),
        # Text stands on the diagonal of several axes, which turns as one axis does.
        host=replace(model.answers.host, rope_sections=()),
    )
    host, state = build(alone), model.state_dict()
    host.load_state_dict({name: state[name] for name in host.state_dict()})
    return host.eval()


def looks(answers: Answers) -> bool:
    """Whether images reach the model."""
    return bool(answers.views.plan((1, 1)))


def embeds(answers: Answers) -> bool:
    """Whether words enter the host as its own embeddings: not as ids, nor through another stack."""
    fusion = answers.fusion
    return not fusion.enters or fusion.token_width(answers.host) == answers.host.width


@dataclass(frozen=True)
class Text:
    """A run of text rows; `words` are their ids."""

    words: tuple[int, ...]
    role: Role = Role.USER
    segment: int = SHARED
    turn: int = 0


@dataclass(frozen=True)
class Picture:
    """An image of random pixels, the same wherever the same picture is named."""

    number: int
    height: int
    width: int
    turn: int = 0


@dataclass(frozen=True)
class Drawn:
    """A picture to draw: its draft, and with `clean` the clean copy that what follows may see;
    random latents, the same wherever the same number is named. Systems that draw nothing skip it.
    """

    number: int
    clean: bool = False
    draft: bool = True


Sample = tuple[Text | Picture | Drawn, ...]


def words(count: int, seed: int) -> tuple[int, ...]:
    """Random ids of the tiny vocabulary."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(0, HOST.vocabulary, (count,), generator=generator).tolist())


def said(count: int, seed: int, role: Role = Role.USER, *, segment: int = SHARED) -> Text:
    return Text(words(count, seed), role, segment)


def ragged() -> tuple[Sample, ...]:
    """Three samples of other lengths: one image, none, two; each with an answer to teach."""
    tag, answer = Role.TAG, Role.ASSISTANT
    return (
        (said(3, 1), Picture(1, 30, 50), said(4, 2), said(1, 3, tag), said(2, 4, answer)),
        (said(6, 5), said(1, 6, tag), said(3, 7, answer)),
        (
            said(2, 8),
            Picture(2, 21, 17),
            said(3, 9),
            Picture(3, 64, 64),
            said(2, 10),
            said(1, 11, tag),
            said(5, 12, answer),
        ),
    )


def drawing() -> tuple[Sample, ...]:
    """Two samples that draw: one picture after words; one that is spoken of, and another."""
    tag, answer = Role.TAG, Role.ASSISTANT
    return (
        (said(3, 21), said(1, 22, tag), Drawn(1)),
        (said(2, 23), Drawn(2, clean=True), said(1, 24, tag), said(2, 25, answer), Drawn(3)),
    )


class _Rows:
    """The rows of one sample."""

    def __init__(self) -> None:
        self.latents: list[Tensor] = []
        self.rows: list[dict[str, Any]] = []
        self.memory: list[dict[str, Any]] = []
        self.owners: list[int] = []
        self.spotted: list[tuple[int, tuple[int, int, int, int], int]] = []

    def add(self, **row: Any) -> None:
        self.rows.append(row)


def batch(
    answers: Answers,
    samples: Sequence[Sample],
    *,
    side: str = "right",
    length: int | None = None,
    teach: bool = True,
) -> Inputs:
    """Inputs of hand-made samples, padded on either side to `length` or the longest."""
    pixels: list[Tensor] = []
    rows_of_picture: dict[tuple[Picture, tuple[View, ...]], list[int]] = {}
    made = [_sample_rows(answers, sample, pixels, rows_of_picture) for sample in samples]
    longest = max(len(sample.rows) for sample in made)
    count = longest if length is None else length
    images, image_valid = stack_views(pixels) if pixels else (None, None)
    padded = [_padded(sample.rows, count, side) for sample in made]
    table = _table([row for row, _ in padded], [valid for _, valid in padded])
    table = answers.positions.number(table)
    labels = torch.tensor([[row["label"] for row in rows] for rows, _ in padded])
    owners = max(len(sample.owners) for sample in made)
    each = max(len(sample.memory) for sample in made)
    memory = None
    if pixels:
        held = [_padded(sample.memory, each, "right") for sample in made]
        memory = _table([rows for rows, _ in held], [valid for _, valid in held])
    return Inputs(
        ids=torch.tensor([[row["id"] for row in rows] for rows, _ in padded]),
        table=table,
        source=torch.tensor([[row["source"] for row in rows] for rows, _ in padded]),
        images=images,
        image_valid=image_valid,
        owners=torch.tensor([[*s.owners, *[-1] * (owners - len(s.owners))] for s in made])
        if pixels
        else None,
        memory=memory,
        labels=labels if teach else None,
        spotted=_spotted(made) if getattr(answers.fusion, "reads_words", False) else None,
        **_latents(made, padded),
    )


def box_of(word: int) -> tuple[int, int, int, int]:
    """Some box of a picture, the same wherever the same word is named."""
    return word, 2 * word, word + 70, 2 * word + 30


def _spotted(made: list["_Rows"]) -> Spotted | None:
    """The words on the pictures of all samples, every second sample's answer among them."""
    count = max(len(sample.spotted) for sample in made)
    if not count:
        return None
    nothing = (0, (0, 0, 0, 0), 0)
    held = [[*s.spotted, *[nothing] * (count - len(s.spotted))] for s in made]
    valid = [[at < len(sample.spotted) for at in range(count)] for sample in made]
    known = [float(at % 2) if sample.spotted else -1.0 for at, sample in enumerate(made)]
    return Spotted(
        ids=torch.tensor([[word for word, _, _ in sample] for sample in held]),
        boxes=torch.tensor([[box for _, box, _ in sample] for sample in held]),
        item=torch.tensor([[item for _, _, item in sample] for sample in held]),
        valid=torch.tensor(valid),
        answered=torch.tensor(known),
    )


def _latents(made: list["_Rows"], padded: list[Any]) -> dict[str, Tensor]:
    """The latents of all samples and who holds them; nothing where nothing is drawn."""
    held = [torch.cat(sample.latents) for sample in made if sample.latents]
    if not held:
        return {}
    out = torch.zeros(len(made), max(len(each) for each in held), held[0].shape[1])
    for number, sample in enumerate(made):
        if sample.latents:
            out[number, : sum(map(len, sample.latents))] = torch.cat(sample.latents)
    latent_of = [[row.get("latent_of", -1) for row in rows] for rows, _ in padded]
    return {"latents": out, "latent_of": torch.tensor(latent_of)}


def _draw(answers: Answers, piece: Drawn, rows: "_Rows", item: int, position: int) -> int:
    """Draft and clean copy of a picture; the position after them."""
    latent = answers.head.latent
    assert latent is not None
    flow = answers.teaching.objective.flow
    base = latent.rows * len(rows.latents)
    generator = torch.Generator().manual_seed(100 + piece.number)
    rows.latents.append(torch.randn(latent.rows, latent.row_width, generator=generator))
    roles = [Role.DRAFT] * piece.draft + [Role.ASSISTANT] * piece.clean
    for role in roles:
        for at in range(latent.rows):
            rows.add(
                id=0,
                modality=int(Modality.LATENT),
                item=item,
                turn=0,
                role=int(role),
                segment=SHARED,
                position=position,
                source=-1,
                latent_of=base + at,
                place=(flow.direction.clean, at // latent.grid[1], at % latent.grid[1]),
            )
            position += 1
    return position


def _sample_rows(
    answers: Answers,
    sample: Sample,
    pixels: list[Tensor],
    rows_of_picture: dict[tuple[Picture, tuple[View, ...]], list[int]],
) -> _Rows:
    rows = _Rows()
    item, position, prefix, segment, entering = 0, 0, 0, SHARED, 0
    for piece in sample:
        if isinstance(piece, Drawn):
            if answers.head.latent is not None:
                item += 1
                position = _draw(answers, piece, rows, item, position)
            continue
        if isinstance(piece, Picture):
            others = [p for p in sample if isinstance(p, Picture) and p is not piece]
            beside = [(other.height, other.width) for other in others]
            plan = geometry(answers, (piece.height, piece.width), beside)
            if not plan.views:
                continue
            item += 1
            rows.spotted += [(word, box_of(word), item) for word in words(3, 300 + piece.number)]
            seen = piece, plan.views
            if seen not in rows_of_picture:
                rows_of_picture[seen] = list(range(len(pixels), len(pixels) + len(plan.views)))
                generator = torch.Generator().manual_seed(piece.number)
                pixels += [torch.randn(3, *v.target, generator=generator) for v in plan.views]
            rows.owners += rows_of_picture[seen]
            identity = dict(item=item, turn=piece.turn, role=int(Role.USER), segment=segment)
            source, columns, shown = entering + plan.first_source, plan.grids[0][1], 0
            for view, count in zip(plan.views, plan.rows_per_view, strict=True):
                kinds = [Modality.TEXT] * bool(view.tag) + [Modality.IMAGE] * count
                kinds += [Modality.TEXT] * bool(view.close)
                for kind in kinds:
                    at = shown if kind is Modality.IMAGE else 0
                    shown += kind is Modality.IMAGE
                    rows.add(
                        place=(0, at // columns, at % columns),
                        id=view.unit if kind is Modality.TEXT else 0,
                        modality=int(kind),
                        unit=view.unit,
                        position=position,
                        source=-1 if kind is Modality.TEXT else source,
                        **identity,
                    )
                    position, source = position + 1, source + (kind is Modality.IMAGE)
            entering += max(plan.kept, plan.placeholders)
            for view, count in zip(plan.views, plan.tokens_per_view, strict=True):
                for _ in range(count):
                    at = len(rows.memory)
                    rows.memory.append(
                        {"modality": 1, "item": item, "unit": view.unit, "position": at}
                    )
            continue
        if piece.segment != segment:
            prefix = position if segment == SHARED else prefix
            segment, position = piece.segment, prefix
        for word in piece.words:
            rows.add(
                id=word,
                modality=int(Modality.TEXT),
                item=item,
                turn=piece.turn,
                role=int(piece.role),
                segment=segment,
                position=position,
                source=-1,
            )
            position += 1
    for row, after in zip(rows.rows, [*rows.rows[1:], None], strict=True):
        taught = (
            after is not None
            and after["role"] == Role.ASSISTANT
            and after["segment"] == row["segment"]
        )
        row["label"] = after["id"] if taught and after is not None else -100
    return rows


PADDING: dict[str, Any] = {
    "id": 0,
    "modality": 0,
    "item": 0,
    "turn": 0,
    "role": 0,
    "segment": 0,
    "position": 0,
    "source": -1,
    "label": -100,
}


def _padded(
    rows: list[dict[str, Any]], count: int, side: str
) -> tuple[list[dict[str, Any]], list[bool]]:
    """Rows filled up on one side, and which of them are real."""
    missing = count - len(rows)
    after = [{**PADDING, "position": place} for place in range(len(rows), count)]
    if side == "right":
        return [*rows, *after], [True] * len(rows) + [False] * missing
    before = [PADDING] * missing
    return [*before, *rows], [False] * missing + [True] * len(rows)


def _table(rows: list[list[dict[str, Any]]], valid: list[list[bool]]) -> TokenTable:
    def column(name: str) -> Tensor:
        return torch.tensor([[row.get(name, 0) for row in sample] for sample in rows])

    shape = (len(rows), len(rows[0]))
    return TokenTable(
        modality=column("modality").reshape(shape),
        item=column("item"),
        unit=column("unit"),
        place=torch.tensor([[row.get("place", (0, 0, 0)) for row in sample] for sample in rows])
        .float()
        .reshape(*shape, 3),
        turn=column("turn"),
        role=column("role"),
        segment=column("segment"),
        order=column("position"),
        position=column("position").float().unsqueeze(-1),
        valid=torch.tensor(valid).reshape(shape),
    )


def reading_of(
    table: TokenTable,
    *,
    layer: int = 0,
    memory: Memory | None = None,
    source: Tensor | None = None,
    in_order: bool = False,
    permission: Permission | None = None,
    cache: Any = None,
    losses: Losses | None = None,
    runs: tuple[tuple[Rows, slice], ...] | None = None,
    stream: Stream | None = None,
    rotary: Callable[[Tensor], Any] = lambda position: None,
) -> Reading:
    """What one layer reads of a call over these rows, made by hand."""
    every = slice(0, table.shape[1])
    call = Call(
        stream=Stream(torch.zeros(*table.shape, 1), table) if stream is None else stream,
        table=table,
        source=source,
        memory=memory,
        in_order=in_order,
        runs=((ALL, every),) if runs is None else runs,
        permit=lambda rows, dense: permission,
        rotary=rotary,
        cache=cache,
        losses=losses,
    )
    return Reading(call, layer, every)


def real(inputs: Inputs) -> Tensor:
    """True for the rows that hold text or media."""
    return inputs.table.valid


def close(got: Tensor, expected: Tensor, tolerance: float) -> None:
    """Equal within `tolerance` of the larger of 1 and the largest finite expected value; where an
    infinity is expected, it is there.
    """
    finite = expected.detach()[expected.detach().isfinite()]
    scale = max(1.0, float(finite.abs().max())) if finite.numel() else 1.0
    torch.testing.assert_close(got, expected, rtol=0.0, atol=tolerance * scale)


def gradients(model: Model) -> dict[str, Tensor]:
    """A copy of every parameter's gradient, zeros where none arrived."""
    return {
        name: torch.zeros_like(p) if p.grad is None else p.grad.clone()
        for name, p in model.named_parameters()
    }


def close_gradients(got: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float) -> None:
    """Equal within `tolerance` of the larger of 1 and the largest gradient of all."""
    assert got.keys() == expected.keys()
    scale = max(1.0, *(float(g.abs().max()) for g in expected.values()))
    for name, gradient in expected.items():
        worst = float((got[name] - gradient).abs().max())
        assert worst <= tolerance * scale, f"{name}: gradients differ by {worst:.2e}"


def cut(inputs: Inputs, rows: slice, *, media: bool) -> Inputs:
    """Some rows of the inputs, for a call with a cache; with the images or without."""
    kept = replace(
        inputs,
        ids=inputs.ids[:, rows],
        table=inputs.table.cut(rows),
        source=inputs.source[:, rows],
        labels=None,
    )
    if media:
        return kept
    return replace(kept, images=None, image_valid=None, owners=None, memory=None)
