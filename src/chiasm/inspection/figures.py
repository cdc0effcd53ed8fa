"""The pictures of findings, as matplotlib figures."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from chiasm.inspection.correspondence import Match, Point
from chiasm.inspection.heads import Head, Heads
from chiasm.inspection.probe import Probed
from chiasm.inspection.shots import CORRUPTIONS, Shots


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _few(count: int) -> list[int]:
    """At most ten of the whole numbers below a count."""
    return list(range(0, count, -(-count // 10)))


def head_map(heads: Heads) -> Any:
    """Scores of all heads, and each layer's weight on the picture."""
    figure = _figure(9.0, 3.6)
    left, middle, right = figure.subplots(1, 3, width_ratios=(5, 2, 4))
    shown = left.imshow(heads.score.numpy(), aspect="auto", cmap="magma", vmin=0)
    depth, width = heads.score.shape
    left.set(xlabel="head", ylabel="layer", title="score, mean of w c")
    left.set(xticks=_few(width), yticks=_few(depth))
    figure.colorbar(shown, ax=left)
    profile = heads.profile()
    middle.barh(range(len(profile)), profile)
    middle.invert_yaxis()
    middle.set(xlabel="mean w", title="weight on the picture", yticks=_few(depth))
    w, c = heads.weight.mean(0), heads.concentration.mean(0)
    layers = torch.arange(len(w)).unsqueeze(1).expand_as(w).flatten()
    points = right.scatter(w.flatten(), c.flatten(), c=layers, cmap="viridis")
    right.margins(0.1)
    right.set(xlabel="weight w", ylabel="concentration c", title="heads, coloured by layer")
    figure.colorbar(points, ax=right, ticks=_few(depth))
    return figure


def overlays(
    pictures: Sequence[Image.Image],
    maps: Sequence[Float[Tensor, "layer head token"]],
    grid: tuple[int, int],
    chosen: Sequence[Head],
) -> Any:
    """Pictures, and over each the looks of some heads, brightest where a head reads most."""
    figure = _figure(1.7 * (1 + len(chosen)), 1.8 * len(pictures))
    cells = figure.subplots(len(pictures), 1 + len(chosen), squeeze=False)
    for row, (image, held) in enumerate(zip(pictures, maps, strict=True)):
        cells[row][0].imshow(image)
        for column, (layer, head) in enumerate(chosen, 1):
            weights = held[layer, head].float().view(1, 1, *grid)
            fine = F.interpolate(weights, (image.height, image.width), mode="nearest")[0, 0]
            axes = cells[row][column]
            axes.imshow(image.convert("L"), cmap="gray", vmin=0, vmax=255)
            axes.imshow(fine.numpy(), cmap="magma", alpha=0.6, vmin=0)
            if row == 0:
                axes.set_title(f"layer {layer}, head {head}", fontsize="small")
        for axes in cells[row]:
            axes.set(xticks=[], yticks=[])
    return figure


def ablations(accuracies: Mapping[str, float]) -> Any:
    """Right answers with some heads silenced."""
    figure = _figure(5.0, 3.2)
    axes = figure.subplots()
    axes.bar(list(accuracies), [100 * one for one in accuracies.values()])
    axes.tick_params(axis="x", rotation=30)
    axes.set(ylabel="accuracy, %", title="heads silenced")
    return figure


def stages(found: Sequence[Probed]) -> Any:
    """Readouts by stage, corrected for chance, and the model's answers beside them."""
    figure = _figure(4.6 * len(found), 3.8)
    row = figure.subplots(1, len(found), squeeze=False, sharey=True)[0]
    for axes, one in zip(row, found, strict=True):
        names = [stage.name for stage in one.stages]
        axes.plot(names, [stage.corrected for stage in one.stages], "o-", label="readout")
        control = [(stage.shuffled - one.chance) / (1 - one.chance) for stage in one.stages]
        axes.plot(names, control, ".:", color="grey", label="taught shuffled answers")
        axes.axhline(one.answered_corrected, color="C3", linestyle="--", label="answered")
        axes.axhline(0, color="black", linewidth=0.6)
        axes.tick_params(axis="x", rotation=35)
        axes.set_title(one.question, fontsize="small")
    row[0].set_ylabel("accuracy above chance")
    row[0].legend(fontsize="small")
    return figure


