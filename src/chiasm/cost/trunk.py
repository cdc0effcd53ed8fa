"""The layers that the sequence's rows pass, whichever stack holds them."""

from collections.abc import Sequence
from dataclasses import dataclass

from chiasm.backbone import Chain
from chiasm.model import Model
from chiasm.spec import Answers, Host, Work
from chiasm.spec.work import LayerRows, linear
from chiasm.stream import RowPlan, Rule


@dataclass(frozen=True)
class TrunkLayer:
    """One layer, of a stack ahead of the host's or of the host's own."""

    host: Host
    number: int
    rule: Rule
    plan: RowPlan
    ahead: bool

    def work(self, answers: Answers, rows: LayerRows) -> Sequence[Work]:
        """The layer's bill; all rows share the weights of a stack ahead."""
        if self.ahead:
            return rows.work(self.host, f"layer ahead {self.number}")
        return answers.experts.work(self.host, self.number, rows, f"layer {self.number}")


def trunk(model: Model) -> list[TrunkLayer]:
    """Every layer, in the order in which rows pass them."""
    decoder = model.decoder
    first = [(decoder.ahead, True)] if isinstance(decoder, Chain) else []
    return [
        TrunkLayer(one.host.at(number), number, rule, plan, ahead)
        for one, ahead in (*first, (decoder, False))
        for number, (rule, plan) in enumerate(zip(one.stack.rules, one.stack.plans, strict=True))
    ]


def between(model: Model, rows: int) -> Sequence[Work]:
    """The map from a stack ahead to the host's width, where there is one."""
    decoder = model.decoder
    if not isinstance(decoder, Chain):
        return ()
    return (linear("decoder", "widen", rows, decoder.ahead.host.width, decoder.host.width),)
