"""Question 1: how do raw media become features? One verb, `encode`."""

from chiasm.encoders.adapted import AdaptedEncoder
from chiasm.encoders.channels import ChannelConcat
from chiasm.encoders.colour_codes import ColourCodes
from chiasm.encoders.conv_patches import ConvPatches
from chiasm.encoders.convnext import ConvNeXt
from chiasm.encoders.efficientnet_lite import EfficientNetLite0
from chiasm.encoders.frames import FrameMean, FrameStack
from chiasm.encoders.grid_vision import GridVision
from chiasm.encoders.image_bytes import ImageBytes
from chiasm.encoders.latent_stack import LatentStack
from chiasm.encoders.levels import Levels
from chiasm.encoders.none import NoEncoder
from chiasm.encoders.patches import RawPatches
from chiasm.encoders.perceiver import Perceiver
from chiasm.encoders.resampled import Resampled
from chiasm.encoders.rotary_vit import RotaryViT
from chiasm.encoders.side_maps import SideMaps
from chiasm.encoders.tiled_vision import TiledVision
from chiasm.encoders.transformers_vision import TransformersVision
from chiasm.encoders.vit import VisionTransformer
from chiasm.encoders.window_lora import WindowLoRA
from chiasm.encoders.with_resampler import WithResampler
from chiasm.encoders.written_patches import WrittenPatches

__all__ = [
    "WithResampler",
    "AdaptedEncoder",
    "ChannelConcat",
    "ColourCodes",
    "ConvNeXt",
    "ConvPatches",
    "EfficientNetLite0",
    "FrameMean",
    "FrameStack",
    "ImageBytes",
    "GridVision",
    "LatentStack",
    "Levels",
    "NoEncoder",
    "Perceiver",
    "RawPatches",
    "Resampled",
    "RotaryViT",
    "SideMaps",
    "TiledVision",
    "TransformersVision",
    "VisionTransformer",
    "WindowLoRA",
    "WrittenPatches",
]
