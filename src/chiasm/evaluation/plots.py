"""The plots of a report, as SVG: accuracy against cost, and loss curves."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

from chiasm.errors import Misuse
from chiasm.evaluation.difference import CONTROLS
from chiasm.evaluation.result import Result, Score


def require_matplotlib() -> None:
    """Raises Misuse, before any training, when the plotting extra is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise Misuse(
            "reports need matplotlib; install it with `pip install 'chiasm[report]'`"
        ) from None


def accuracy_against_flops(results: Sequence[Result], majority: Score) -> str:
    """Each system at its prefill FLOPs and accuracy, with intervals and the majority line."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.subplots()
    for result in results:
        low, high = result.score.interval
        accuracy = result.score.accuracy
        error = [[100 * (accuracy - low)], [100 * (high - accuracy)]]
        axes.errorbar(
            result.prefill_flops,
            100 * accuracy,
            yerr=error,
            fmt="o",
            capsize=3,
            label=result.system,
        )
    axes.axhline(100 * majority.accuracy, color="grey", linestyle=":", label="majority answer")
    axes.set_xscale("log")
    axes.set_xlabel("prefill FLOPs (decoder and projectors)")
    axes.set_ylabel("accuracy, %")
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3)
    return svg(figure)


def accuracy_of_budgets(
    lines: Mapping[str, Sequence[tuple[float, float]]], whole: tuple[float, float], measure: str
) -> str:
    """Each method's (cost, accuracy) at its budgets, joined, beside the full model's.

    `measure` names the cost; the full model is a star, and a dotted line at its accuracy. The
    controls are black, so that what lies below them is seen.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 5.0), layout="constrained")
    axes = figure.subplots()
    for at, (method, points) in enumerate(lines.items()):
        costs, accuracies = zip(*sorted(points), strict=True)
        shares = [100 * accuracy for accuracy in accuracies]
        marker, style = "osD^v<>pPX"[at % 10], ("-", "--", ":")[at // 10 % 3]
        told: dict[str, Any] = {"marker": marker, "linestyle": style, "linewidth": 1.0}
        if method in CONTROLS:
            told |= {"color": "black", "linewidth": 2.0, "zorder": 3}
        axes.plot(costs, shares, label=method, **told)
    axes.plot(whole[0], 100 * whole[1], "k*", markersize=12, label="full model")
    axes.axhline(100 * whole[1], color="grey", linestyle=":")
    axes.set_xlabel(measure)
    axes.set_ylabel("accuracy, %")
    figure.legend(fontsize="small", loc="outside right upper")
    axes.grid(alpha=0.3)
    return svg(figure)


def loss_curves(curves: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """(seconds, loss) of each system, smoothed over neighbouring steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.subplots()
    for system, points in curves.items():
        reach = max(1, len(points) // 100)
        losses = [loss for _, loss in points]
        smooth = [
            sum(part) / len(part)
            for at in range(len(losses))
            if (part := losses[max(0, at - reach) : at + reach + 1])
        ]
        axes.plot([seconds for seconds, _ in points], smooth, label=system, linewidth=1.2)
    axes.set_yscale("log")
    axes.set_xlabel("seconds of training")
    axes.set_ylabel("loss")
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3)
    return svg(figure)


def svg(figure: object) -> str:
    """The figure without the XML prologue, the same for the same data."""
    import matplotlib
    from matplotlib.figure import Figure

    assert isinstance(figure, Figure)
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "chiasm"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
