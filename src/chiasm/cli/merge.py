"""`chiasm merge`: a multimodal model and the language model it began as, mixed by their weights."""

from pathlib import Path
from typing import Annotated

import typer


def merge(
    model: Annotated[str, typer.Argument(help="A run of `chiasm train`, or a folder.")],
    text: Annotated[
        str, typer.Argument(help="The language model it began as: a folder, or an alias.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the merged model.")],
    share: Annotated[
        float, typer.Option(help="Of the multimodal model's weights: 1 leaves them, 0 drops them.")
    ] = 0.5,
) -> None:
    """Draw a taught model's host back towards its language model; encoder and connector stay.

    Example: chiasm merge runs/llava smollm2-135m --share 0.5 --out runs/llava-merged
    """
    from chiasm.errors import Misuse
    from chiasm.hub.checkpoint import open_checkpoint
    from chiasm.hub.folder import save
    from chiasm.merging import merge as mix

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Misuse(f"{out} is not empty; choose another --out, or remove it")
    taught, language = open_checkpoint(model), open_checkpoint(text)
    count = mix(taught.model, language.model, share)
    save(
        taught.model,
        out,
        slug=taught.slug,
        scale=taught.scale,
        tokenizer=taught.tokenizer,
        tokens=taught.tokens,
        template=taught.template,
        extra={"merged": {"model": model, "text": text, "share": share}},
    )
    typer.echo(f"{out}: {count} tensors, {share:g} of {model} and {1 - share:g} of {text}")
