"""`chiasm explain`: a system's story in execution order, with shapes and code locations."""

from typing import Annotated

import typer


def explain(
    slug: Annotated[str, typer.Argument(metavar="SYSTEM", help="A system, such as saisa.")],
    scale: Annotated[str, typer.Option(help="nano, smol or paper.")] = "paper",
    text: Annotated[int, typer.Option(help="Text tokens of the example prompt.")] = 64,
) -> None:
    """Tell what happens to an image and a question, step by step, layer by layer.

    Example: chiasm explain saisa
    """
    from rich.console import Console

    from chiasm.errors import Misuse
    from chiasm.explaining import story
    from chiasm.spec import scale_named, system

    if not 1 <= text <= 1_000_000:
        raise Misuse(f"--text {text} is outside 1 to 1,000,000 tokens")
    out = Console(highlight=False, soft_wrap=True)
    for line in story(system(slug), scale_named(scale), text=text):
        out.print(line)
