"""python-tuf's errors as ours. ``tuf`` is imported on use only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from updater.errors import (
    DowngradeError,
    DownloadError,
    DownloadHTTPError,
    DownloadTimeoutError,
    DownloadTooLargeError,
    ExpiredError,
    FeedError,
    Problem,
    SchemaError,
    SignatureError,
    StateError,
    TargetMismatchError,
    UpdaterError,
)

__all__ = ["translated"]

_ROTATION_HINT = (
    "If the publisher has just exchanged keys, parts of the site may still be cached: try again in 15 minutes. "
    "If it stays like this, ask the publisher before you trust this feed."
)


@contextmanager
def translated(document: str, *, directory: Path | None = None) -> Iterator[None]:
    """Raise python-tuf's errors as ``UpdaterError``, with the original as the cause.

    ``document`` names what is being read, for messages ("update metadata of https://..."); ``directory`` is where
    files are written, for the hint when that fails. Our own errors pass unchanged.
    """
    from tuf.api import exceptions as tuf

    from updater.trust.tuf_api import StorageError

    try:
        yield
    except UpdaterError:
        raise
    except tuf.DownloadError as error:
        if isinstance(error.__cause__, UpdaterError):
            raise error.__cause__ from None
        raise _download(document, error) from error
    except (tuf.RepositoryError, StorageError) as error:
        raise _repository(document, error) from error
    except OSError as error:
        raise StateError(
            f"Trust data cannot be read or written: {error.strerror or error}"
            + (f" ({error.filename})" if error.filename else ""),
            hint=f"Check free space, owner and permissions of {directory or 'this folder'}.",
        ) from error
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, OverflowError) as error:
        # What a hostile document can still provoke beyond python-tuf's own checks.
        raise _malformed(document, error) from error


def _download(document: str, error: Exception) -> UpdaterError:
    from tuf.api import exceptions as tuf

    text = f"{document} cannot be downloaded: {error}"
    if isinstance(error, tuf.DownloadHTTPError):
        return DownloadHTTPError(
            text,
            status=error.status_code,
            hint="Check the address. If the publisher has just released, try again in a few minutes.",
        )
    if isinstance(error, tuf.DownloadLengthMismatchError):
        return DownloadTooLargeError(
            f"{document} is larger than allowed: {error}",
            hint="The server sends something else than the published file. Check the address; tell the publisher.",
        )
    if isinstance(error, tuf.SlowRetrievalError):
        return DownloadTimeoutError(text, hint="Try again later.")
    return DownloadError(text, hint="Check the network connection, and try again later.")


def _repository(document: str, error: Exception) -> UpdaterError:
    from tuf.api import exceptions as tuf
    from tuf.api.serialization import DeserializationError

    if isinstance(error, DeserializationError):
        return _malformed(document, error)
    if isinstance(error, tuf.UnsignedMetadataError):
        return SignatureError(f"{document} is not signed by the keys that must sign it: {error}", hint=_ROTATION_HINT)
    if isinstance(error, tuf.ExpiredMetadataError):
        return ExpiredError(
            f"{document} has expired: {error}",
            hint="The publisher has to refresh it. Check this machine's clock as well.",
        )
    if isinstance(error, tuf.BadVersionNumberError):
        return DowngradeError(
            f"{document} is older than what was seen before: {error}",
            hint="Caches in between may still hold old files: try again later.",
        )
    if isinstance(error, tuf.LengthOrHashMismatchError):
        return TargetMismatchError(
            f"{document} differs from its signed size or digest: {error}",
            hint="The copy on the server was replaced or damaged. Tell the publisher.",
        )
    return FeedError(f"{document} is not acceptable: {error}", hint="Tell the publisher.")


def _malformed(document: str, error: Exception) -> SchemaError:
    reason = str(error.__cause__ or error) or type(error).__name__
    return SchemaError(
        document,
        [Problem("$", f"not valid TUF metadata ({reason})")],
        hint="The server sends something else than the published file. Check the address; tell the publisher.",
    )
