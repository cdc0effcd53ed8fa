"""Zorro on groups of latents: streams of one modality are exactly that, at every depth."""

from dataclasses import replace

import pytest
import torch
from tests.operator_count import operator_macs
from torch import Tensor

from chiasm.connectors.zorro_hip import FUSION, IMAGE, STREAMS, TEXT, HiPStreams, Stage, ZorroHiP
from chiasm.errors import Misuse
from chiasm.stream import Asked, Features

ANSWER = ZorroHiP(
    stages=(Stage(3, 2, 1), Stage(2, 5, 2), Stage(1, 3, 1)),
    latent_width=12,
    heads=3,
    words=7,
    ff_multiple=2,
    initial_std=1.0,
)
WIDTH, HOST, TOKENS = 11, 13, 17


def module(answer: ZorroHiP = ANSWER) -> HiPStreams:
    torch.manual_seed(0)
    return answer.build(WIDTH, HOST).eval()


def features(seed: int) -> Features:
    made = torch.randn(2, TOKENS, WIDTH, generator=torch.Generator().manual_seed(seed))
    return Features(made, (1, TOKENS))


def asked(seed: int, words: int = 5) -> Asked:
    generator = torch.Generator().manual_seed(seed)
    valid = torch.ones(2, words, dtype=torch.bool)
    valid[1, 3:] = False
    made = torch.randn(2, words, HOST, generator=generator)
    return Asked(valid.long(), made, valid, lambda: torch.zeros(2, HOST))


def latents(streams: HiPStreams, image: int | None, text: int | None) -> dict[str, Tensor]:
    arrays = {}
    if image is not None:
        arrays[IMAGE] = streams.of_image(features(image))
    if text is not None:
        arrays[TEXT] = streams.of_words(asked(text))
    return streams.streams(arrays)


def test_a_modality_is_exactly_the_same_whatever_stands_beside_it() -> None:
    streams = module()
    both, other_text, other_image = (latents(streams, i, t) for i, t in ((1, 2), (1, 3), (4, 2)))
    assert torch.equal(both[IMAGE], other_text[IMAGE])
    assert torch.equal(both[TEXT], other_image[TEXT])
    assert torch.equal(both[IMAGE], latents(streams, 1, None)[IMAGE])
    assert torch.equal(both[TEXT], latents(streams, None, 2)[TEXT])
    for changed in (other_text, other_image):
        assert (both[FUSION] - changed[FUSION]).abs().max() > 1e-3


def test_no_gradient_crosses() -> None:
    streams = module()
    image, words = features(1).tokens.requires_grad_(), asked(2).embeddings.requires_grad_()
    arrays = {
        IMAGE: streams.of_image(Features(image, (1, TOKENS))),
        TEXT: streams.of_words(replace(asked(2), embeddings=words)),
    }
    made = streams.streams(arrays)
    for name, own, other in ((IMAGE, image, words), (TEXT, words, image)):
        gradients = torch.autograd.grad(
            made[name].square().sum(), (own, other), retain_graph=True, allow_unused=True
        )
        assert gradients[0].abs().max() > 0 and gradients[1] is None
    gradients = torch.autograd.grad(made[FUSION].square().sum(), (image, words))
    assert all(g.abs().max() > 0 for g in gradients)


def test_entangled_streams_have_as_many_parameters_and_mix() -> None:
    entangled = module(replace(ANSWER, pure=False))
    count = sum(p.numel() for p in entangled.parameters())
    assert count == sum(p.numel() for p in module().parameters())
    one, other = latents(entangled, 1, 2), latents(entangled, 1, 3)
    assert (one[IMAGE] - other[IMAGE]).abs().max() > 1e-3


def test_streams_equal_one_masked_read_of_everything() -> None:
    """The slow reference: every group reads all streams, a mask hides those it may not see."""
    streams = module()
    arrays = {IMAGE: streams.of_image(features(1)), TEXT: streams.of_words(asked(2))}
    found = streams.streams(arrays)
    for sample in range(2):
        given = {name: values[sample][valid[sample]] for name, (values, valid) in arrays.items()}
        for at, stage in enumerate(ANSWER.stages):
            cut = {name: cut_slowly(values, stage.groups) for name, values in given.items()}
            given = {
                stream: torch.cat(
                    [group_slowly(streams, at, stream, g, cut) for g in range(stage.groups)]
                )
                for stream in STREAMS
            }
        for name in STREAMS:
            torch.testing.assert_close(found[name][sample], given[name], atol=1e-5, rtol=1e-5)


def cut_slowly(values: Tensor, groups: int) -> list[Tensor]:
    each = -(-len(values) // groups)
    return [values[g * each : (g + 1) * each] for g in range(groups)]


def group_slowly(
    streams: HiPStreams, at: int, stream: str, group: int, cut: dict[str, list[Tensor]]
) -> Tensor:
    x = torch.cat([parts[group] for parts in cut.values()])
    seen = [torch.full((len(p[group]),), stream in (FUSION, n)) for n, p in cut.items()]
    z = streams.latents[at][stream][group][None]
    z = read_slowly(streams.reads[at], z, x[None], torch.cat(seen)[None])
    for layer in streams.blocks[at]:
        z = read_slowly(layer, z, None, torch.ones(1, z.shape[1], dtype=torch.bool))
    return z[0]


def read_slowly(layer: torch.nn.Module, z: Tensor, x: Tensor | None, mask: Tensor) -> Tensor:
    normed = layer.norm_latents(z)
    source = normed if x is None else layer.norm_array(x)
    heads = []
    for q, k, v in zip(
        *(
            f(s).chunk(layer.heads, -1)
            for f, s in ((layer.query, normed), (layer.key, source), (layer.value, source))
        ),
        strict=True,
    ):
        scores = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).masked_fill(
            ~mask[:, None], -torch.inf
        )
        heads.append(scores.softmax(-1).nan_to_num(0.0) @ v)
    z = z + layer.output(torch.cat(heads, -1))
    return z + layer.contract(torch.nn.functional.gelu(layer.expand(layer.norm(z))))


def test_count_and_work_equal_what_runs() -> None:
    streams = module()
    tokens = streams.connect(features(1), asked(2)).embeddings
    assert tokens.shape == (2, ANSWER.count((1, TOKENS)), HOST)
    one = Features(features(1).tokens[:1], (1, TOKENS))
    question = asked(2, ANSWER.words)
    question = replace(question, embeddings=question.embeddings[:1], valid=question.valid[:1])
    counted = operator_macs(lambda: streams.connect(one, question))
    macs = sum(w.macs for w in ANSWER.work((1, TOKENS), WIDTH, HOST))
    assert macs == pytest.approx(counted, rel=0.01)


def test_padding_of_a_question_changes_nothing() -> None:
    streams = module()
    short, longer = asked(2), asked(2)
    padded = torch.nn.functional.pad(longer.embeddings, (0, 0, 0, 2), value=9.0)
    longer = replace(
        longer,
        ids=torch.zeros(2, 7),
        embeddings=padded,
        valid=torch.nn.functional.pad(longer.valid, (0, 2)),
    )
    torch.testing.assert_close(
        streams.connect(features(1), short).embeddings,
        streams.connect(features(1), longer).embeddings,
    )


def test_a_question_that_is_too_long_is_refused() -> None:
    with pytest.raises(Misuse, match="9 tokens is longer than the 7"):
        module().of_words(asked(1, 9))
