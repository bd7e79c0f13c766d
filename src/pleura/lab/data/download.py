"""Downloading and unpacking public archives of the US National Library of Medicine.

Only `pleura data fetch` uses this module.

The library publishes no checksums. So the SHA-256 of the first download is written beside the
archive, in the format of `sha256sum`, and is compared at every later use. A user may give a
checksum from another source instead.
"""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias

import pooch

from pleura.core.did_you_mean import did_you_mean
from pleura.core.digest import SUFFIX, digest_in, digest_line
from pleura.core.errors import DataError, UsageError
from pleura.lab.data.resumable_download import Interrupted, Transfer, Unreachable
from pleura.net.quiet import quiet

__all__ = ["ARCHIVES", "Archive", "Fetched", "Progress", "fetch"]

Progress: TypeAlias = Callable[[str, int, int | None], None]
"""Called with ("download" or "unpack", bytes done, bytes in all or None)."""


@dataclass(frozen=True, slots=True)
class Archive:
    """A public archive."""

    url: str
    """The URL of the file."""

    page: str
    """The URL of its description, for a download by hand."""

    cite: str
    """The publications that its owner asks users to cite."""

    next_step: str = ""
    """The next step after unpacking, if one is needed."""

    @property
    def file_name(self) -> str:
        """The name of the published file."""
        return PurePosixPath(self.url).name


_NLM = "https://openi.nlm.nih.gov/imgs/collections"
_PAGES = "https://data.lhncbc.nlm.nih.gov/public/Tuberculosis-Chest-X-ray-Datasets"

SHENZHEN_MASKS = "https://www.kaggle.com/datasets/yoctoman/shcxr-lung-mask"

ARCHIVES = {
    "montgomery": Archive(
        url=f"{_NLM}/NLM-MontgomeryCXRSet.zip",
        page=f"{_PAGES}/Montgomery-County-CXR-Set/MontgomerySet/index.html",
        cite="Jaeger et al. 2014, doi:10.3978/j.issn.2223-4292.2014.11.20; "
        "Candemir et al. 2014, doi:10.1109/TMI.2013.2290491",
    ),
    "shenzhen": Archive(
        url=f"{_NLM}/ChinaSet_AllFiles.zip",
        page=f"{_PAGES}/Shenzhen-Hospital-CXR-Set/index.html",
        cite="Jaeger et al. 2014, doi:10.3978/j.issn.2223-4292.2014.11.20",
        next_step="These are films without masks. The masks of Stirenko et al. 2018 are "
        f"distributed apart (CC BY-NC-SA 4.0): {SHENZHEN_MASKS}; unpack them as masks/ beside "
        "CXR_png/.",
    ),
}


@dataclass(frozen=True, slots=True)
class Fetched:
    """An archive that was fetched and unpacked."""

    archive: Path
    folder: Path
    """The folder with its content, for `read_films`."""

    sha256: str
    first_use: bool
    """Whether there was no checksum to compare with; it is now written beside the archive."""


def fetch(
    name: str,
    to: Path,
    *,
    url: str | None = None,
    sha256: str | None = None,
    progress: Progress = lambda phase, done, total: None,  # noqa: ARG005
) -> Fetched:
    """Download the archive `name` of `ARCHIVES` into the folder `to`, and unpack it there.

    A complete archive is only checked, an incomplete one is continued, and an unpacked folder is
    kept. `url` is another address of the same file.

    Raises:
        UsageError: there is no archive of that name.
        DataError: it cannot be reached, has another checksum, or is damaged. The message says
            how to download it by hand.
    """
    if name not in ARCHIVES:
        raise UsageError(f"no archive {name!r}; {did_you_mean(name, ARCHIVES)}")
    published = ARCHIVES[name]
    archive = to / published.file_name
    expected = _expected(archive, sha256)
    if not archive.exists():
        _download(published, url or published.url, archive, expected, progress)
    actual = _verified(archive, expected)
    _digest_file(archive).write_text(digest_line(actual, archive.name), "utf-8")
    return Fetched(archive, _unpacked(archive, progress), actual, first_use=expected is None)


def _digest_file(archive: Path) -> Path:
    return archive.with_name(archive.name + SUFFIX)


def _expected(archive: Path, sha256: str | None) -> str | None:
    """The given checksum, or that of the first download, in lower case; None without both."""
    digest_file = _digest_file(archive)
    if sha256 is None and digest_file.is_file():
        sha256 = digest_in(digest_file.read_text("utf-8"))
    if sha256 is None:
        return None
    plain = sha256.strip().lower()
    if len(plain) != 64 or set(plain) - set("0123456789abcdef"):
        raise UsageError(f"a SHA-256 has 64 hexadecimal digits, got {sha256!r}")
    return plain


