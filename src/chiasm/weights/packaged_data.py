"""Data sets that ship as packages."""

from chiasm.weights.package import Kind, Origin, Package, PackagedFile

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

STAMPS = Package(
    alias="stamps",
    package="tuxpaint-stamps-default",
    version="2022.06.04-1",
    kind=Kind.DATA,
    description="Tux Paint's stamps: 950 pictures, captions in 77 languages, 7,290 of them spoken",
    licence="GPL-2",
    archive_sha256="6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34",
    root="usr/share/tuxpaint/stamps",
    files=(),
    lists_every_file=False,
    megabytes=161,
    origin=Origin.DEBIAN,
)

CLIP_ART = Package(
    alias="clip-art",
    package="openclipart-svg",
    version="1:0.18+dfsg-19",
    kind=Kind.DATA,
    description="Open Clip Art Library 0.18: drawings with titles and keywords",
    licence="public domain",
    archive_sha256="989712d90d57dfa3230049f553bb43b76c30ee4d4b8c5f6e106e33f7db5cbdc5",
    root="usr/share/openclipart/svg",
    files=(),
    lists_every_file=False,
    megabytes=25,
    origin=Origin.DEBIAN,
)

EMOJI_NAMES = Package(
    alias="emoji-names",
    package="unicode-cldr-core",
    version="41-0.1",
    kind=Kind.DATA,
    description="Unicode CLDR 41: names and keywords of emoji in 144 locales",
    licence="Unicode-DFS-2016",
    archive_sha256="35d30d5d3bee4d8244e95236259c4c2a0db06e21bad696515751fcfeee4d0260",
    root="usr/share/unicode/cldr/common",
    files=(),
    lists_every_file=False,
    megabytes=17,
    origin=Origin.DEBIAN,
)

FLUENT_EMOJI = Package(
    alias="emoji-fluent",
    package="@lobehub/fluent-emoji-3d",
    version="1.1.0",
    kind=Kind.DATA,
    description="Fluent emoji, 3,372 pictures in 3D",
    licence="MIT",
    archive_sha256="c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58",
    root="assets",
    files=(),
    lists_every_file=False,
    megabytes=16,
    origin=Origin.NPM,
)

TWEMOJI = Package(
    alias="emoji-twemoji",
    package="@twemoji/svg",
    version="15.0.0",
    kind=Kind.DATA,
    description="Twemoji, 3,720 flat drawings",
    licence="CC-BY-4.0",
    archive_sha256="1d2907557a422c7c4e3feca50ef915c39da1db3d76b4a4d7e73fb59bce4403c3",
    root="package",
    files=(),
    lists_every_file=False,
    megabytes=2,
    origin=Origin.NPM,
)

NOTO_EMOJI = Package(
    alias="emoji-noto",
    package="fonts-noto-color-emoji",
    version="2.042-0+deb12u1",
    kind=Kind.DATA,
    description="Noto Color Emoji, a font of 3,926 pictures",
    licence="OFL-1.1",
    archive_sha256="a5ab0f69c7938423862320d9aca5dd187b3fd879d6a9a57dd52e17c3fa8d2751",
    root="usr/share/fonts/truetype/noto",
    files=(),
    lists_every_file=False,
    megabytes=10,
    origin=Origin.DEBIAN,
)

IMAGENET_NAMES = Package(
    alias="imagenet-names",
    package="timm",
    version="1.0.31",
    kind=Kind.DATA,
    description="The 1,000 classes of ImageNet in their usual order, with their names",
    licence="Apache-2.0",
    archive_sha256="5bd50f7d0fe6d09bf9285ac2523234a1b7e6bf075c0be3e7aed09139fcb617c7",
    root="timm/data/_info",
    files=(
        PackagedFile(
            path="imagenet_synset_to_lemma.txt",
            sha256="1b8babda187421a4bde0c9c5a197c36f6bdda962f7ca11ffb2813806cbb2178f",
        ),
        PackagedFile(
            path="imagenet_synsets.txt",
            sha256="70002b0ff5de60a3a17a82dbfcff291931f96225ddf941ad2e182fc39e183d15",
        ),
    ),
    megabytes=3,
)

MAPS = Package(
    alias="maps",
    package="kgeography-data",
    version="4:22.12.3-1",
    kind=Kind.DATA,
    description="KGeography's 154 maps, 4,081 named regions with exact masks",
    licence="GPL-2+",
    archive_sha256="1cdaf45dea7cbf1682a05109b4e9299934f0a60ca8866fa957cf4d9dcfe3982a",
    root="usr/share/kgeography",
    files=(),
    lists_every_file=False,
    megabytes=11,
    origin=Origin.DEBIAN,
)

MANUAL = Package(
    alias="manual",
    package="gimp-help-en",
    version="2.10.34-2",
    kind=Kind.DATA,
    description="GIMP's manual in English: 685 pages, 1,280 figures with titles",
    licence="GFDL",
    archive_sha256="a2deec76763aaf2fcdd197bac0736cdcb0770ba993d48d233329e1c92b0bfe36",
    root="usr/share/gimp/2.0/help/en",
    files=(),
    lists_every_file=False,
    megabytes=50,
    origin=Origin.DEBIAN,
)
