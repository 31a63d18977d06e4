"""Checking catalogues: STAC 1.1 and its extensions by their JSON schemas, links, assets and what these say of files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema.validators
import requests
from pystac.validation.local_validator import get_local_schema_cache
from referencing import Registry, Resource
from referencing.exceptions import NoSuchResource, Unresolvable

from mage_stac import catalogue, extensions, hrefs, item_table
from mage_stac.errors import CatalogueError, MageStacError
from mage_stac.inspection import asset_problems
from mage_stac.progress import Step

PROJJSON = "https://proj.org/schemas/v0.7/projjson.schema.json"
"""Referred to by the projection extension and held nowhere here: anything that is an object passes."""

PATIENCE = 20
"""Seconds that a schema on the web is waited for."""

_STAC_TYPES = {"Catalog": "catalog", "Collection": "collection", "Feature": "item"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What a check found."""

    checked: int
    """STAC objects looked at."""
    problems: tuple[str, ...]
    """One line each: the file, the place in it, what is wrong."""
    unchecked: tuple[str, ...] = ()
    """Extensions declared somewhere whose schema could not be had."""


class Schemas:
    """JSON schemas by URI: STAC's, which come with pystac, our own, and the extensions' from a folder or the web."""

    def __init__(self, folder: Path | None) -> None:
        """`folder` holds <extension>/<version>/schema.json; None for that beside the checkout, or else the web.

        Raises:
            CatalogueError: the folder holds no schemas.
        """
        extensions_held = _folder(folder)
        self._online = not extensions_held
        self._held = {**get_local_schema_cache(), **_own(), PROJJSON: _ANYTHING, **extensions_held}
        known = [(uri, Resource.from_contents(schema)) for uri, schema in self._held.items()]
        registry: Any = Registry  # its stubs do not know the name attrs gives `_retrieve`
        self._registry = registry(retrieve=self._resource).with_resources(known)
        self._validators: dict[str, Any] = {}
        self.missing: set[str] = set()
        """Schemas asked for that could not be had."""

    def problems(self, uri: str, document: Mapping[str, Any]) -> Iterator[str]:
        """What is wrong with a document by one schema; one line, the most telling. Nothing if it cannot be had."""
        if uri in self.missing:
            return
        try:
            errors = list(self._validator(uri).iter_errors(document))
        except (NoSuchResource, Unresolvable):
            self.missing.add(uri)
            return
        if errors:
            best = max((_telling(each) for each in errors), key=_depth)
            where = "/".join(str(part) for part in best.absolute_path) or "the document"
            said = UNLINKED if best.validator == "not" and where == "collection" else _shortened(best.message)
            yield f"{where}: {said} ({uri.removeprefix('https://')})"

    def _validator(self, uri: str) -> Any:
        if uri not in self._validators:
            schema = self._schema(uri)
            self._validators[uri] = jsonschema.validators.validator_for(schema)(schema, registry=self._registry)
        return self._validators[uri]

    def _resource(self, uri: str) -> Resource[Any]:
        return Resource.from_contents(self._schema(uri))

    def _schema(self, uri: str) -> dict[str, Any]:
        if uri not in self._held:
            if not self._online or not uri.startswith("https://"):
                raise NoSuchResource(uri)
            try:
                answer = requests.get(uri, timeout=PATIENCE)
                answer.raise_for_status()  # a "not found" in JSON would pass for a schema that asks for nothing
                self._held[uri] = dict(answer.json())
            except (requests.RequestException, ValueError) as error:
                raise NoSuchResource(uri) from error
        schema: dict[str, Any] = self._held[uri]
        return schema


UNLINKED = "is given, but no link of rel 'collection' leads to it"
"""What the schema of Items means by `not`."""

_ANYTHING = {"$schema": "http://json-schema.org/draft-07/schema#", "$id": PROJJSON, "type": "object"}


def _own() -> dict[str, Any]:
    held = {}
    for extension in (files("mage_stac.catalogs") / "schemas").iterdir():
        for version in extension.iterdir():
            schema = json.loads((version / "schema.json").read_text(encoding="utf-8"))
            held[schema["$id"]] = schema
    return held


def _folder(folder: Path | None) -> dict[str, Any]:
    beside = Path(__file__).resolve().parents[2] / "shared" / "schemas"
    if folder is None and not beside.is_dir():
        return {}
    paths = sorted((folder or beside).glob("*/*/schema.json"))
    if not paths:
        raise CatalogueError(f"{folder or beside} holds no <extension>/<version>/schema.json")
    # By path and not by $id: some old schemas carry the $id of another version.
    return {
        f"{extensions.HOME}/{path.parent.parent.name}/{path.parent.name}/schema.json": catalogue.read_json(path)
        for path in paths
    }


def _depth(error: Any) -> int:
    """How far inside the document an error lies."""
    return len(error.absolute_path)


def _telling(error: Any) -> Any:
    """The innermost cause of an error: of the alternatives that are meant for this type of object, the deepest."""
    if not error.context:
        return error
    other = {
        each.schema_path[0]
        for each in error.context
        if each.validator == "const" and list(each.absolute_path) == ["type"]
    }
    fitting = [each for each in error.context if each.schema_path[0] not in other] or error.context
    return max((_telling(each) for each in fitting), key=_depth)


def _shortened(message: str) -> str:
    line = " ".join(message.split())
    return line if len(line) <= 200 else f"{line[:120]} ... {line[-70:]}"


