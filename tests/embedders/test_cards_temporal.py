"""The card of m2-clip: frozen CLIP over frames, with adapters over time."""

from dataclasses import replace

import pytest
import torch
from tests.embedders.few import card, few, fresh, losses, nano, parameters, shapes, shared, taken
from torch import nn
from torch.nn.functional import cross_entropy, normalize

from chiasm.embedders.contents import Content, shown, words
from chiasm.embedders.stages.temporal import OfDifferences, OverTime, TemporalAdapter
from chiasm.errors import Misuse
from chiasm.spec.embedder import registered_embedders
from chiasm.stream import Modality


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def moved(module: nn.Module) -> nn.Module:
    """Off its start."""
    with torch.no_grad():
        for number, parameter in enumerate(module.parameters()):
            parameter += 0.3 * drawn(*parameter.shape, seed=number)
    return module


def clip(*pictures) -> Content:
    return Content(parts=(shown(*pictures, modality=Modality.VIDEO),))


@card("m2-clip")
def test_fresh_adapters_change_nothing_and_a_frame_is_clips_own():
    embedder = nano("m2-clip")
    model, frames = embedder.model.eval(), [pair.picture for pair in few(2)]
    encoder = model.encoders["image"]
    with torch.no_grad():
        found = encoder(embedder.readers["image"].read([clip(*frames)])).tokens[0]
        pixels = embedder.readers["image"].read([clip(one) for one in frames])[:, 0]
        seen = encoder.image.model(pixel_values=pixels).pooler_output
        torch.testing.assert_close(found, encoder.head(seen))
        given = embedder.readers["text"].read([Content(parts=(words("a small dot"),))])
        text = model.encoders["text"]
        said = text.text.model(input_ids=given.ids).last_hidden_state[:, -1]
        torch.testing.assert_close(text(given).tokens[:, 0], text.head(said))
    x = drawn(6, 10, 8)
    assert torch.equal(TemporalAdapter(8, 4)(x, 3), x)


@card("m2-clip")
def test_both_convolutions_equal_their_equations():
    x = drawn(2, 3, 9, 8)
    time, differ = moved(OverTime(8, 5)), moved(OfDifferences(8, 5))
    down = time.down(x)
    mixed = torch.zeros_like(down)
    for at in range(3):
        mixed[:, at] = time.conv.bias
        for tap in range(3):
            if 0 <= at + tap - 1 < 3:
                mixed[:, at] = mixed[:, at] + time.conv.weight[:, 0, tap] * down[:, at + tap - 1]
    torch.testing.assert_close(time(x), time.up(mixed))
    change = torch.cat([torch.zeros(2, 1, 9, 8), x[:, 1:] - x[:, :-1]], 1)
    down = differ.down(change).unflatten(2, (3, 3))
    mixed = differ.conv.bias.expand_as(down).clone()
    for row in range(3):
        for column in range(3):
            for up in range(3):
                for left in range(3):
                    y, z = row + up - 1, column + left - 1
                    if 0 <= y < 3 and 0 <= z < 3:
                        weight = differ.conv.weight[:, 0, up, left]
                        mixed[:, :, row, column] += weight * down[:, :, y, z]
    torch.testing.assert_close(differ(x), differ.up(mixed.flatten(2, 3)))


@card("m2-clip")
def test_a_static_clip_differs_by_nothing_and_reversal_is_seen():
    embedder = shared("m2-clip")
    one, two = (pair.picture for pair in few(2))
    encoder, given = embedder.model.encoders["image"], []
    handle = encoder.adapters["layers"][0].differ.down.register_forward_pre_hook(
        lambda module, args: given.append(args[0])
    )
    still, there, back = (
        embedder.embed_contents([c]).vectors[0]
        for c in (
            clip(one),
            clip(one, two),
            clip(two, one),
        )
    )
    handle.remove()
    assert not given[0].any() and not given[1][:, 0].any() and given[1][:, 1].any()
    assert not torch.allclose(there, back, atol=1e-4) and not torch.allclose(still, there)
    with pytest.raises(Misuse, match="take fewer frames"):
        embedder.embed_contents([clip(one, two, one)])


