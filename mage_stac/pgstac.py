"""A pgstac database as a server to push to, by pypgstac's bulk loader."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from mage_stac.errors import PushError
from mage_stac.push import Document, Tally

CHUNK = 1000
"""Items loaded together; no more are in memory."""

PATIENCE = 10
"""Seconds to a connection."""

_HELD = "SELECT id, content, geometry::text FROM items WHERE collection = %s AND id = ANY(%s)"


@contextmanager
def connected(dsn: str) -> Iterator[Database]:
    """A connection to a pgstac database, by libpq's DSN or URL; libpq's environment (PGPASSWORD ...) counts.

    Raises:
        PushError: pypgstac is not installed, nobody answers, the password is wrong, or the database has no schema of
            pgstac or another release's.
    """
    try:
        import psycopg
        from pypgstac.db import PgstacDB
        from pypgstac.load import Loader
    except ImportError as error:
        raise PushError(f"--pgstac needs {error.name}: pip install 'mage-stac[pgstac]'") from error
    try:
        connection = psycopg.connect(dsn, autocommit=True, connect_timeout=PATIENCE)
    except (psycopg.OperationalError, psycopg.ProgrammingError) as error:
        raise PushError(f"--pgstac: the database cannot be reached: {_plain(error)}") from error
    database = PgstacDB(connection=connection)
    try:
        loader = Loader(database)
        _check(connection)
        connection.execute("SET search_path TO pgstac, public")
        yield Database(connection=connection, loader=loader)
    except psycopg.Error as error:
        raise PushError(f"--pgstac: the database refuses: {_plain(error)}") from error
    finally:
        connection.close()
        database.close()


def _check(connection: Any) -> None:
    from pypgstac.version import __version__

    if connection.execute("SELECT to_regclass('pgstac.migrations')").fetchone()[0] is None:
        raise PushError("--pgstac: the database has no pgstac schema: make it with `pypgstac migrate --dsn DSN`")
    row = connection.execute(
        "SELECT version FROM pgstac.migrations ORDER BY datetime DESC, version DESC LIMIT 1"
    ).fetchone()
    ours, theirs = (text.split(".")[:2] for text in (__version__, row[0] if row else ""))
    if ours != theirs:
        raise PushError(
            f"--pgstac: the database's schema is pgstac {row[0] if row else 'of no version'}, pypgstac here is"
            f" {__version__}: run `pypgstac migrate --dsn DSN`, or install the pypgstac of that release"
        )


def _plain(error: Exception) -> str:
    """An error in one line; the database's own, if it is one of these, without the row that it failed on."""
    told = getattr(getattr(error, "diag", None), "message_primary", None) or str(error)
    return " ".join(told.split())[:300]


@dataclass(frozen=True, kw_only=True, slots=True)
class Database:
    """A `push.Server`."""

    connection: Any
    loader: Any
    root: str = ""
    """stac-fastapi-pgstac makes relative links absolute by its own URL."""

    def put_collection(self, document: Document) -> None:
        """Create or update a Collection."""
        from pypgstac.load import Methods

        self.loader.load_collections(iter([document]), Methods.upsert)

    def put_items(self, collection: str, documents: Iterable[Document]) -> Tally:
        """Create or update Items, a thousand in one transaction; those it cannot hold are in the tally's failures."""
        tally, rest = Tally(), iter(documents)
        while chunk := list(islice(rest, CHUNK)):
            tally += self._chunk(collection, chunk)
        return tally

    def _chunk(self, collection: str, documents: list[Document]) -> Tally:
        from pypgstac.load import Methods

        names = [str(document["id"]) for document in documents]
        rows = self.connection.execute(_HELD, (collection, names)).fetchall()
        held = {name: (content, geometry) for name, content, geometry in rows}
        fresh, failures = [], []
        for name, document in zip(names, documents, strict=True):
            try:
                if self._row(document) != held.get(name):
                    fresh.append(document)
            except Exception as error:  # noqa: BLE001 - pypgstac raises it for a time or geometry that it cannot read
                failures.append(f"Item {name}: pgstac cannot hold it: {_plain(error)}")
        # Replacing each moves an Item whose date is in another partition now; an upsert would leave two of it.
        self.loader.load_items(iter(fresh), Methods.delsert)
        changed = sum(str(document["id"]) in held for document in fresh)
        same = len(names) - len(fresh) - len(failures)
        return Tally(new=len(fresh) - changed, changed=changed, same=same, failures=tuple(failures))

    def _row(self, document: Document) -> tuple[Any, str]:
        """An Item as the database holds it."""
        row = self.loader.format_item(document)
        if row["geometry"] is None:
            raise ValueError("no geometry")
        return json.loads(row["content"]), row["geometry"].upper()
