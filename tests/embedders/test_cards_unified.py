"""The card of uniadapter: one adapter for pictures, words and their meeting."""

import torch
from tests.embedders.few import card, few, parameters, shapes, texts
from transformers.models.blip.modeling_blip_text import BlipTextModel

from chiasm.data.tokenizer import fit_tokenizer
from chiasm.embedders.contents import Content, shown, words
from chiasm.embedders.stages.unified import UnifiedAdapter
from chiasm.spec.embedder import registered_embedders
from chiasm.stream import Modality

SAID = ("a red circle", "two blue squares and a line")


def built(fresh: bool = True):
    """The nano encoder, and words, pictures, and words with a picture as it reads them."""
    (tower,) = registered_embedders()["uniadapter"].at("nano").encode
    tokenizer = fit_tokenizer(texts(), 512)
    torch.manual_seed(0)
    made = tower.encoder.build(len(tokenizer)).eval()
    if not fresh:
        with torch.no_grad():
            for parameter in made.adapters.parameters():
                parameter += 0.1 * torch.randn_like(parameter)
    pictures = [shown(pair.picture) for pair in few(2)]
    contents = [Content(parts=(words(text),)) for text in SAID]
    contents += [Content(parts=(one,)) for one in pictures]
    contents += [
        Content(parts=(picture, words(text, Modality.DOCUMENT)))
        for picture, text in zip(pictures, SAID, strict=True)
    ]
    return made, tower.encoder.reader(tokenizer).read(contents)


@card("uniadapter")
def test_fresh_adapters_leave_blips_text_model_as_it_is():
    made, pair = built()
    theirs = BlipTextModel(made.text.config, add_pooling_layer=False).eval()
    theirs.load_state_dict(made.text.state_dict())
    attention = (torch.arange(pair.ids.shape[1]) <= pair.last[:, None]).long()
    picture = made.of_picture(pair.pixels)[[0, 1, 2, 3]]
    for memory in (None, picture):
        made.zero_grad(), theirs.zero_grad()
        ours = made.of_words(pair.ids, pair.last, memory)
        expected = theirs(
            input_ids=pair.ids,
            attention_mask=attention,
            encoder_hidden_states=memory,
            is_decoder=False,
        ).last_hidden_state
        real = attention.bool()
        torch.testing.assert_close(ours[real], expected[real], rtol=1e-4, atol=1e-5)
        weights = torch.randn(ours[real].shape, generator=torch.Generator().manual_seed(1))
        (ours[real] * weights).sum().backward(retain_graph=True)
        (expected[real] * weights).sum().backward(retain_graph=True)
        found = dict(made.text.named_parameters())
        for name, parameter in theirs.named_parameters():
            if parameter.grad is not None:
                torch.testing.assert_close(parameter.grad, found[name].grad, rtol=1e-3, atol=1e-4)


@card("uniadapter")
def test_each_item_is_read_by_what_it_has():
    made, pair = built(fresh=False)
    heads = made.adapters["heads"]
    with torch.no_grad():
        found = made(pair).tokens[:, 0]
        rows = made.of_picture(pair.pixels)
        said = made.of_words(pair.ids, pair.last)[:, 0]
        read = made.of_words(pair.ids[2:], pair.last[2:], rows[2:])[:, 0]
    expected = torch.cat([heads[0](said[:2]), heads[1](rows[:2, 0]), heads[2](read)])
    torch.testing.assert_close(found, expected)


@card("uniadapter")
def test_the_three_ways_through_an_adapter_are_their_equations():
    adapter = UnifiedAdapter(8, 5)
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.copy_(
                torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3))
            )
    x = torch.randn(3, 8, generator=torch.Generator().manual_seed(4))
    centred = x - x.mean(-1, keepdim=True)
    normed = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    normed = normed * adapter.norm.weight + adapter.norm.bias
    z = (normed @ adapter.down.weight.T + adapter.down.bias).clamp(min=0)
    torch.testing.assert_close(adapter.picture(x), 0.1 * adapter.of_picture(z))
    torch.testing.assert_close(adapter.words(x), 0.1 * adapter.of_words(z))
    both = 0.1 * adapter.norm_both(adapter.of_both(z) + adapter.of_words(z))
    torch.testing.assert_close(adapter.both(x), both)


@card("uniadapter")
def test_a_step_on_words_changes_pictures_by_the_shared_map_alone():
    made, pair = built(fresh=False)
    before = {name: p.clone() for name, p in made.adapters.named_parameters()}
    with torch.no_grad():
        seen = made.of_picture(pair.pixels)
    made.of_words(pair.ids, pair.last).square().sum().backward()
    with torch.no_grad():
        for parameter in made.adapters.parameters():
            if parameter.grad is not None:
                parameter -= 0.1 * parameter.grad
        again = made.of_picture(pair.pixels)
    assert not torch.allclose(seen, again, atol=1e-5)
    for name, parameter in made.adapters.named_parameters():
        moved = not torch.equal(before[name], parameter)
        assert moved == (
            "down" in name
            or "of_words" in name
            or name.endswith(".norm.weight")
            or name.endswith(".norm.bias")
        ), name


@card("uniadapter")
def test_parameters_at_the_published_size():
    sizes = shapes("uniadapter", "paper")
    layers = sum(n for name, n in sizes.items() if ".adapters.layers." in name)
    assert layers == 12 * (768 * 512 + 512 + 3 * (768 * 512 + 768) + 4 * 768) == 18_945_024
    read = sum(
        n for name, n in sizes.items() if ".picture_keys." in name or ".picture_values." in name
    )
    assert read == 2 * (2 * 768 * 64 + 64 + 768) == 198_272
    apart = 12 * 3 * (2 * 768 * 512 + 512 + 768 + 2 * 768)
    assert 1.45 < apart / layers < 1.55
    heads = 3 * (768 * 256 + 256)
    assert parameters("uniadapter", "paper", "blip.adapters") == layers + read + heads


@card("uniadapter")
def test_keys_and_values_of_a_picture_are_added_to_in_every_layer():
    made, pair = built()
    rows = made.of_picture(pair.pixels)[2:].detach()
    ids, last = pair.ids[2:], pair.last[2:]
    plain = made.of_words(ids, last, rows)
    with torch.no_grad():
        for pairs in (made.adapters["picture_keys"], made.adapters["picture_values"]):
            pairs[1].weight.normal_(std=0.5)
    changed = made.of_words(ids, last, rows)
    assert not torch.allclose(plain, changed, atol=1e-4)
    with torch.no_grad():
        for layer in made.text.encoder.layer:
            own = layer.crossattention.self
            for linear, pairs in ((own.key, "picture_keys"), (own.value, "picture_values")):
                first, second = made.adapters[pairs]
                linear.bias += second.weight @ first.bias + second.bias
                linear.weight += second.weight @ first.weight
        for pairs in ("picture_keys", "picture_values"):
            made.adapters[pairs][1].weight.zero_()
            made.adapters[pairs][1].bias.zero_()
        folded = made.of_words(ids, last, rows)
    torch.testing.assert_close(folded, changed, rtol=1e-4, atol=1e-4)
