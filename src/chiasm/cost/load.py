"""What a model is to bear: a batch of so many samples, answered or taught."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from chiasm.cost.geometry import Prompt, make_prompt
from chiasm.data.collate import IGNORED
from chiasm.data.views import stack_views
from chiasm.spec import Answers, Size, Stage
from chiasm.stream import Inputs, TokenTable

MOST = 1 << 22
"""Most text rows, and most visual tokens of a picture, of a sample."""
Pixels = Callable[..., Tensor]
"""Makes a tensor of a shape and a type: `torch.randn`, or one without values."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """A batch of equal samples: `text` rows about `pictures` pictures, then an answer of `new`."""

    batch: int = 1
    text: int = 64
    pictures: int = 1
    image: Size = (336, 336)
    new: int = 128
    stage: Stage | None = None
    """The stage that is taught; None: the prompt is answered."""
    dtype: str = "bf16"
    """Of weights and activations; taught weights are fp32 always, and computed with in this."""

    @property
    def floating(self) -> torch.dtype:
        """The type of weights and pixels."""
        return torch.bfloat16 if self.dtype == "bf16" and self.stage is None else torch.float32


def rows(answers: Answers, load: Load) -> int:
    """Rows of a sample at the end: text, placeholders and what is answered."""
    found = _prompt(answers, load).geometry
    return load.text + load.pictures * found.placeholders + (0 if load.stage else load.new)


def _prompt(answers: Answers, load: Load) -> Prompt:
    """The prompt about one of the load's pictures, beside the others."""
    return make_prompt(
        answers, load.text, None, load.image, most=MOST, pictures=max(1, load.pictures)
    )


def load_inputs(answers: Answers, load: Load, pixels: Pixels = torch.randn) -> Inputs:
    """Random inputs of a load; all text rows behind the pictures are taught."""
    prompt = _prompt(answers, load)
    found, count = prompt.geometry, load.pictures if prompt.geometry.views else 0
    table, source = _repeated(answers, prompt, count)
    ids = torch.randint(0, answers.host.vocabulary, (load.batch, table.shape[1]))
    labels = None
    if load.stage is not None:
        labels = ids.masked_fill(source >= 0, IGNORED)
        labels[:, : prompt.first_media_row] = IGNORED
    inputs = Inputs(
        ids=ids,
        table=_batched(table, load.batch),
        source=source.repeat(load.batch, 1),
        labels=labels,
    )
    if not count:
        return inputs
    sketch = [torch.empty(3, *view.target, device="meta") for view in found.views]
    stacked, valid = _stacked(sketch)
    views, every = len(found.views), load.batch * count
    memory = _batched(_items(prompt.memory, count), load.batch)
    return replace(
        inputs,
        images=pixels((every * views, *stacked), dtype=load.floating),
        image_valid=None if valid is None else valid.repeat(every, 1, 1),
        owners=torch.arange(every * views).view(load.batch, count * views),
        memory=memory,
    )


def _stacked(views: list[Tensor]) -> tuple[torch.Size, Tensor | None]:
    """The shape of a view in a stack of them, and the mask of their pixels."""
    if len({view.shape for view in views}) == 1:
        return views[0].shape, None
    real = [torch.zeros(3, *view.shape[1:]) for view in views]
    images, valid = stack_views(real)
    return images.shape[1:], valid


def _repeated(answers: Answers, prompt: Prompt, count: int) -> tuple[TokenTable, Tensor]:
    """The prompt's rows with its picture's repeated, each an item of its own, and their source."""
    first, held = prompt.first_media_row, prompt.geometry.placeholders
    picture = torch.arange(first, first + held)
    index = torch.cat(
        [torch.arange(first), picture.repeat(count), torch.arange(first + held, prompt.rows)]
    )
    source = torch.full((1, len(index)), -1)
    item = torch.zeros(1, len(index), dtype=torch.long)
    kept = prompt.geometry.kept
    for at in range(count):
        start = first + at * held
        item[:, start:] = at + 1
        tokens = prompt.geometry.first_source + torch.arange(held)
        source[:, start : start + held] = at * kept + tokens
    table = prompt.table.rows(index.unsqueeze(0))
    order = torch.arange(len(index)).unsqueeze(0)
    position = order.float().unsqueeze(-1)
    table = replace(table, item=item, order=order, position=position)
    return answers.positions.number(table), source


def _items(memory: TokenTable, count: int) -> TokenTable:
    """The memory's tokens once for each picture."""
    tokens = memory.shape[1]
    table = memory.rows(torch.arange(tokens).repeat(count).unsqueeze(0))
    item = torch.arange(1, count + 1).repeat_interleave(tokens).unsqueeze(0)
    return replace(table, item=item, order=torch.arange(count * tokens).unsqueeze(0))


def _batched(table: TokenTable, batch: int) -> TokenTable:
    return TokenTable(
        **{
            name: column.expand(batch, *column.shape[1:]).contiguous()
            for name, column in table.columns()
        }
    )
