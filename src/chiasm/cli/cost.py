"""`chiasm cost`: parameters, multiply-adds and bytes of systems, counted without building them."""

import json
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from chiasm.cost import Bill
    from chiasm.spec import Answers, Size

UNITS = {"T": 1e12, "G": 1e9, "M": 1e6, "k": 1e3, "": 1.0}
CONVENTIONS = (
    "tables: the convention of the LLaVA family's tables: 2 FLOPs a multiply-add, dense attention "
    "pairs, connector + decoder (slots, pre-fusion and the scoring and merging of rows included), "
    "no vision encoder, no LM head.",
    "executed: what the row plan runs: visible pairs only, encoder and the head on the last row "
    "included. Encoder and head belong to it alone; the encoder is counted for the image itself.",
)


def cost(
    systems: Annotated[list[str], typer.Argument(help="Systems, by slug; `chiasm systems` lists.")],
    scale: Annotated[str, typer.Option(help="nano, smol or paper.")] = "paper",
    visual: Annotated[
        int | None,
        typer.Option(help="Visual tokens given to the connector; default: what the image makes."),
    ] = None,
    text: Annotated[int, typer.Option(help="Text tokens of the prompt.")] = 64,
    image: Annotated[
        str | None, typer.Option(metavar="HxW", help="Size of the image in pixels.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="[SYSTEM:]PATH=VALUE",
            help="Change an answer, for all systems or one; repeat for several.",
        ),
    ] = None,
    dtype: Annotated[str, typer.Option(help="Type of weights and activations.")] = "bf16",
    compress: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METHOD:keep=SHARE[,KEY=VALUE][+METHOD:…]",
            help="Count each system also with visual rows taken out; repeat for several.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
) -> None:
    """Count what systems cost for a prompt about one image; nothing is allocated or downloaded.

    Example: chiasm cost saisa llava-1.5 --scale paper --visual 576 --text 64
    Or: chiasm cost llava-1.5 --compress fastv:keep=0.25 --compress uniform:keep=0.25
    """
    from chiasm.cost import count

    size = None if image is None else image_size(image)
    chosen = list(dict.fromkeys(systems))
    changed = overridden(chosen, scale, settings or [])
    bills = [
        count(
            changed[slug],
            scale,
            visual=visual,
            text=text,
            image_size=size,
            dtype=dtype,
            name=slug,
            compress=methods,
        )
        for slug in chosen
        for methods in (None, *(compress or ()))
    ]
    if as_json:
        typer.echo(json.dumps([bill.as_object() for bill in bills], indent=2))
    else:
        print_bills(bills, settings or [])


def image_size(text: str) -> "Size":
    """`HxW` as (height, width)."""
    from chiasm.errors import Misuse

    found = re.fullmatch(r"(\d{1,9})[xX×](\d{1,9})", text.strip())
    if found is None:
        raise Misuse(f"--image {text}: write height and width in pixels, such as 336x336")
    return int(found[1]), int(found[2])


def overridden(systems: Sequence[str], scale: str, settings: Sequence[str]) -> dict[str, "Answers"]:
    """Each system's answers with the settings that concern it; `slug:` in front names one."""
    from chiasm.cost.count import answers_at
    from chiasm.errors import Misuse
    from chiasm.spec import system
    from chiasm.spec.override import override

    shared: list[str] = []
    own: dict[str, list[str]] = {slug: [] for slug in systems}
    for setting in settings:
        slug, colon, rest = setting.partition("=")[0].partition(":")
        if not colon:
            shared.append(setting)
        elif slug in own:
            own[slug].append(setting[len(slug) + 1 :])
        else:
            raise Misuse(
                f"--set {setting}: {slug} is not counted here; name one of {', '.join(own)}"
                + ("" if rest else " and a field")
            )
    return {
        slug: override(answers_at(system(slug), scale), [*shared, *mine])
        for slug, mine in own.items()
    }


def print_bills(bills: Sequence["Bill"], settings: Sequence[str]) -> None:
    """The conventions, then two tables: FLOPs by part, parameters and bytes."""
    from chiasm.cli.console import console

    screen = console()
    first = bills[0]
    set_to = "".join(f", {setting}" for setting in settings)
    screen.print(
        f"{first.scale} scale, {first.text_tokens} text tokens, image {first.image[0]}x"
        f"{first.image[1]}, {first.dtype}, batch 1{set_to}",
        markup=False,
        highlight=False,
    )
    for line in CONVENTIONS:
        screen.print(line, style="dim", highlight=False)
    for at, methods in enumerate(compressions(bills), 1):
        screen.print(f"[{at}] {methods}", markup=False, highlight=False)
        for bill in bills:
            if bill.compress == methods:
                own = bill.part_flops("compression")
                said = (
                    f"    {bill.system}: {runs(bill.rows_by_layer)}, of {bill.rows:,} rows; "
                    f"scoring and merging {number(own, unit_of(own))} {unit_of(own)}FLOPs"
                )
                screen.print(said, style="dim", highlight=False)
    screen.print()
    screen.print(flops_table(bills))
    screen.print()
    screen.print(bytes_table(bills))


