"""A STAC API with the Transaction extension as a server to push to."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from mage_stac.errors import PushError
from mage_stac.push import STRUCTURE, Document, Tally

TOKEN = "MAGE_STAC_TOKEN"  # noqa: S105 - the variable's name
"""Environment variable that holds a bearer token for APIs that want one."""

TIMEOUT = (10, 60)
"""Seconds to a connection and to an answer."""

CONFORMS = "ogcapi-features/extensions/transaction"
"""In the conformance URI of the Transaction extension for Items, whichever its version."""


@contextmanager
def connected(url: str) -> Iterator[Api]:
    """A STAC API that may be written to.

    Raises:
        PushError: nobody answers, it is no STAC API, or it offers no Transaction extension.
    """
    with requests.Session() as session:
        retry = Retry(
            total=4,
            backoff_factor=0.5,
            status_forcelist=(429, 502, 503, 504),
            allowed_methods=None,
            raise_on_status=False,
        )  # a repeated POST that had arrived is answered by 409, which counts as there
        session.mount("http://", HTTPAdapter(max_retries=retry))
        session.mount("https://", HTTPAdapter(max_retries=retry))
        if os.environ.get(TOKEN):
            session.headers["Authorization"] = f"Bearer {os.environ[TOKEN]}"
        api = Api(session=session, root=f"{url.rstrip('/')}/")
        landing = api.get("")
        conforms = landing.get("conformsTo") if isinstance(landing, dict) else None
        if not isinstance(conforms, list):
            raise PushError(f"--api {url} answers, but not as a STAC API: it says not what it conforms to")
        if not any(CONFORMS in str(each) for each in conforms):
            raise PushError(
                f"--api {url} offers no Transaction extension, so nothing can be pushed to it: enable that"
                " (stac-fastapi: ENABLE_TRANSACTIONS_EXTENSIONS=TRUE), or push to its database by --pgstac"
            )
        yield api


class _RefusedError(PushError):
    """One Item that the server does not take; the others may do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Api:
    """A `push.Server`."""

    session: requests.Session
    root: str

    def put_collection(self, document: Document) -> None:
        """Create or update a Collection.

        Raises:
            PushError: the server refuses, or does not answer any more.
        """
        self._put("collections", document, f"Collection {document['id']}")

    def put_items(self, collection: str, documents: Iterable[Document]) -> Tally:
        """Create or update Items, one by one; those refused are named in the tally's failures.

        Raises:
            PushError: the server does not let us write, or does not answer any more.
        """
        tally = Tally()
        for document in documents:
            try:
                tally += self._put(f"collections/{quote(collection)}/items", document, f"Item {document['id']}")
            except _RefusedError as error:
                tally += Tally(failures=(str(error),))
        return tally

    def get(self, path: str) -> Any:
        """What is at a path below the API; None for nothing."""
        answer = self._ask("GET", path, None, f"{self.root}{path}")
        try:
            return None if answer.status_code == requests.codes.not_found else answer.json()
        except ValueError as error:
            raise PushError(f"--api {self.root}{path} answers, but not as a STAC API: no JSON") from error

    def _put(self, folder: str, document: Document, name: str) -> Tally:
        path = f"{folder}/{quote(str(document['id']))}"
        held = self.get(path)
        if held is not None and _alike(document, held):
            return Tally(same=1)
        if held is None:
            answer = self._ask("POST", folder, document, name)
            if answer.status_code != requests.codes.conflict:
                return Tally(new=1)
        self._ask("PUT", path, document, name)
        return Tally(changed=1)

    def _ask(self, method: str, path: str, body: Document | None, name: str) -> requests.Response:
        try:
            answer = self.session.request(method, f"{self.root}{path}", json=body, timeout=TIMEOUT)
        except requests.RequestException as error:
            raise PushError(f"--api {self.root} cannot be reached: {_cause(error)}") from error
        status = answer.status_code
        if answer.ok or (method == "GET" and status == 404) or (method == "POST" and status == 409):
            return answer
        said = f"{name}: the server answers {status} to {method}: {_reason(answer)}"
        if status in (401, 403):
            raise PushError(f"{said}; it wants to know who writes: put a bearer token into {TOKEN}")
        if status in (405, 501):
            raise PushError(f"{said}; it does not take what it says it takes, so push to its database by --pgstac")
        raise (_RefusedError if 400 <= status < 500 else PushError)(said)


def _alike(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    """Whether a server holds what we would send. What it adds, and its own links, do not count."""
    fields = ours.keys() - {"links"}
    return all(_same(ours[key], theirs.get(key)) for key in fields) and _links(ours) <= _links(theirs)


def _same(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return all(_same(ours.get(key), theirs.get(key)) for key in ours.keys() | theirs.keys())
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_same, ours, theirs))
    return bool(ours == theirs)


def _links(document: Mapping[str, Any]) -> set[tuple[str, str]]:
    links = ((str(link.get("rel")), str(link.get("href"))) for link in document.get("links", []))
    return {(rel, href) for rel, href in links if rel not in STRUCTURE}


def _reason(answer: requests.Response) -> str:
    try:
        document = answer.json()
    except ValueError:
        return _plain(answer.text) or "no reason given"
    told = document.get("description") or document.get("detail") if isinstance(document, dict) else None
    return _plain(str(told or document))


def _cause(error: Exception) -> str:
    """The innermost reason: requests and urllib3 nest theirs, each with the address and its own name."""
    return _plain(str(error)).rpartition("): ")[2].rstrip("')\"")


def _plain(text: str) -> str:
    return " ".join(text.split())[:400]