@card("m2-clip")
def test_an_adapter_holds_a_million_and_twelve_hold_fourteen():
    layers = [
        size for name, size in shapes("m2-clip", "paper").items() if ".adapters.layers." in name
    ]
    each = 4 * 768 * 384 + 2 * (384 + 768) + 384 * (3 + 1) + 384 * (9 + 1)
    differs = 2 * 768 * 384 + 384 + 768 + 384 * (9 + 1)
    assert each == 1_187_328 and 12 * each == 14_247_936
    assert sum(layers) == 12 * each - differs  # nothing reads the last layer's patches
    frozen = parameters("m2-clip", "paper") - parameters("m2-clip", "paper", "score")
    added = sum(parameters("m2-clip", "paper", f"{side}.adapters") for side in ("text", "image"))
    assert frozen - added == 149_620_736


@card("m2-clip")
def test_left_and_right_are_told_apart_over_time_alone():
    """A bright place moves over a row of places one way or the other, from anywhere. Without its
    neighbours in time the same adapter gives a clip and its reverse one mean.
    """
    width, frames, side = 8, 4, 4
    shine = normalize(drawn(width, seed=1), dim=0)

    def clips(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        pick = torch.Generator().manual_seed(seed)
        x = 0.1 * drawn(count, frames, 1 + side**2, width, seed=seed)
        ways = torch.arange(count) % 2
        rows = torch.randint(side, (count,), generator=pick)
        for at in range(count):
            for time in range(frames):
                column = time if ways[at] else side - 1 - time
                x[at, time, 1 + int(rows[at]) * side + column] += shine
        return x, ways

    right = []
    for spatial in (False, True):
        torch.manual_seed(0)
        adapter, head = TemporalAdapter(width, 8), nn.Linear(width, 2)
        mask = torch.tensor([0.0, 1.0, 0.0]) if spatial else torch.ones(3)
        adam = torch.optim.AdamW([*adapter.parameters(), *head.parameters()], lr=2e-2)

        def scores(x, adapter=adapter, head=head, mask=mask, spatial=spatial):
            adapter.enhance.conv.weight.data.mul_(mask)
            y = adapter.enhance(x) if spatial else adapter(x.flatten(0, 1), frames).view_as(x) - x
            return head(torch.relu(x + y).mean((1, 2)))

        for step in range(80):
            x, ways = clips(32, step)
            adam.zero_grad()
            cross_entropy(scores(x), ways).backward()
            adam.step()
        with torch.no_grad():
            x, ways = clips(100, 1000)
            right.append(float((scores(x).argmax(-1) == ways).float().mean()))
            turned = scores(x.flip(1))
            assert torch.allclose(turned, scores(x), atol=1e-5) == spatial
    assert right[0] > 0.9 and right[1] < 0.7


@card("m2-clip")
def test_the_classifier_refuses_more_classes_than_it_has(tmp_path):
    answers = registered_embedders()["m2-clip"].at("nano")
    align = answers.teaching.objective
    few_classes = replace(align, terms=(replace(align.terms[0], classes=2),))
    teaching = replace(answers.teaching, objective=few_classes)
    embedder = fresh(replace(answers, teaching=teaching))
    with pytest.raises(Misuse, match="state more classes"):
        losses(embedder, taken(embedder, tmp_path))


@card("m2-clip")
def test_a_picture_is_taught_as_a_clip_of_itself_and_a_part():
    (task,) = registered_embedders()["m2-clip"].at("nano").batches.tasks
    pair = few(1)[0]
    first, again, later = (task.holds(pair, turn, 0).parts[0] for turn in (0, 0, 1))
    assert first.modality == Modality.VIDEO and len(first.pictures) == 2
    assert first.pictures[0] is pair.picture and first == again and first != later
