"""STORM: a state-space mixer lets the frames of a clip know one another before tokens are cut."""

from dataclasses import replace

from chiasm.connectors import TemporalScan
from chiasm.data.pixels import SIGLIP
from chiasm.encoders import FrameStack
from chiasm.lineages.encoders import SIGLIP_SO400M_384
from chiasm.lineages.hosts import QWEN2_7B
from chiasm.lineages.teaching import CLIPS
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, Fixed, StateSpace, System, derive, register

FRAMES = 32
MIXER = StateSpace(heads=8, head_width=32, state=16)
PICTURE = TemporalScan(mixer=MIXER, pool_time=4)

SYSTEM = register(
    System(
        slug="storm",
        no=21,
        parent="llava-1.5",
        card=Card(
            paper="Token-Efficient Long Video Understanding for Multimodal LLMs (arXiv 2503.04130)",
            differs="a bidirectional Mamba-2 scan over the whole clip after the MLP; its tokens "
            "are then pooled over time and space, or frames dropped",
            claim="over 5% better on MLVU and LongVideoBench than the same model without temporal "
            "module; up to 8x less LLM computation, decoding 2.4 to 2.9x faster",
            checks=(
                "at first the output is the MLP's, bit for bit",
                "a kept frame depends on the dropped one before it, the MLP's does not",
                "pooling 4 frames and 2 x 2 places leaves a sixteenth of the tokens",
                "pooling identical frames gives one frame",
            ),
            story=(
                "a clip enters as one picture of stacked frames; an image is a clip of one frame",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            nano=dict(connector=PICTURE),
            smol=dict(connector=replace(PICTURE, mixer=replace(MIXER, heads=18, head_width=64))),
            paper=dict(
                views=Fixed(FRAMES * 384, 384),
                pixels=SIGLIP,
                encoder=FrameStack(each=SIGLIP_SO400M_384, frames=FRAMES),
                connector=replace(
                    PICTURE,
                    mixer=replace(MIXER, heads=112, head_width=64),
                    frames=FRAMES,
                    pool_space=2,
                ),
                teaching=CLIPS,
                host=QWEN2_7B,
            ),
        ),
    )
)
