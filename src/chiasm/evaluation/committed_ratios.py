"""The README's tables of the benchmarks that a paper's promise asks for, from `results/`."""

from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import mean
from typing import Any

from chiasm.evaluation.committed_files import read, table


def ratios_block(root: Path) -> str:
    """One table for each measured promise, with the command and machine that made it."""
    parts = [
        block(read(path))
        for folder, block in BLOCKS.items()
        for path in sorted((root / folder).glob("*.json"))
    ]
    return "\n\n".join(parts)


def _decode(found: Mapping[str, Any]) -> str:
    base = found["baseline"]
    (own,) = (name for name in found["parameters"] if name != base)
    head = ("context", f"`{own}`, tokens/s", f"{base}, tokens/s", "times faster", "cache, times")
    lines = [
        (
            f"{at['context']:,}",
            f"{at['tokens_per_second'][own]:.1f}",
            f"{at['tokens_per_second'][base]:.1f}",
            f"{at['times_faster']:.2f}",
            f"{at['cache_bytes'][own] / at['cache_bytes'][base]:.3f}",
        )
        for at in found["contexts"]
    ]
    sizes = ", ".join(f"{name} {count / 1e6:.1f}M" for name, count in found["parameters"].items())
    return _told(table(head, lines), f"Decoding after a context; parameters: {sizes}", found)


def _grouped(found: Mapping[str, Any]) -> str:
    head = ("experts", "rows", "pass", "loop, ms", "grouped, ms", "times faster")
    lines = [
        (
            str(one["experts"]),
            f"{one['rows']:,}",
            one["pass"],
            f"{1e3 * one['seconds']['loop']:.2f}",
            f"{1e3 * one['seconds']['grouped']:.2f}",
            f"{one['times_faster']:.2f}",
        )
        for one in found["found"]
    ]
    setting = found["setting"]
    told = (
        f"Experts as grouped products against one after the other, width {setting['width']}, "
        f"{setting['k']} experts a row"
    )
    return _told(table(head, lines), told, found)


def _unimodal(found: Mapping[str, Any]) -> str:
    head = ("rows kept", "count", "ms", "times faster", "largest difference")
    lines = [
        (
            name,
            str(count),
            f"{1e3 * found['seconds'][name]:.1f}",
            f"{found['seconds'][found['baseline']] / found['seconds'][name]:.2f}",
            f"{found['largest_difference'].get(name, 0.0):.1e}",
        )
        for name, count in found["rows"].items()
    ]
    return _told(table(head, lines), "`zorro` with one modality's rows alone", found)


def _flops(found: Mapping[str, Any]) -> str:
    kinds = ("text, causal", "image, causal", "text, as taught", "image, as taught")
    head = ("arm", *(f"loss, {kind}" for kind in kinds), "FLOPs saved to dense's last loss, causal")
    lines = []
    for arm in found["runs"][0]["curves"]:
        last = [run["curves"][arm][-1] for run in found["runs"]]
        saved = [run["savings"][arm]["all, causal"] for run in found["runs"]]
        reached = [value for value in saved if value is not None]
        cell = "never reached"
        if reached:
            cell = f"{mean(reached):.2f} times ({len(reached)} of {len(saved)} seeds)"
        losses = [f"{mean(at[kind] for at in last):.4f}" for kind in kinds]
        lines.append((f"`{arm}`", *losses, cell))
    each = found["setting"]["teraflops"]
    told = (
        f"Held-out loss after {each:g} TFLOPs of training each, means of {len(found['runs'])} seeds"
    )
    return _told(table(head, lines), told, found)