def shot_bars(found: Shots) -> Any:
    """Accuracy under each corruption, the votes as dotted lines."""
    groups = list(found.votes)
    figure = _figure(4.6 * max(1, len(groups)), 4.2)
    row = figure.subplots(1, max(1, len(groups)), squeeze=False, sharey=True)[0]
    for axes, (selection, k) in zip(row, groups, strict=False):
        arms = [one for one in found.arms if (one.selection, one.k) == (selection, k)]
        spread = [
            [100 * (one.accuracy - one.interval[0]) for one in arms],
            [100 * (one.interval[1] - one.accuracy) for one in arms],
        ]
        axes.bar(
            [one.corruption for one in arms],
            [100 * one.accuracy for one in arms],
            yerr=spread,
            capsize=2,
            color=[f"C{list(CORRUPTIONS).index(one.corruption)}" for one in arms],
        )
        most, nearest = found.votes[selection, k]
        axes.axhline(100 * most, color="black", linestyle=":", label="commonest label")
        axes.axhline(100 * nearest, color="grey", linestyle="--", label="nearest label")
        axes.tick_params(axis="x", rotation=60)
        axes.set_title(f"{k} shots, chosen by {selection}", fontsize="small")
    row[0].set_ylabel("accuracy, %")
    figure.legend(*row[0].get_legend_handles_labels(), fontsize="small", loc="outside upper center")
    return figure


def copying(found: Shots) -> Any:
    """Copying above chance by the shot's place."""
    figure = _figure(4.6, 3.2)
    axes = figure.subplots()
    for (selection, k), rates in found.copies.items():
        axes.plot(range(1, k + 1), [100 * one for one in rates], "o-", label=f"{k} by {selection}")
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set(xlabel="place, the last is next to the query", ylabel="copied, points above chance")
    axes.set_xticks(range(1, 1 + max(k for _, k in found.copies)))
    axes.legend(fontsize="small")
    return figure


def matched(pair: Match, found: Sequence[Point]) -> Any:
    """Where parts of the left picture are found in the right one: green within a tenth."""
    figure = _figure(6.4, 3.4)
    left, right = figure.subplots(1, 2)
    for axes, scene in ((left, pair.source), (right, pair.target)):
        axes.imshow(scene.draw())
        axes.set(xticks=[], yticks=[])
    from matplotlib.patches import ConnectionPatch

    side = pair.source.draw().width
    for (source, true), place in zip(pair.points, found, strict=True):
        near = (place[0] - true[0]) ** 2 + (place[1] - true[1]) ** 2 <= 0.1**2
        line = ConnectionPatch(
            xyA=(source[0] * side, source[1] * side),
            xyB=(place[0] * side, place[1] * side),
            coordsA="data",
            coordsB="data",
            axesA=left,
            axesB=right,
            color="green" if near else "red",
            alpha=0.7,
        )
        figure.add_artist(line)
    return figure


def law_plane(a: Sequence[float], c: Sequence[float], names: Sequence[str]) -> Any:
    """Settings by alignment and correspondence."""
    figure = _figure(5.0, 4.0)
    axes = figure.subplots()
    axes.scatter(a, c)
    axes.margins(0.15)
    for x, y, name in zip(a, c, names, strict=True):
        axes.annotate(name, (x, y), textcoords="offset points", xytext=(4, 4), fontsize="small")
    axes.set(xlabel="alignment A", ylabel="correspondence C")
    axes.grid(alpha=0.3)
    return figure
