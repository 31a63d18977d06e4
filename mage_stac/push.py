"""Publishing a catalogue to a STAC server: what its Collections and Items look like where readers are elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

from mage_stac import catalogue, hrefs, item_table
from mage_stac.errors import PushError
from mage_stac.progress import Step

Document = dict[str, Any]

SCHEMES = (*hrefs.REMOTE, "file")
"""Of a base URL; `file` for a server whose readers share its disk."""


STRUCTURE = ("root", "parent", "self", "item", "child", "items", "collection")
"""Relations of the links that a server makes itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """What became of Items."""

    new: int = 0
    changed: int = 0
    same: int = 0
    """Those that the server held already, as they are."""
    failures: tuple[str, ...] = ()

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            new=self.new + other.new,
            changed=self.changed + other.changed,
            same=self.same + other.same,
            failures=(*self.failures, *other.failures),
        )


class Server(Protocol):
    """A STAC server that can be written to."""

    @property
    def root(self) -> str:
        """What stands before `collections/...` in a link to an Item there: its URL, or nothing where it adds that."""

    def put_collection(self, document: Document) -> None:
        """Create or update a Collection."""

    def put_items(self, collection: str, documents: Iterable[Document]) -> Tally:
        """Create or update Items of a Collection that is there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pushed:
    """What `push` did."""

    collections: tuple[str, ...]
    items: Tally


def push(path: Path, server: Server, *, base_url: str | None = None, progress: Step | None = None) -> Pushed:
    """Bring a catalogue or Collection on disk to a server. Run again, it changes what has changed; it deletes nothing.

    Assets on this disk become URLs below `base_url`, which stands for the catalogue's folder. Links between the Items
    become links on the server; other local links are left out, as a reader elsewhere could not follow them.

    Raises:
        PushError: an asset lies on this disk and no base URL is given, or outside the catalogue's folder; the server
            refuses everything, or some Items (names the first and counts the rest).
        CatalogueError: the catalogue is broken, or is none.
    """
    start = catalogue.entry(path)
    place = _Place(folder=start.parent.absolute(), base_url=_checked(base_url), root=server.root)
    parts = list(_collections(start, set()))
    total = sum(len(files) for _, files in parts)
    names, tally, done = [], Tally(), 0
    for file, files in parts:
        ready = place.collection(catalogue.read_json(file), file)
        server.put_collection(ready)
        names.append(str(ready["id"]))
        tally += server.put_items(names[-1], _told(place.items(files, names[-1]), progress, done, total))
        done += len(files)
    if tally.failures:
        raise PushError(f"{len(tally.failures)} of {total} Items not pushed, the others are: {tally.failures[0]}")
    return Pushed(collections=tuple(names), items=tally)


def _told(documents: Iterator[Document], progress: Step | None, done: int, total: int) -> Iterator[Document]:
    for number, document in enumerate(documents, start=done):
        if progress:
            progress(number, total, str(document["id"]))
        yield document


def _checked(base_url: str | None) -> str | None:
    if base_url is None:
        return None
    parts = urlsplit(base_url)
    if parts.scheme.lower() not in SCHEMES or parts.query or parts.fragment:
        raise PushError(f"--base-url {base_url!r} is no URL of a folder: it begins with {'://, '.join(SCHEMES)}://")
    return base_url.rstrip("/")


def _collections(path: Path, seen: set[Path]) -> Iterator[tuple[Path, list[Path]]]:
    """The Collection files below a STAC file, each with the files of its Items."""
    if path.resolve() in seen:
        return
    seen.add(path.resolve())
    document = catalogue.read_json(path)
    kind = document.get("type")
    if kind not in ("Catalog", "Collection"):
        raise PushError(f"{path} is no Catalog or Collection, so there is no Collection to push its Items to")
    links = [(link.get("rel"), link) for link in document.get("links", [])]
    items = [catalogue.local_target(link, path) for rel, link in links if rel == "item"]
    if kind == "Collection":
        yield path, items
    elif items:
        raise PushError(f"{path} lists Items that belong to no Collection: a server takes none such")
    for rel, link in links:
        if rel == "child":
            yield from _collections(catalogue.local_target(link, path), seen)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """Where a catalogue lies and where its readers will find it."""

    folder: Path
    base_url: str | None
    root: str

    def collection(self, document: Document, file: Path) -> Document:
        ready = item_table.described(document)
        if self.base_url is None:  # an index of this folder is no news to a server
            ready["assets"] = {
                key: asset for key, asset in document.get("assets", {}).items() if asset != item_table.ASSET
            }
        return self.made_public(ready, file, f"Collection {document.get('id')}")

    def items(self, files: Sequence[Path], collection: str) -> Iterator[Document]:
        for file in files:
            document = catalogue.read_json(file)
            if document.get("collection") != collection:
                raise PushError(
                    f"{file} is listed by Collection {collection}, but names {document.get('collection')!r} as its own"
                )
            ready = self.made_public(document, file, f"Item {document.get('id')}")
            own = {"rel": "collection", "href": f"{self.root}collections/{collection}", "type": "application/json"}
            yield {**ready, "links": [own, *ready["links"]]}  # an Item that names a Collection must link to it

    def made_public(self, document: Mapping[str, Any], file: Path, name: str) -> Document:
        assets = {
            key: {**asset, "href": self.href(asset["href"], file, f"{name}, asset {key!r}")}
            for key, asset in document.get("assets", {}).items()
        }
        links = [made for link in document.get("links", []) if (made := self.link(link, file)) is not None]
        ready: Document = hrefs.unsigned({**document, "assets": assets, "links": links})
        return ready

    def href(self, href: str, file: Path, name: str) -> str:
        if hrefs.is_remote(href):
            return href
        path = _local(href, file)
        if self.base_url is None:
            raise PushError(
                f"{name} lies on this disk ({path}): say where readers find {self.folder} by --base-url URL"
            )
        if not path.is_relative_to(self.folder):
            raise PushError(f"{name} lies outside {self.folder}: {path} has no place below {self.base_url}")
        return f"{self.base_url}/{quote(path.relative_to(self.folder).as_posix())}"

    def link(self, link: Mapping[str, Any], file: Path) -> Document | None:
        """The link as it stands on the server; None for what the server makes itself or nobody can follow."""
        if link.get("rel") in STRUCTURE:
            return None
        if hrefs.is_remote(str(link.get("href"))):
            return dict(link)
        path = _local(str(link.get("href")), file)
        if not path.is_relative_to(self.folder) or not path.is_file():
            return None
        if path.suffix != ".json":
            return None if self.base_url is None else {**link, "href": self.href(str(path), file, "")}
        target = catalogue.read_json(path)
        if target.get("type") != "Feature":
            return None
        return {**link, "href": f"{self.root}collections/{target.get('collection')}/items/{target.get('id')}"}


def _local(href: str, file: Path) -> Path:
    return Path(os.path.normpath(file.parent.absolute() / hrefs.on_disk(href)))
