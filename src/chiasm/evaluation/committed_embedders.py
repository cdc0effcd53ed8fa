"""The README's table of embedders: taught alike on packaged pairs, held-out pairs to find."""

from collections.abc import Mapping
from typing import Any

from chiasm.evaluation.committed_files import table

HEAD = ("system", "asked", "recall@1", "@5", "@10", "bytes an item", "index ms", "query ms")


def embedders_block(found: Mapping[str, Any]) -> str:
    """A row a system and way of asking, and chance of each way once."""
    lines = [
        line
        for system in found["systems"]
        for number, asked in enumerate(system["judged"])
        for line in [_line(system["system"] if not number else "", asked)]
    ]
    chance = {one["task"]: one for system in found["systems"] for one in system["judged"]}
    lines += [
        ("chance", task, *(f"{100 * depth['chance']:.1f}" for depth in one["recalls"]), "", "", "")
        for task, one in chance.items()
    ]
    told = (
        f"Embedders at {found['scale']} scale, each taught on {found['budget']['samples']:,} "
        f"samples of {found['pairs_taught']:,} {found['data']} in the same order, asked for "
        f"{found['pairs_asked']:,} whose concepts were not taught; 95% interval of recall@10."
    )
    return f"{told} `{found['command']}` on {found['machine']}.\n\n{table(HEAD, lines)}"


def _line(name: str, asked: Mapping[str, Any]) -> tuple[str, ...]:
    first, five, ten = asked["recalls"]
    return (
        f"`{name}`" if name else "",
        asked["task"],
        f"{100 * first['recall']:.1f}",
        f"{100 * five['recall']:.1f}",
        f"{100 * ten['recall']:.1f} ({100 * ten['low']:.1f} to {100 * ten['high']:.1f})",
        f"{asked['bytes_per_document']:,.0f}",
        f"{asked['index_ms']:.1f}",
        f"{asked['query_ms']:.1f}",
    )
