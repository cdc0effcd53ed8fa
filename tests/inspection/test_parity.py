"""The weights that are read are those that transformers writes down when it is asked to."""

import pytest
import torch
from transformers import LlavaForConditionalGeneration

from chiasm.answering import Asker
from chiasm.hub import Checkpoint, load
from chiasm.hub.examples import flat
from chiasm.hub.tiny import write
from chiasm.inspection.subject import Asked, Subject
from chiasm.inspection.watching import watch


@pytest.mark.evidence(slug="visual-heads", grade="lawful")
def test_weights_equal_those_of_transformers_eager_attention(tmp_path):
    write("LlavaForConditionalGeneration", tmp_path, 3)
    ours = load(tmp_path)
    theirs = LlavaForConditionalGeneration.from_pretrained(tmp_path, attn_implementation="eager")
    draw = torch.Generator().manual_seed(5)
    shown = flat(ours.model.answers, (1, 1), draw)
    image, count = ours.tokens.image, shown.marks[0][0]
    free = [at for at in range(40) if at not in (image, ours.tokens.pad)]
    ids = torch.tensor(
        [
            [free[3], *[image] * count, free[5], free[11], free[7]],
            [free[8], free[2], *[image] * count, free[13], free[4]],
        ]
    )
    kept = []
    make = ours.model.stream
    ours.model.stream = lambda inputs, **told: kept.append(inputs) or make(inputs, **told)
    ours(input_ids=ids, **shown.media)
    del ours.model.stream
    checkpoint = Checkpoint(
        folder=tmp_path, model=ours.model, tokens=ours.tokens, slug=None, scale=None
    )
    ends = torch.full((2,), ids.shape[1] - 1)
    subject = Subject(Asker(checkpoint, None), ())
    layers, logits = watch(subject, Asked((), kept[0], ends))
    with torch.no_grad():
        told = theirs.eval()(input_ids=ids, **shown.media, output_attentions=True)
    assert len(layers) == len(told.attentions) > 1
    for one, weights in zip(layers, told.attentions, strict=True):
        torch.testing.assert_close(one.weights, weights[:, :, -1], atol=1e-5, rtol=1e-4)
        assert torch.equal(one.visual, ids == image)
    torch.testing.assert_close(logits, told.logits[:, -1], atol=1e-4, rtol=1e-4)
