"""A PostgreSQL connection URL as libpq's environment variables: nothing of it ever stands on a command line."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from updater.errors import DatabaseError

__all__ = ["connection_environment", "for_database"]

_SCHEMES = ("postgresql", "postgres", "pgsql", "postgis")
_HINT = "It should read postgresql://user:password@host:5432/name."

# libpq, "34.15 Environment Variables": the parameters of a URL that have one.
_PARAMETERS = {
    "application_name": "PGAPPNAME",
    "channel_binding": "PGCHANNELBINDING",
    "client_encoding": "PGCLIENTENCODING",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "dbname": "PGDATABASE",
    "gssencmode": "PGGSSENCMODE",
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "options": "PGOPTIONS",
    "passfile": "PGPASSFILE",
    "password": "PGPASSWORD",
    "port": "PGPORT",
    "service": "PGSERVICE",
    "sslcert": "PGSSLCERT",
    "sslcrl": "PGSSLCRL",
    "sslkey": "PGSSLKEY",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "user": "PGUSER",
}
# Settings of Django and other drivers that only concern their own pools.
_IGNORED = frozenset({"conn_max_age", "conn_health_checks", "pool", "pool_size", "max_overflow", "pool_timeout"})


def connection_environment(url: str, environ: Mapping[str, str]) -> dict[str, str]:
    """``environ`` with the connection of ``url`` in it.

    ``postgresql+driver://`` is read as ``postgresql://``. Raises DatabaseError, whose message never holds the URL.
    """
    try:
        parts = urlsplit(url)
        query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise DatabaseError("the PostgreSQL URL cannot be read", hint=_HINT) from None
    if parts.scheme.split("+")[0] not in _SCHEMES:
        raise DatabaseError("the database's URL is not a PostgreSQL URL", hint=_HINT)
    user_info, _, hosts = parts.netloc.rpartition("@")
    user, _, password = user_info.partition(":")
    names, ports = _split_hosts(hosts)
    found = {
        "PGUSER": unquote(user),
        "PGPASSWORD": unquote(password),
        "PGHOST": names,
        "PGPORT": ports,
        "PGDATABASE": unquote(parts.path.removeprefix("/")),
    }
    unknown = [name for name, _ in query if name not in _PARAMETERS and name not in _IGNORED]
    if unknown:
        raise DatabaseError(f"the PostgreSQL URL has unknown parameters: {', '.join(unknown)}")
    found.update({_PARAMETERS[name]: value for name, value in query if name in _PARAMETERS})
    if any("\0" in value for value in found.values()):
        raise DatabaseError("the PostgreSQL URL cannot be read", hint=_HINT)
    env = {"PGCONNECT_TIMEOUT": "15", **environ, "PGAPPNAME": "tagship"}
    env.update({name: value for name, value in found.items() if value})
    return env


def for_database(url: str, name: str, options: str) -> str:
    """The URL of another database of the same server, whose sessions begin with ``options`` (as of libpq)."""
    parts = urlsplit(url)
    query = [(key, value) for key, value in parse_qsl(parts.query, keep_blank_values=True) if key != "dbname"]
    before = " ".join(value for key, value in query if key == "options")
    query = [(key, value) for key, value in query if key != "options"]
    query.append(("options", f"{before} {options}".strip()))
    return urlunsplit((parts.scheme, parts.netloc, f"/{name}", urlencode(query, quote_via=quote), parts.fragment))


def _split_hosts(hosts: str) -> tuple[str, str]:
    """``a:1,[::1]:2`` as ``a,::1`` and ``1,2``, as libpq wants several hosts."""
    names, ports = [], []
    for host in hosts.split(","):
        if host.startswith("["):
            name, _, rest = host[1:].partition("]")
            port = rest.removeprefix(":")
        else:
            name, _, port = host.partition(":")
        names.append(unquote(name))
        ports.append(port)
    return ",".join(names), ",".join(ports) if any(ports) else ""
