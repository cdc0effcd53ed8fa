"""A chiasm model behind the keyword inputs and outputs of transformers' own models."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast

from chiasm.decoding import Sampling, generate
from chiasm.errors import ChiasmError, Misuse
from chiasm.hub.inputs import Past, assemble, gridded, pictures
from chiasm.hub.sight import assemble_by_sight
from chiasm.hub.tiles import assemble_by_tile
from chiasm.hub.tokens import SpecialTokens
from chiasm.model import Model
from chiasm.stream import Inputs, Stream


class KeywordModel(nn.Module):
    """What `chiasm.load` returns: called like transformers' model of the same folder.

    `.model` is the chiasm model; `.tokens` the ids with a meaning. Every row is taken for the
    user's: a system whose rules tell question from answer (AKI, LLaVA-Mini) reads prompts here,
    and whole conversations through `.model` and `chiasm.data.collate`.
    """

    def __init__(self, model: Model, tokens: SpecialTokens) -> None:
        super().__init__()
        self.model, self.tokens = model, tokens

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def headless(self) -> bool:
        """Whether hidden states come out instead of scores."""
        return next(self.model.head.parameters(), None) is None

    def forward(
        self,
        input_ids: Int[Tensor, "batch token"] | None = None,
        attention_mask: Int[Tensor, "batch row"] | None = None,
        position_ids: Int[Tensor, "batch token"] | None = None,
        past_key_values: Past | None = None,
        inputs_embeds: Float[Tensor, "batch token width"] | None = None,
        pixel_values: Tensor | None = None,
        pixel_attention_mask: Bool[Tensor, "..."] | None = None,
        image_sizes: Int[Tensor, "image 2"] | None = None,
        pixel_mask: Bool[Tensor, "image height width"] | None = None,
        image_attention_mask: Bool[Tensor, "batch token image"] | None = None,
        image_grid_thw: Int[Tensor, "image 3"] | None = None,
        mm_token_type_ids: Int[Tensor, "batch token"] | None = None,
        aspect_ratio_ids: Int[Tensor, "batch image"] | None = None,
        aspect_ratio_mask: Int[Tensor, "batch image tile"] | None = None,
        cross_attention_mask: Int[Tensor, "batch row image tile"] | None = None,
        labels: Int[Tensor, "batch token"] | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
    ) -> CausalLMOutputWithPast | BaseModelOutputWithPast:
        """Scores of every row, or of the last `logits_to_keep`.

        `attention_mask` covers cached rows too. Positions count the real rows unless given.
        `labels` are shifted inside, -100 is not taught; the loss is the mean over the taught rows.
        A cache is returned unless the model is training or `use_cache` is False; it may be passed
        back with the next rows alone, and is extended in place.

        `mm_token_type_ids` say what the ids say already, and are not read.

        Raises:
            ChiasmError: image tokens and images, mask and rows that do not fit, with both counts.
        """
        past = Past() if past_key_values is None else past_key_values
        caching = use_cache if use_cache is not None else not self.training
        caching = caching or past_key_values is not None
        ids = self._ids(input_ids, inputs_embeds)
        if pixel_values is not None and inputs_embeds is not None:
            raise Misuse("inputs_embeds cannot hold images; give input_ids with pixel_values")
        inputs = self._inputs(
            (ids, attention_mask, position_ids),
            (pixel_values, _either(pixel_attention_mask, pixel_mask), image_sizes),
            image_attention_mask,
            image_grid_thw,
            (aspect_ratio_ids, aspect_ratio_mask, cross_attention_mask),
            past,
        )
        self._refuse_far(inputs)
        cache = past.cache if caching else None
        if inputs_embeds is None:
            hidden = self.model.hidden(inputs, cache=cache)
        else:
            hidden = self.model.decoder(Stream(inputs_embeds, inputs.table), cache=cache)
        left = past if caching else None
        if self.headless:
            # transformers' fields are annotated with its own cache class.
            return BaseModelOutputWithPast(last_hidden_state=hidden, past_key_values=left)  # type: ignore[arg-type]
        loss = None if labels is None else self._loss(hidden, labels)
        scores = self.model.scores(hidden[:, _kept(logits_to_keep)])
        return CausalLMOutputWithPast(loss=loss, logits=scores, past_key_values=left)  # type: ignore[arg-type]

    def generate(
        self,
        input_ids: Int[Tensor, "batch token"],
        attention_mask: Int[Tensor, "batch token"] | None = None,
        pixel_values: Tensor | None = None,
        pixel_attention_mask: Bool[Tensor, "..."] | None = None,
        image_sizes: Int[Tensor, "image 2"] | None = None,
        pixel_mask: Bool[Tensor, "image height width"] | None = None,
        image_attention_mask: Bool[Tensor, "batch token image"] | None = None,
        image_grid_thw: Int[Tensor, "image 3"] | None = None,
        mm_token_type_ids: Int[Tensor, "batch token"] | None = None,
        aspect_ratio_ids: Int[Tensor, "batch image"] | None = None,
        aspect_ratio_mask: Int[Tensor, "batch image tile"] | None = None,
        cross_attention_mask: Int[Tensor, "batch row image tile"] | None = None,
        *,
        max_new_tokens: int = 20,
        do_sample: bool = False,
        temperature: float = 1.0,
        top_p: float = 1.0,
        seed: int = 0,
        eos_token_id: int | Sequence[int] | None = None,
        pad_token_id: int | None = None,
    ) -> Int[Tensor, "batch longer"]:
        """The prompt and what follows it, `pad_token_id` after an end: greedy, or drawn by `seed`.

        Samples are padded on the left, as transformers asks; None takes the checkpoint's own ids.
        """
        if self.headless:
            raise Misuse("this checkpoint has no language head; load one that has to generate")
        given = self.tokens.eos if eos_token_id is None else eos_token_id
        stop = (given,) if isinstance(given, int) else tuple(given)
        pads = (pad_token_id, self.tokens.pad, *stop, 0)
        inputs = self._inputs(
            (input_ids, attention_mask, None),
            (pixel_values, _either(pixel_attention_mask, pixel_mask), image_sizes),
            image_attention_mask,
            image_grid_thw,
            (aspect_ratio_ids, aspect_ratio_mask, cross_attention_mask),
            Past(),
        )
        made = generate(
            self.model,
            inputs,
            max_new=max_new_tokens,
            stop=stop,
            pad=next(pad for pad in pads if pad is not None),
            sampling=Sampling(
                temperature=temperature if do_sample else 0.0, top_p=top_p, seed=seed
            ),
        )
        return torch.cat([input_ids, made.ids[:, 0]], dim=1)

    def _inputs(
        self,
        rows: tuple[Tensor, Tensor | None, Tensor | None],
        images: tuple[Tensor | None, Tensor | None, Tensor | None],
        sight: Tensor | None,
        grids: Tensor | None,
        tiles: tuple[Tensor | None, Tensor | None, Tensor | None],
        past: Past,
    ) -> Inputs:
        """Ids, their mask and positions; pixels, their mask and sizes; which rows read which; the
        grids of patches that are all images' in a row; aspect ratios, real tiles, which rows read
        which tiles.
        """
        answers = self.model.answers
        past.by_sight = past.by_sight or sight is not None
        past.by_tile = past.by_tile or (images[0] is not None and images[0].dim() == 6)
        if past.by_tile:
            return assemble_by_tile(answers, *rows, images[0], tiles[:2], tiles[2], past)
        if past.by_sight:
            return assemble_by_sight(answers, *rows, images[0], sight, past)
        if grids is None:
            seen = pictures(answers, *images, around=len(self.tokens.indicators))
        else:
            encoder: Any = answers.encoder
            seen = gridded(images[0], grids, encoder.config.spatial_merge_size)
        return assemble(*rows, seen, self.tokens, past, answers.positions)

    def _ids(self, input_ids: Tensor | None, inputs_embeds: Tensor | None) -> Tensor:
        if (input_ids is None) == (inputs_embeds is None):
            raise Misuse("give input_ids or inputs_embeds, one of the two")
        if input_ids is None:
            assert inputs_embeds is not None
            return inputs_embeds.new_zeros(inputs_embeds.shape[:2], dtype=torch.long)
        size = self.model.answers.host.vocabulary
        if input_ids.numel() and not 0 <= int(input_ids.min()) <= int(input_ids.max()) < size:
            raise ChiasmError(
                f"input_ids run from {int(input_ids.min())} to {int(input_ids.max())}, "
                f"the vocabulary from 0 to {size - 1}; use the checkpoint's own tokenizer"
            )
        return input_ids

    def _refuse_far(self, inputs: Inputs) -> None:
        """Dynamic rotary scaling changes with the length once the context is exceeded."""
        host = self.model.answers.host
        if ("rope_type", "dynamic") not in host.rope_scaling:
            return
        far = int(inputs.table.position.max()) + 1
        if far > host.max_positions:
            raise ChiasmError(
                f"{far} rows are more than the context of {host.max_positions}, beyond which "
                "dynamic rotary scaling is not supported; shorten the input"
            )

    def _loss(self, hidden: Tensor, labels: Tensor) -> Float[Tensor, ""]:
        following = labels[:, 1:]
        taught = following >= 0
        scores = self.model.scores(hidden[:, :-1][taught])
        return self.model.answers.teaching.objective.judge(scores, following[taught])


def _either(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    """The mask of pixels, by whichever of its two names it came."""
    return one if other is None else other


def _kept(logits_to_keep: int | Tensor) -> slice | Tensor:
    """The rows whose scores are wanted: the last so many (0: all), or those named."""
    if isinstance(logits_to_keep, int):
        return slice(-logits_to_keep, None) if logits_to_keep else slice(None)
    return logits_to_keep
