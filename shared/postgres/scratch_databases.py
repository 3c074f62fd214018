"""Create a database that holds a restored copy the way the source held it: encoding, collation, character classes."""

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
from psycopg import sql

from shared.domain.manifest import ServerFacts
from shared.errors import SourceRefused, SpaceExhausted
from shared.postgres.connection import DatabaseAddress
from shared.postgres.connection_errors import explain_connection_failure

_FULL_DISK = "53100"
_DIFFERS = "sort order, letter case and range partitions on text may differ"
_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One way to ask for a locale, and what it cannot match."""

    options: tuple[tuple[str, str], ...]
    note: str = ""


def create_database(
    address: DatabaseAddress, name: str, *, server: ServerFacts
) -> tuple[DatabaseAddress, tuple[str, ...]]:
    """Create an empty database with the source's encoding and the closest locale this server has.

    Args:
        address: The server, as a role that may create databases.
        name: The new database's name.
        server: What the source is.

    Returns:
        The new database's address, and a sentence for everything that could not match.

    Raises:
        SpaceExhausted: The disk is full.
        SourceProblem: The server cannot be reached or refuses, for example because the database exists.
    """
    with address.connect() as connection:
        major = connection.info.server_version // 10000
        problem: psycopg.Error | None = None
        for attempt in _attempts(server, major):
            options = sql.SQL(" ").join(
                sql.SQL("{} {}").format(sql.SQL(keyword), sql.Literal(value)) for keyword, value in attempt.options
            )
            try:
                connection.execute(
                    sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING {} {}").format(
                        sql.Identifier(name), sql.Literal(server.encoding), options
                    )
                )
            except (
                psycopg.errors.WrongObjectType,
                psycopg.errors.DataError,
                psycopg.errors.NotSupportedError,
            ) as error:
                problem = error  # this server lacks the locale or the provider: try the next best
            except psycopg.Error as error:
                raise _explain(error, address, name) from None
            else:
                return address.with_database(name), (attempt.note,) if attempt.note else ()
        assert problem is not None
        raise _explain(problem, address, name) from None


def _attempts(server: ServerFacts, major: int) -> Iterator[_Attempt]:
    provider = _PROVIDERS.get(server.locale_provider, server.locale_provider)
    libc = (("LC_COLLATE", server.collate), ("LC_CTYPE", server.ctype))
    fallback = (("LC_COLLATE", "C"), ("LC_CTYPE", "C"))
    if provider == "icu" and major >= 15:
        icu = (("LOCALE_PROVIDER", "icu"), ("ICU_LOCALE", server.locale))
        yield _Attempt((*icu, *libc))
        yield _Attempt(
            (*icu, *fallback), f"the scratch server has no system locale {server.ctype} beside its ICU locale"
        )
        asked = f"ICU {server.locale}"
    elif provider == "builtin" and major >= 17:
        builtin = (("LOCALE_PROVIDER", "builtin"), ("BUILTIN_LOCALE", server.locale))
        yield _Attempt((*builtin, *libc))
        yield _Attempt((*builtin, *fallback), f"the scratch server has no system locale {server.ctype}")
        asked = f"builtin {server.locale}"
    else:
        yield _Attempt((*(() if major < 15 else (("LOCALE_PROVIDER", "libc"),)), *libc))
        asked = server.collate if server.collate == server.ctype else f"{server.collate} / {server.ctype}"
    yield from _substitutes(server, major, asked, fallback)


def _substitutes(
    server: ServerFacts, major: int, asked: str, fallback: tuple[tuple[str, str], ...]
) -> Iterator[_Attempt]:
    """What may stand in for a locale that this server lacks, the closest first."""
    language = server.collate.split(".")[0].split("@")[0].replace("_", "-")
    if server.encoding == "UTF8":
        if major >= 15 and language not in ("C", "POSIX", ""):
            note = f"the scratch server lacks the collation {asked}; ICU {language} stood in: {_DIFFERS}"
            yield _Attempt((("LOCALE_PROVIDER", "icu"), ("ICU_LOCALE", language), *fallback), note)
        note = f"the scratch server lacks the collation {asked}; C.UTF-8 stood in: {_DIFFERS}"
        if major >= 17:
            yield _Attempt((("LOCALE_PROVIDER", "builtin"), ("BUILTIN_LOCALE", "C.UTF-8"), *fallback), note)
        for name in ("C.UTF-8", "C.utf8"):
            provider = () if major < 15 else (("LOCALE_PROVIDER", "libc"),)
            yield _Attempt((*provider, ("LC_COLLATE", name), ("LC_CTYPE", name)), note)
    yield _Attempt(fallback, f"the scratch server lacks the collation {asked}; C stood in: {_DIFFERS}")


def _explain(error: psycopg.Error, address: DatabaseAddress, name: str) -> Exception:
    if error.sqlstate == _FULL_DISK:
        return SpaceExhausted(f"the disk of {address.endpoint} is full", hint="Free space there, then try again.")
    if isinstance(error, psycopg.OperationalError):
        return explain_connection_failure(error, address.label, address.parameters)
    return SourceRefused(
        f"the database {name} cannot be created on {address.endpoint}: {error.diag.message_primary or 'no message'}",
        hint="Check the role's rights (CREATEDB), and that no database of that name is there.",
    )