def validate(root: Path, schemas: Path | None = None, progress: Step | None = None) -> Report:
    """Check every STAC object below a folder. Needs no network where the schemas lie in a folder.

    Looked at: the schemas of STAC and of every extension declared; that local links and assets lead somewhere; that
    rasters open and agree with their `proj:*`, bands and data type; that no signed URL is stored; that every Item is
    listed by its Collection; that items.parquet says what the Items' JSON says.

    Raises:
        CatalogueError: no folder, or no STAC in it.
    """
    if not root.exists():
        raise CatalogueError(f"{root} does not exist")
    documents = list(_documents(root))
    if not documents:
        raise CatalogueError(f"{root} holds no STAC: give a folder with a catalog.json, collection.json or Items")
    held = Schemas(schemas)
    listed = {path: _listed(path, document) for path, document in documents if path.name == "collection.json"}
    problems = []
    for done, (path, document) in enumerate(documents, start=1):
        problems += [f"{path}: {problem}" for problem in _problems(path, document, held, listed)]
        if progress:
            progress(done, len(documents), "")
    tables = ((path, _table_problem(path, document)) for path, document in documents if path in listed)
    problems += [f"{path}: {problem}" for path, problem in tables if problem]
    return Report(checked=len(documents), problems=tuple(problems), unchecked=tuple(sorted(held.missing)))


def _table_problem(path: Path, document: Mapping[str, Any]) -> str | None:
    named = document.get("assets", {}).get("items", {}).get("href") == item_table.ASSET["href"]
    if not named and not (path.parent / item_table.NAME).is_file():
        return None
    try:
        items = [catalogue.read_json(file) for file in catalogue.item_files(path.parent)]
    except CatalogueError:
        return None  # said of the Item itself
    return item_table.problem(path.parent, document, items)


def _documents(root: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The STAC objects below a folder; a file called as one of them that cannot be read comes with its error."""
    paths = sorted(root.rglob("*.json")) if root.is_dir() else [root]
    for path in paths:
        if any(part.startswith(".") for part in path.relative_to(root).parts):
            continue
        stac = path.name in ("catalog.json", "collection.json") or path.stem == path.parent.name or path == root
        try:
            document = catalogue.read_json(path)
        except CatalogueError as error:
            if stac:
                yield path, {"broken": str(error)}
            continue
        if "stac_version" in document or stac:
            yield path, document


def _listed(path: Path, document: Mapping[str, Any]) -> set[Path]:
    """The files that a Collection lists as its Items."""
    return {
        (path.parent / link.get("href", "")).resolve()
        for link in document.get("links", [])
        if link.get("rel") == "item"
    }


def _problems(
    path: Path, document: dict[str, Any], schemas: Schemas, listed: Mapping[Path, set[Path]]
) -> Iterator[str]:
    if "broken" in document:
        yield document["broken"]
        return
    kind = _STAC_TYPES.get(document.get("type", ""))
    if kind is None:
        yield f"is no STAC Catalog, Collection or Item: its type is {document.get('type')!r}"
        return
    version = document.get("stac_version")
    if version != catalogue.STAC_VERSION:
        yield f"is STAC {version}, not {catalogue.STAC_VERSION}"
    core = f"https://schemas.stacspec.org/v{catalogue.STAC_VERSION}/{kind}-spec/json-schema/{kind}.json"
    unfit = list(schemas.problems(core, {**document, "stac_version": catalogue.STAC_VERSION}))
    yield from unfit
    for uri in document.get("stac_extensions", []):
        yield from schemas.problems(uri, document)
    if hrefs.unsigned(document) != document:
        yield "stores a signed URL: its query must not be kept"
    yield from _link_problems(path, document)
    if kind == "item":
        yield from _code_problems(document)
        parent = path.parent.parent / "collection.json"
        if parent in listed and path.resolve() not in listed[parent]:
            yield f"Item {document.get('id')!r} is not listed in {parent}"
        yield from _item_problems(path, document, told=bool(unfit))


def _code_problems(document: Mapping[str, Any]) -> Iterator[str]:
    """Where `proj:epsg`, by which older GDALs place a raster, is not the `proj:code` beside it."""
    assets = document.get("assets")
    named = {f"asset {key!r}": asset for key, asset in assets.items()} if isinstance(assets, dict) else {}
    for name, fields in {"properties": document.get("properties"), **named}.items():
        told = fields if isinstance(fields, dict) else {}
        code, epsg = told.get("proj:code"), str(told.get("proj:epsg") or "").removesuffix(".0")
        if code and epsg and code != f"EPSG:{epsg}":
            yield f"{name}: proj:epsg is {epsg}, but proj:code is {code}"


def _link_problems(path: Path, document: Mapping[str, Any]) -> Iterator[str]:
    for link in document.get("links", []):
        href = str(link.get("href", ""))
        targets = (path.parent / hrefs.on_disk(each) for each in (href, href.partition("#")[0]))
        if not hrefs.is_remote(href) and not any(target.exists() for target in targets):
            yield f"broken link: {link.get('rel')} {href!r} leads to nothing"


def _item_problems(path: Path, document: dict[str, Any], *, told: bool) -> Iterator[str]:
    """What is wrong with an Item's assets; that it is no Item, unless that was told."""
    try:
        item = catalogue.parse_item(document, path)
    except MageStacError as error:
        if not told:
            yield str(error)
        return
    for key in item.assets:
        yield from asset_problems(item, key)
