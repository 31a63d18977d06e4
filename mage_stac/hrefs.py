"""What an href may be: relative on disk, free of signatures, and no way into this machine for strangers."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit
from urllib.request import url2pathname

from mage_stac.errors import AssetError

REMOTE = ("http", "https", "s3")
"""Schemes that an asset of an Item from elsewhere may have."""

_SIGNATURE = re.compile(
    r"sig|signature|token|access_token|api_?key|(subscription|x-amz|x-goog)-.*|awsaccesskeyid|skoid|sktid",
    re.IGNORECASE,
)
"""Query keys of Azure SAS, AWS, Google and token-signed URLs."""


def is_remote(href: str) -> bool:
    """Whether the href is an http(s) or s3 URL."""
    return urlsplit(href).scheme.lower() in REMOTE


def on_disk(href: str) -> str:
    """A `file:` URL as the path that it means, where '%20' is a space; anything else unchanged."""
    return url2pathname(urlsplit(href).path) if href[:5].lower() == "file:" else href


def portable(href: str, folder: Path) -> str:
    """A local absolute path made relative to the folder, with '/' between its parts; anything else unchanged."""
    path = Path(on_disk(href))
    if is_remote(href) or not path.is_absolute():
        return href
    relative = os.path.relpath(path, folder.absolute()).replace(os.sep, "/")
    return relative if relative.startswith("..") else f"./{relative}"


def placed(href: str, folder: Path) -> str:
    """A relative path made absolute as it stands in a folder; anything else unchanged.

    It is no URL, so '#' and '?' are characters like others: people name folders "event #3".
    """
    if urlsplit(href).scheme or Path(href).is_absolute():
        return href
    return os.path.normpath(folder.absolute() / href)


def unsigned(value: Any) -> Any:
    """The same JSON value with the query cut off every URL that carries a signature or token."""
    if isinstance(value, dict):
        return {key: unsigned(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [unsigned(entry) for entry in value]
    if isinstance(value, str) and "?" in value and is_remote(value):
        parts = urlsplit(value)
        if any(_SIGNATURE.fullmatch(key) for key, _ in parse_qsl(parts.query, keep_blank_values=True)):
            return urlunsplit(parts._replace(query=""))
    return value


def without_query(href: str) -> str:
    """A URL without its query, for people to read; a path as it is."""
    return urlunsplit(urlsplit(href)._replace(query="")) if is_remote(href) else href


def checked(href: str, *, what: str, stranger: bool) -> str:
    """The href, a path where it is a `file:` URL, if it may be opened. `what` names it in the error.

    A `stranger` is an Item that came over the network: it may name http(s) and s3 URLs only.

    Raises:
        AssetError: it may not: a GDAL virtual file, another scheme, or a stranger's local path.
    """
    scheme = urlsplit(href).scheme.lower()
    local = not stranger and (scheme in ("", "file") or (len(scheme) == 1 and os.name == "nt"))
    place = on_disk(href)
    virtual = place.startswith("/vsi") or urlsplit(place).path.lower().endswith(".vrt")
    if virtual or not (local or scheme in REMOTE):
        allowed = "http(s) and s3 URLs" if stranger else "files, http(s) and s3 URLs"
        raise AssetError(f"{what} is {href!r}: only {allowed} are opened, and no GDAL virtual files")
    return place