def flops_table(bills: Sequence["Bill"]) -> "Table":
    """Prefill by part and under both conventions, and one decoded token; ratios to the first."""
    first = bills[0]
    unit = unit_of(max(bill.prefill_flops_executed for bill in bills))
    step = unit_of(max(bill.decode_flops for bill in bills))
    columns: list[tuple[str, Callable[[Bill], str]]] = [
        ("visual", lambda b: f"{b.visual_tokens:,}"),
        ("rows", lambda b: f"{b.rows:,}"),
        ("connector", lambda b: number(b.part_flops("connector"), unit)),
        ("decoder", lambda b: number(b.part_flops("decoder"), unit)),
        ("tables", lambda b: number(b.prefill_flops, unit)),
        ("ratio", lambda b: ratio(b.prefill_flops, first.prefill_flops)),
        ("encoder", lambda b: number(b.part_flops("encoder"), unit)),
        ("head", lambda b: number(b.head_row_flops, unit)),
        ("executed", lambda b: number(b.prefill_flops_executed, unit)),
        ("ratio", lambda b: ratio(b.prefill_flops_executed, first.prefill_flops_executed)),
        ("step", lambda b: number(b.decode_flops, step)),
    ]
    title = f"prefill in {unit}FLOPs; step, one decoded token against the cache, in {step}FLOPs"
    return table(title, bills, columns)


def bytes_table(bills: Sequence["Bill"]) -> "Table":
    """Parameters, and bytes of weights, keys and values, and the peak."""
    first = bills[0]
    columns: list[tuple[str, Callable[[Bill], str]]] = [
        ("parameters", lambda b: f"{b.parameters.total:,}"),
        ("trained", lambda b: f"{b.parameters.trained:,}"),
        ("active", lambda b: f"{b.parameters.active:,}"),
        ("weights", lambda b: size(b.weight_bytes)),
        ("K/V", lambda b: size(b.kv_bytes)),
        ("ratio", lambda b: ratio(b.kv_bytes, first.kv_bytes)),
        ("peak", lambda b: size(b.peak_bytes_predicted)),
    ]
    return table("parameters and bytes", bills, columns)


def table(
    title: str, bills: Sequence["Bill"], columns: Sequence[tuple[str, Callable[["Bill"], str]]]
) -> "Table":
    from rich.table import Table
    from rich.text import Text

    made = Table(
        title=title, title_justify="left", box=None, header_style="bold", padding=(0, 1, 0, 0)
    )
    made.add_column("system", no_wrap=True)
    for name, _ in columns:
        made.add_column(name, justify="right", no_wrap=True)
    numbered = [None, *compressions(bills)]
    for bill in bills:
        at = numbered.index(bill.compress)
        name = Text(f"{bill.system} [{at}]" if at else bill.system)
        made.add_row(name, *(value(bill) for _, value in columns))
    return made


def compressions(bills: Sequence["Bill"]) -> list[str]:
    """What was stated to take visual rows out, each once."""
    return list(dict.fromkeys(bill.compress for bill in bills if bill.compress is not None))


def runs(rows: Sequence[int]) -> str:
    """Rows by layer as `640 to layer 15, 212 to layer 31`."""
    last = [at for at, count in enumerate(rows) if at + 1 == len(rows) or rows[at + 1] != count]
    return ", ".join(f"{rows[at]:,} to layer {at}" for at in last)


def unit_of(value: float) -> str:
    """The largest prefix that leaves at least 1."""
    return next((prefix for prefix, size in UNITS.items() if value >= size), "")


def number(value: float, unit: str) -> str:
    scaled = value / UNITS[unit]
    return f"{scaled:.2f}" if scaled < 100 else f"{scaled:.1f}"


def ratio(value: float, first: float) -> str:
    return f"{value / first:.2f}" if first else "-"


def size(count: int) -> str:
    """Bytes in decimal units, three digits."""
    unit = unit_of(count)
    return f"{count / UNITS[unit]:.3g} {unit}B"
