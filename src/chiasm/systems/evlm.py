"""EVLM: gated blocks read layer by layer what the encoder's layers see, and think as mixtures."""

from chiasm.lineages.hosts import QWEN_14B
from chiasm.lineages.levelled import LEVELLED, levelled_reads
from chiasm.spec import Card, System, derive, register

SYSTEM = register(
    System(
        slug="evlm",
        no=55,
        parent="flamingo",
        card=Card(
            paper="EVLM: An Efficient Vision-Language Model for Visual Understanding "
            "(arXiv 2407.14177)",
            differs="no resampler: 16 learned rows an image gather what blocks read of it; eight "
            "of the encoder's layers, low ones for low blocks; mixtures as their feed-forwards",
            claim="competitive on 13 benchmarks with few rows an image",
            checks=(
                "at the start, it is the host beside learned rows, bit for bit",
                "a mixture of equal experts is the dense feed-forward it was copied from",
                "an encoder's layer reaches the blocks of its own level alone",
                "what is read costs in proportion to the frames",
                "rows see their own image only",
            ),
            story=(
                "a block before every layer, of the host's heads; where mixtures stand is not "
                "stated: here in every block, and fresh unless FineGrained's copy_from is called",
            ),
        ),
        scales=derive(
            LEVELLED,
            nano=dict(
                fusion=levelled_reads(2, rows=4, every=1, heads=(4, 32), cut=(2, 2), hidden=128)
            ),
            smol=dict(
                fusion=levelled_reads(3, rows=16, every=5, heads=(9, 64), cut=(4, 4), hidden=576)
            ),
            paper=dict(
                host=QWEN_14B,
                fusion=levelled_reads(
                    8, rows=16, every=1, heads=(40, 128), cut=(4, 4), hidden=5120
                ),
            ),
        ),
    )
)
