"""`chiasm slim`: a checkpoint without what its pretrained parts give again."""

from pathlib import Path
from typing import Annotated

import typer


def slim(
    model: Annotated[str, typer.Argument(help="A run of `chiasm train` on pretrained parts.")],
    out: Annotated[Path, typer.Option(help="Folder of the small checkpoint.")],
) -> None:
    """Write a checkpoint of what was taught alone: connector, adapters, and what else changed.

    It opens wherever the same parts are: `chiasm weights list` says which those are.

    Example: chiasm slim runs/mine --out runs/mine-small
    """
    from chiasm.errors import Misuse
    from chiasm.hub.changes import save_changes
    from chiasm.hub.checkpoint import open_checkpoint
    from chiasm.hub.folder import FILE, read_record
    from chiasm.hub.tensors import stored_tensors

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Misuse(f"{out} is not empty; choose another --out, or remove it")
    taught = open_checkpoint(model)
    if not (taught.folder / FILE).is_file():
        raise Misuse(f"{model} is a folder of transformers' own, which names no parts; give a run")
    save_changes(taught, out, read_record(taught.folder).extra)
    before, after = (
        sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) / 1e6
        for folder in (taught.folder, out)
    )
    count = len(stored_tensors(out))
    typer.echo(f"{out}: {count} tensors, {after:.1f} MB with its tokenizer (of {before:.1f} MB)")
