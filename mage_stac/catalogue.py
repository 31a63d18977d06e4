"""Static catalogues on disk: catalog.json, <collection>/collection.json, <collection>/<item>/<item>.json."""

from __future__ import annotations

import json
import os
import re
import shutil
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pystac

from mage_stac import extensions, folders, hrefs, item_table, maxar
from mage_stac.errors import AssetError, CatalogueError, reason
from mage_stac.summaries import collection_document

STAC_VERSION = "1.1.0"

_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")
IMAGELESS = "`mage-stac search --download --bands red,green,blue` makes one image of an Item's bands"
"""What to do about an Item without an asset `image`."""
_STRUCTURE = {"root", "parent", "collection", "self", "child", "item"}
"""Link relations that follow from where an Item lies."""


@contextmanager
def staged(root: Path, collection: str, item_id: str) -> Iterator[Path]:
    """A folder to prepare an Item in: `.<item id>.partial`, beside the Item's final place.

    On a clean exit it must hold `<item id>.json`; it is then renamed to DIR/<collection>/<item id>, replacing an older
    one. On any exception, Ctrl-C included, it is removed and what was there before stays.

    Raises:
        CatalogueError: the ids cannot be file names, the folder cannot be written, or the Item was not written.
    """
    final = root.absolute() / checked_id(collection) / checked_id(item_id)  # hrefs are told apart by it
    partial = final.with_name(f".{item_id}.partial")
    old = folders.aside(final)
    try:
        if old.exists() and not final.exists():  # the last run died between the two renames
            old.rename(final)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        if not (partial / f"{item_id}.json").is_file():
            raise CatalogueError(f"Item {item_id} was prepared in {partial} without its {item_id}.json")
        folders.replace(partial, final)
    except OSError as error:
        raise CatalogueError(f"Item {item_id} cannot be written to {final}: {reason(error)}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def checked_id(name: str) -> str:
    """The id itself, if it can be a file name on any system.

    Raises:
        CatalogueError: it cannot.
    """
    if not _ID.fullmatch(name):
        raise CatalogueError(f"id {name!r} cannot be a file name: use letters, digits, '-', '_' and '.' (not first)")
    return name


def safe_id(name: str) -> str:
    """An id made of any text: what cannot be in a file name becomes '-'."""
    return re.sub(r"[^A-Za-z0-9_.\-]+", "-", name).strip("-.") or "item"


def has(root: Path, collection: str, item_id: str) -> bool:
    """Whether the Item is complete on disk."""
    return (root / collection / item_id / f"{item_id}.json").is_file()


def write_item(folder: Path, item: pystac.Item) -> None:
    """Write <folder>/<item id>.json, as it must stand two levels below its catalogue.

    Assets and links that lie on this disk become relative to the folder; links to root, parent and collection are made
    anew; extensions are declared from the fields used; `proj:epsg` stands beside `proj:code`, for older GDALs; signed
    query strings are cut off.

    Raises:
        CatalogueError: the Item belongs to no collection, its id is no file name, or the disk refuses.
    """
    if item.collection_id is None:
        raise CatalogueError(f"Item {item.id} belongs to no collection: set item.collection_id before it is written")
    checked_id(item.id)
    document = item.to_dict(include_self_link=False, transform_hrefs=False)
    document["stac_version"] = STAC_VERSION
    document["collection"] = item.collection_id
    for asset in document["assets"].values():
        asset["href"] = hrefs.portable(asset["href"], folder)
    document["links"] = [
        {"rel": "root", "href": "../../catalog.json", "type": "application/json"},
        {"rel": "parent", "href": "../collection.json", "type": "application/json"},
        {"rel": "collection", "href": "../collection.json", "type": "application/json"},
        *(_portable_link(link, item, folder) for link in item.links if link.rel not in _STRUCTURE),
    ]
    _write_both_codes(document)
    extensions.declare(document)
    write_json(folder / f"{item.id}.json", hrefs.unsigned(document))


def _portable_link(link: pystac.Link, item: pystac.Item, folder: Path) -> dict[str, Any]:
    document = link.to_dict(transform_href=False)
    if isinstance(link.target, pystac.Item) and link.target.get_self_href() is None:
        raise CatalogueError(f"Item {item.id}: link {link.rel!r} leads to Item {link.target.id}, which is on no disk")
    return {**document, "href": hrefs.portable(document["href"], folder)}


def _write_both_codes(document: dict[str, Any]) -> None:
    """GDAL before 3.10 knows `proj:epsg` only, and looks for it in the properties; pystac drops it on reading."""
    codes = {asset["proj:code"] for asset in document["assets"].values() if "proj:code" in asset}
    if len(codes) == 1 and "proj:code" not in document["properties"]:
        document["properties"]["proj:code"] = codes.pop()
    for holder in (document["properties"], *document["assets"].values()):
        code = holder.get("proj:code")
        if isinstance(code, str) and code.startswith("EPSG:"):
            holder["proj:epsg"] = int(code.removeprefix("EPSG:"))


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write JSON so that the file is either the old one or the whole new one.

    Raises:
        CatalogueError: the disk refuses.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise CatalogueError(f"{path} cannot be written: {reason(error)}") from error
    except ValueError as error:
        raise CatalogueError(f"{path} cannot be written: {error}, which JSON does not have") from error
    finally:
        partial.unlink(missing_ok=True)


def index(root: Path, *, id: str, title: str, collections: Mapping[str, Mapping[str, Any]]) -> None:  # noqa: A002 - STAC's word
    """Write catalog.json and every collection.json and items.parquet anew from the Items on disk. Idempotent.

    `collections` maps collection ids to what cannot be read off the Items: title, description, license, keywords,
    providers ... (fields of a STAC Collection). A collection on disk that is not in it keeps what its collection.json
    says. A collection without Items is left out.

    Raises:
        CatalogueError: an Item is broken, or the disk refuses.
    """
    children = []
    for name in sorted({*collections, *(path.parent.name for path in root.glob("*/collection.json"))}):
        template = collections[name] if name in collections else read_json(root / name / "collection.json")
        items = [read_json(path) for path in item_files(root / name)]
        if items:
            described = {key: value for key, value in template.items() if key != "assets"}
            document = collection_document(name, described, items, parent_title=title)
            extensions.declare(document)
            _write_collection(
                root / name / "collection.json", {**document, "assets": template.get("assets", {})}, items
            )
            children.append((name, document["title"]))
    write_json(root / "catalog.json", _catalog_document(id, title, children))


def _write_collection(path: Path, document: Mapping[str, Any], items: Sequence[dict[str, Any]]) -> bool:
    """Write collection.json, and beside it the Items' table, which it then names; whether there is one."""
    with item_table.beside(path.parent, document, items) as ready:
        write_json(path, ready)
    return (path.parent / item_table.NAME).is_file()


def rebuild_tables(root: Path) -> list[Path]:
    """Write items.parquet anew beside every collection.json below a folder, which then names it; gives their paths.

    Raises:
        CatalogueError: no Collection has Items that can share a table, an Item is broken, or the disk refuses.
    """
    made = []
    for path in sorted(root.rglob("collection.json")):
        items = [read_json(file) for file in item_files(path.parent)]
        if items and _write_collection(path, read_json(path), items):
            made.append(path.parent / item_table.NAME)
    if not made:
        raise CatalogueError(f"{root} holds no Collection of Items that could share a table")
    return made


def identity(root: Path, *, title: str) -> dict[str, str]:
    """Id and title for `index`: those the catalogue has, or else its folder's name and the title given."""
    own = {"id": safe_id(root.resolve().name), "title": title}
    known = read_json(root / "catalog.json") if (root / "catalog.json").is_file() else {}
    return {key: str(known.get(key, value)) for key, value in own.items()}


def _catalog_document(name: str, title: str, children: Iterable[tuple[str, str]]) -> dict[str, Any]:
    return {
        "type": "Catalog",
        "stac_version": STAC_VERSION,
        "id": name,
        "title": title,
        "description": title,
        "links": [
            {"rel": "root", "href": "./catalog.json", "type": "application/json", "title": title},
            *(
                {"rel": "child", "href": f"./{child}/collection.json", "type": "application/json", "title": child_title}
                for child, child_title in children
            ),
        ],
    }


def item_files(collection: Path) -> list[Path]:
    """The Item files of a collection's folder, complete ones only, sorted by id."""
    return sorted(
        folder / f"{folder.name}.json"
        for folder in (collection.iterdir() if collection.is_dir() else ())
        if not folder.name.startswith(".") and (folder / f"{folder.name}.json").is_file()
    )


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from disk.

    Raises:
        CatalogueError: the file is missing, or not a JSON object.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CatalogueError(f"{path} cannot be read: {reason(error)}") from error
    except UnicodeDecodeError as error:
        raise CatalogueError(f"{path} is no text, so no STAC: of an image, `mage-stac ingest` makes an Item") from error
    except json.JSONDecodeError as error:
        raise CatalogueError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise CatalogueError(f"{path} holds no JSON object, so no STAC")
    return document


def read_items(path: str | Path, *, collection: str | None = None) -> list[pystac.Item]:
    """The Items of a catalogue or collection (folder or file), of an Item's folder or file, or of a FeatureCollection.

    Asset hrefs are absolute. Only Items of `collection` if it is given. Order: as the catalogue lists them.

    Raises:
        CatalogueError: nothing there, a link leads nowhere (named), or a file is no STAC.
    """
    start = entry(Path(path))
    items = list(_walk(start, read_json(start), seen=set()))
    return [item for item in items if collection is None or item.collection_id == collection]


def read_item(path: str | Path) -> pystac.Item:
    """The one Item at a path; see `read_items`.

    Raises:
        CatalogueError: there is none, or more than one.
    """
    items = read_items(path)
    if len(items) != 1:
        raise CatalogueError(
            f"{path} holds {len(items)} Items where one is expected: give the Item's own folder or file"
        )
    return items[0]


def entry(path: Path) -> Path:
    """The STAC file that a file or folder stands for.

    Raises:
        CatalogueError: there is none.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise CatalogueError(f"{path} does not exist: give a catalogue folder, an Item folder or a STAC file")
    for name in ("catalog.json", "collection.json", f"{path.resolve().name}.json"):
        if (path / name).is_file():
            return path / name
    raise CatalogueError(f"{path} holds no catalog.json, collection.json or {path.resolve().name}.json")


def _walk(path: Path, document: dict[str, Any], seen: set[Path]) -> Iterator[pystac.Item]:
    kind = document.get("type")
    if path.resolve() in seen:
        return
    seen.add(path.resolve())
    if kind == "Feature":
        yield parse_item(document, path)
    elif kind == "FeatureCollection":
        for feature in document.get("features", []):
            yield parse_item(maxar.item(feature, path) if maxar.known(feature) else feature, path)
    elif kind in ("Catalog", "Collection"):
        for link in document.get("links", []):
            if link.get("rel") in ("child", "item"):
                target = local_target(link, path)
                yield from _walk(target, read_json(target), seen)
    else:
        raise CatalogueError(f"{path} is no STAC Catalog, Collection, Item or FeatureCollection: its type is {kind!r}")


def local_target(link: Mapping[str, Any], path: Path) -> Path:
    """The file on this disk that a link in a STAC file leads to.

    Raises:
        CatalogueError: it leads into the network, or nowhere.
    """
    href = str(link.get("href", ""))
    if hrefs.is_remote(href):
        raise CatalogueError(f"{path} links to {href}: only catalogues wholly on disk are read; use mage-stac search")
    target = Path(os.path.normpath(path.parent / hrefs.on_disk(href)))
    if not target.is_file():
        raise CatalogueError(
            f"broken link in {path}: {link.get('rel')} {href!r} leads to {target}, which does not exist"
        )
    return target


def parse_item(document: dict[str, Any], path: Path | None = None) -> pystac.Item:
    """An Item from its JSON, migrated to the STAC of today, with absolute asset hrefs if its place is known.

    Raises:
        CatalogueError: the document is no Item.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecation notes about a stranger's Item are not ours to act on
            item = pystac.Item.from_dict(document, preserve_dict=False)  # migrating copies it
            if path is not None:
                item.set_self_href(str(path.absolute()))
                for asset in item.assets.values():
                    asset.href = hrefs.placed(asset.href, path.parent)
    except (pystac.STACError, pystac.STACTypeError, KeyError, TypeError, ValueError, AttributeError) as error:
        name = document.get("id") if isinstance(document, dict) else None
        raise CatalogueError(f"{path or 'the answer'}: Item {name!r} is not valid STAC: {error!r}") from error
    return item


def asset_path(item: pystac.Item, key: str) -> str:
    """Where to open an asset: a local path, or an http(s) or s3 URL, as rasterio takes them.

    Raises:
        AssetError: the Item has no such asset (names those it has), or it names something that may not be opened: a
            GDAL virtual file, another scheme, or, in an Item from the network, a local path.
    """
    asset = item.assets.get(key)
    if asset is None:
        have = ", ".join(sorted(item.assets)) or "none"
        raise AssetError(
            f"Item {item.id} has no asset {key!r}; it has: {have}{f': {IMAGELESS}' if key == 'image' else ''}"
        )
    href = asset.get_absolute_href() or asset.href
    stranger = hrefs.is_remote(item.get_self_href() or "")
    return hrefs.checked(href, what=f"asset {key!r} of Item {item.id}", stranger=stranger)


def link_to(
    item: pystac.Item, target: pystac.Item | Path, rel: str, *, title: str | None = None, **fields: Any
) -> None:
    """Link an Item to another one, in this catalogue or elsewhere; `write_item` makes the href relative.

    `fields` are further fields of the link, such as `label:assets` or `mlm:name`.

    Raises:
        CatalogueError: the target Item has no place yet.
    """
    if isinstance(target, pystac.Item):
        href = target.get_self_href()
        title = title or target.properties.get("title") or target.id
        if href is None:
            raise CatalogueError(f"Item {item.id}: link {rel!r} leads to Item {target.id}, which is on no disk")
    else:
        href = str(target.absolute())
    item.add_link(
        pystac.Link(rel=rel, target=href, media_type="application/geo+json", title=title, extra_fields=fields)
    )
