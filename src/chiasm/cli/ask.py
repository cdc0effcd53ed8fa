"""`chiasm ask`: a question about images, answered by a checkpoint."""

import json
from pathlib import Path
from typing import Annotated

import typer


def ask(
    checkpoint: Annotated[
        str, typer.Argument(help="A chiasm or LLaVA-type Hugging Face folder, or an alias.")
    ],
    words: Annotated[
        list[str],
        typer.Argument(metavar="[IMAGE] QUESTION", help="An image and a question, or a question."),
    ],
    image: Annotated[
        list[str] | None,
        typer.Option(
            help="An image file, a data URI, - for standard input, or a folder; repeat to show "
            "several images together. A folder is asked about one image at a time."
        ),
    ] = None,
    max_new: Annotated[int, typer.Option(help="Longest answer, in tokens.")] = 64,
    temperature: Annotated[float, typer.Option(help="0 takes the likeliest token.")] = 0.0,
    top_p: Annotated[float, typer.Option(help="Nucleus that is sampled from.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Seed of the sampling.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
) -> None:
    """Answer a question about one image, several, or every image of a folder.

    Example: chiasm ask runs/demo/saisa picture.png "What color is the shape?"
    """
    from chiasm.data.media import list_images
    from chiasm.errors import Misuse

    if len(words) > 2:
        raise Misuse(f"{len(words)} words after the checkpoint; put the question in quotes")
    question = words[-1].strip()
    sources = [*words[:-1], *(image or [])]
    if not question:
        raise Misuse("the question is empty; ask something")
    folders = [source for source in sources if Path(source).is_dir()]
    if folders and len(sources) > 1:
        raise Misuse(f"{folders[0]} is a folder; ask about it alone, without other images")

    from chiasm.answering import Asker
    from chiasm.decoding import Sampling

    sampling = Sampling(temperature=temperature, top_p=top_p, seed=seed)
    shown = [[str(path)] for path in list_images(folders[0])] if folders else [sources]
    asker = Asker.open(checkpoint)
    told = []
    for images in shown:
        answer = asker.answer(question, images, max_new=max_new, sampling=sampling)
        for note in answer.notes:
            typer.echo(f"note: {note}", err=True)
        if as_json:
            named = [source if len(source) < 200 else source[:40] + "…" for source in images]
            told.append({"images": named, "question": question, "answer": answer.text})
        else:
            typer.echo(f"{Path(images[0]).name}: {answer.text}" if folders else answer.text)
    if as_json:
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
