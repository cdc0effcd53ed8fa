"""Zipper: a text decoder and a decoder of codes, joined by gated reads every few layers."""

from chiasm.lineages.two_decoders import TWO_DECODERS
from chiasm.spec import Card, System, register

SYSTEM = register(
    System(
        slug="zipper",
        no=157,
        parent="llava-1.5",
        card=Card(
            paper="Zipper: A Multi-Tower Decoder Architecture for Fusing Modalities "
            "(arXiv 2405.18669)",
            differs="media are codes of a decoder with words, depth, width and head of its own; "
            "every few layers both read each other's state of before, behind a zero gate",
            claim="speech from text with a taught speech tower: about 12 points of word error less "
            "than one decoder with a wider vocabulary; with frozen words, text ability is kept",
            checks=(
                "gates closed and input layers bypassed, each tower is its unimodal model",
                "after teaching beside frozen words, logits of text alone are bit-equal",
                "a later code changes no earlier word, a later word no code",
                "towers of other widths and depths are joined",
            ),
            story=(
                "colours of patches stand in for speech codes",
                "the first code of an item is given: the tower begins with no row of its own",
            ),
        ),
        scales=TWO_DECODERS,
    )
)