def _download(
    published: Archive, url: str, archive: Path, expected: str | None, progress: Progress
) -> None:
    transfer = Transfer(
        archive.with_name(archive.name + ".part"),
        lambda done, total: progress("download", done, total),
    )
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        # Pooch checks the digest. Its own downloader starts again after a broken connection.
        with quiet(pooch.get_logger()):  # the command prints what is downloaded
            pooch.retrieve(
                url, expected, fname=archive.name, path=archive.parent, downloader=transfer
            )
    except Unreachable as error:
        raise DataError(_by_hand(published, url, archive, error)) from error
    except Interrupted as error:
        raise DataError(
            f"{url}: {error}; the part that has arrived is kept, run the same command to continue"
        ) from error
    except ValueError as error:  # pooch raises it for a wrong checksum, and has removed the file
        raise DataError(
            f"{url}: the file does not have the checksum {expected} and was not kept ({error}). "
            f"If the owner has changed the archive, remove {_digest_file(archive)} or give the new "
            "--sha256"
        ) from error


def _by_hand(published: Archive, url: str, archive: Path, error: Exception) -> str:
    return (
        f"cannot fetch {url}: {error}. Without a network, by hand:\n"
        f"  1. on a machine that has one, download {url}\n"
        f"     (described at {published.page})\n"
        f"  2. put the file here, under this name: {archive.absolute()}\n"
        f"  3. run this command again; it checks and unpacks the file without the network"
    )


def _verified(archive: Path, expected: str | None) -> str:
    actual: str = pooch.file_hash(str(archive), alg="sha256")
    if expected not in (None, actual):
        raise DataError(
            f"{archive}: SHA-256 is {actual}, expected {expected}; remove the file to fetch it "
            f"again, or remove {_digest_file(archive).name} beside it if you trust this one"
        )
    return actual


_DAMAGE_ERRORS = (  # of zipfile, for bytes that are no archive, or one that it cannot read
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    RuntimeError,  # also for methods of compression that it does not know
    ValueError,
)


def _unpacked(archive: Path, progress: Progress) -> Path:
    """Unpack beside the archive, completely or not at all; returns the folder of the content."""
    try:
        with zipfile.ZipFile(archive) as content:
            members = [item for item in content.infolist() if not _is_system_file(item.filename)]
            top = _top_folder(archive, members)
            folder = archive.parent / (top or archive.stem)
            if folder.is_dir():
                return folder
            _check_free(archive, folder)
            draft = archive.parent / f".{archive.stem}.unpacking"
            shutil.rmtree(draft, ignore_errors=True)
            try:
                _extract(content, members, draft, progress)
                (draft / top if top else draft).replace(folder)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
            return folder
    except _DAMAGE_ERRORS as error:
        raise DataError(
            f"{archive}: damaged, or no ZIP archive ({error}); remove it and its .sha256, and "
            "fetch it again"
        ) from error
    except OSError as error:
        raise DataError(
            f"{archive}: cannot be unpacked ({error}); correct this and run the command again"
        ) from error


def _top_folder(archive: Path, members: list[zipfile.ZipInfo]) -> str | None:
    """The one top folder of all members; None if there are several, or files outside a folder.

    Raises:
        DataError: a member has no name, lies outside the folder or is a link; or there is no file.
    """
    for member in members:
        fault = _member_fault(member)
        if fault:
            raise DataError(
                f"{archive}: the archive holds {fault}; nothing was unpacked. It is not what its "
                "owner publishes: remove it and its .sha256, and fetch it again"
            )
    if all(member.is_dir() for member in members):
        raise DataError(
            f"{archive}: the archive holds no file; remove it and its .sha256, and fetch it again"
        )
    tops = {PurePosixPath(member.filename).parts[0] for member in members}
    nested = len(tops) == 1 and all("/" in member.filename for member in members)
    return tops.pop() if nested else None


def _member_fault(member: zipfile.ZipInfo) -> str | None:
    """The fault of a member's name or kind; None for a plain file or folder."""
    name = member.filename
    parts = PurePosixPath(name).parts
    if not parts:
        return f"a file without a name ({name!r})"
    if parts[0] == "/" or ".." in parts or "\\" in name or ":" in name or "\0" in name:
        return f"a file that leads out of its folder ({name!r})"
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return f"a link or a device ({name!r})"
    return None


def _check_free(archive: Path, folder: Path) -> None:
    if folder.exists() or folder.is_symlink():
        raise DataError(
            f"{folder}: this is a file, but {archive.name} unpacks into a folder of this name; "
            "move the file or choose another --to"
        )


def _extract(
    content: zipfile.ZipFile, members: list[zipfile.ZipInfo], draft: Path, progress: Progress
) -> None:
    total, done = sum(member.file_size for member in members), 0
    free = shutil.disk_usage(draft.parent).free
    if total > free:
        raise DataError(
            f"{draft.parent}: unpacking takes {total / 1e9:.1f} GB, only {free / 1e9:.1f} GB are "
            "free; make room or choose another --to"
        )
    draft.mkdir()
    for member in members:
        content.extract(member, draft)
        done += member.file_size
        progress("unpack", done, total)


def _is_system_file(name: str) -> bool:
    """Whether macOS or Windows put this file into the archive."""
    path = PurePosixPath(name)
    return "__MACOSX" in path.parts or path.name in (".DS_Store", "Thumbs.db")