def _methods(found: Mapping[str, Any]) -> str:
    head = ("method", "visual tokens", "prefill, ms", "times faster", "FLOPs, times fewer")
    head += ("share of that", "what eats the rest")
    lines = [
        (
            f"`{row['name']}`" if row["name"] != found["baseline"] else "full model",
            f"{row['tokens']:,.0f}",
            f"{1e3 * row['seconds']:,.0f}",
            f"{row['times_faster']:.2f}",
            f"{row['flops_ratio']:.2f}",
            f"{row['share']:.2f}",
            row["eaten_by"],
        )
        for row in found["rows"]
    ]
    lines += [
        (f"`{name}`", *[""] * 5, f"cannot run: {why}") for name, why in found["refused"].items()
    ]
    setting = found["setting"]
    told = (
        f"A random LLaVA of {setting['layers']} decoder layers of width {setting['width']:,}, "
        f"{setting['text']} text tokens, keep = {setting['keep']:g}, encoder and hooks included, "
        f"medians of {setting['repeats']} in turn"
    )
    return _told(table(head, lines), told, found)


def _peaks(found: Mapping[str, Any]) -> str:
    head = ("system", "scale", "mode", "loads", "measured, MB", "foreseen over measured")
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for row in found["rows"]:
        groups.setdefault((row["system"], row["scale"], row["mode"]), []).append(row)
    lines = []
    for (system, scale, mode), rows in groups.items():
        bytes_ = [row["measured_bytes"] / 1e6 for row in rows]
        ratios = [row["ratio"] for row in rows]
        lines.append(
            (
                f"`{system}`",
                scale,
                mode,
                str(len(rows)),
                f"{min(bytes_):,.1f} to {max(bytes_):,.1f}",
                f"{min(ratios):.3f} to {max(ratios):.3f}",
            )
        )
    told = (
        "Peaks that `chiasm fit` foresees beside what the allocator saw; loads differ in batch, "
        "text and type"
    )
    return _told(table(head, lines), told, found)


def _maxsim(found: Mapping[str, Any]) -> str:
    head = ("late interaction", "ms a query", "times faster", "recall@10")
    lines = [
        (
            row["name"],
            f"{1e3 * row['seconds']:.1f}",
            f"{row['times_faster']:.2f}",
            f"{row['recall']:.3f}",
        )
        for row in found["rows"]
    ]
    setting = found["setting"]
    sizes = ", ".join(f"{name} {size:,.0f} MB" for name, size in found["megabytes"].items())
    told = (
        f"{setting['documents']:,} documents of {setting['tokens']} vectors, {setting['width']} "
        f"wide, queries of {setting['asked']}; vectors: {sizes}; lists "
        f"{found['lists_megabytes']:,.1f} MB, built in {found['build_seconds']:.0f} s; engines' "
        f"files: {_engines(found['engines'])}"
    )
    return _told(table(head, lines), told, found)


def _engines(engines: list[Mapping[str, Any]]) -> str:
    return ", ".join(
        f"{one['name']} {one['disk_megabytes']:,.0f} MB in {one['build_seconds']:.0f} s"
        for one in engines
    )


def _single(found: Mapping[str, Any]) -> str:
    head = ("one vector a row", "ms a query", "recall@10")
    lines = [
        (f"`{row['name']}`", f"{1e3 * row['seconds']:.2f}", f"{row['recall']:.3f}")
        for row in found["rows"]
    ]
    setting = found["setting"]
    told = (
        f"{setting['rows']:,} vectors {setting['width']} wide in one table with one index; ours "
        f"takes {found['ratio']:.2f} times as long; put in {found['put_seconds']:.0f} s, indexed "
        f"in {found['index_seconds']:.0f} s, {found['disk_megabytes']:,.0f} MB on disk"
    )
    return _told(table(head, lines), told, found)


def _told(lines: str, what: str, found: Mapping[str, Any]) -> str:
    made = f"`{found['command']}` on {found['machine']}, {found['threads']} threads."
    return f"{lines}\n\n{what}. {made}"


BLOCKS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "ssm_decode": _decode,
    "grouped_mm": _grouped,
    "zorro_unimodal": _unimodal,
    "moma_flops": _flops,
    "compression_cpu": _methods,
    "peak_memory": _peaks,
    "maxsim": _maxsim,
    "single_vectors": _single,
}
"""Folder of results to what writes its table."""
