"""Recoverable compression with CLIP's text tower, attached to LLaVA."""

from typing import Any

import pytest
import torch
import transformers as library
from tests.compressing import tiny_hosts as tiny
from tests.compressing.test_dropping import logits

import chiasm
from chiasm.compressing import ClipQuestion
from chiasm.compression.evidence import TextSimilarity
from chiasm.compression.methods.recoverable import Recovered
from chiasm.errors import Misuse
from chiasm.spec.reading import Execution

transformers: Any = library
pytestmark = pytest.mark.evidence(slug="recoverable-compression", grade="lawful")
NAME = "recoverable-compression"


def clip(width: int, projected: int = 7) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        text = transformers.CLIPTextConfig(
            vocab_size=53,
            hidden_size=12,
            intermediate_size=17,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=11,
            eos_token_id=2,
        )
        vision = transformers.CLIPVisionConfig(
            hidden_size=width,
            intermediate_size=17,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=8,
            patch_size=4,
        )
        config = transformers.CLIPConfig(
            text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=projected
        )
        return transformers.CLIPModel(config).eval()


def asked(model: Any, seed: int = 0) -> ClipQuestion:
    draw = torch.Generator().manual_seed(seed)
    width = model.config.vision_config.hidden_size
    return ClipQuestion(clip=clip(width), ids=torch.randint(3, 53, (2, 11), generator=draw))


def test_likeness_is_the_cosine_of_clips_own_projections() -> None:
    question = ClipQuestion(clip=clip(12), ids=torch.tensor([[4, 9, 2, 2], [7, 8, 9, 2]]))
    features = torch.randn(5, 12, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        text = question.clip.text_model(input_ids=question.ids).last_hidden_state[:, -1]
        text = question.clip.text_projection(text)
        normed = question.clip.vision_model.post_layernorm(features)
        patches = question.clip.visual_projection(normed)
        for sample in range(2):
            expected = (patches @ text[sample]) / (
                patches.norm(dim=-1) * text[sample].norm().clamp(min=1e-8)
            )
            torch.testing.assert_close(question.likeness(features, sample), expected)
    with pytest.raises(Misuse, match="width 12, the host's encoder gives 5"):
        question.likeness(torch.randn(3, 5), 0)
    with pytest.raises(Misuse, match="sample 2 has no question; 2 are given"):
        question.likeness(features, 2)


@pytest.mark.parametrize("kind", ["llava", "llava_next"])
def test_dropping_is_hiding_and_the_question_is_heard(kind: str, monkeypatch: Any) -> None:
    model, batch = tiny.host(kind, 1), tiny.batch(kind, 2)
    told: dict[str, Any] = {"keep": 0.4, "text": "tower"}
    found = []
    for execution in (Execution.PLANNED, Execution.MASKED):
        with chiasm.compress(model, NAME, question=asked(model), execution=execution, **told):
            found.append(logits(model, batch))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-5)
    heard = []
    own = Recovered.apply

    def listening(self: Any, evidence: Any, scores: Any, count: int) -> Any:
        heard.append(evidence.seen[TextSimilarity()])
        return own(self, evidence, scores, count)

    monkeypatch.setattr(Recovered, "apply", listening)
    for seed in (0, 1):
        with chiasm.compress(model, NAME, question=asked(model, seed), **told):
            logits(model, batch)
    half = len(heard) // 2
    assert half and any(
        not torch.equal(one, other) for one, other in zip(heard[:half], heard[half:], strict=True)
    )


def test_without_a_question_the_tower_is_refused() -> None:
    with pytest.raises(Misuse, match="pass question="):
        chiasm.compress(tiny.host("llava", 1), NAME, keep=0.4, text="tower")
    model = tiny.host("qwen2_vl", 1)
    question = ClipQuestion(clip=clip(12), ids=torch.zeros(1, 4, dtype=torch.long))
    with pytest.raises(Misuse, match="one patch a token"):
        chiasm.compress(model, NAME, keep=0.4, text="tower", question=question)
    with pytest.raises(Misuse, match="prefix_caching"):
        chiasm.compress(tiny.host("llava", 1), NAME, keep=0.4, prefix_caching=True)
