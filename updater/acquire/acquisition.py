"""Getting one release for one site: a plan of where its bytes come from, then the files themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from updater.acquire.job import Job
from updater.acquire.obtaining import Obtained, obtain_files, obtain_package
from updater.acquire.preparing import Failures, Preparation, Prepared
from updater.errors import DownloadError, FeedError
from updater.events import Event, Phase

__all__ = ["obtain", "prepare"]


def prepare(job: Job) -> Prepared:
    """Decide where the release comes from. Changes nothing on the site but ``.updater/downloads/``.

    It learns as much as the choice needs and no more: a delta is fetched whole when it is chosen, else the first blocks
    of the package's index, else the package's directory. Raises DownloadError, FeedError when the release can be had
    from nowhere, LockedError when another process downloads for this site.
    """
    return Preparation(job, Failures()).decide()


@contextmanager
def obtain(job: Job, prepared: Prepared) -> Iterator[Obtained]:
    """Carry that out. A source that fails is left for the next one of the list; what was verified by then is kept.

    Raises as `prepare` does when the last one has failed, DiskSpaceError before anything is fetched, StateError when
    the disk fails.
    """
    failures = Failures()
    with ExitStack() as opened:
        while True:
            try:
                if prepared.kind == "package":
                    obtained = opened.enter_context(obtain_package(job, prepared))
                else:
                    obtained = obtain_files(job, prepared)
                break
            except (DownloadError, FeedError) as error:
                if prepared.kind == "package":
                    raise
                _note(prepared, failures, error)
                job.report(
                    Event(
                        Phase.DOWNLOAD, "warning", f"{_capital(prepared.option.name)} did not work: {error} Going on."
                    )
                )
                prepared = Preparation(job, failures).decide()
        yield obtained


def _note(prepared: Prepared, failures: Failures, error: DownloadError | FeedError) -> None:
    """Do not take the same way again. Of an index, all of it is tried before it is given up."""
    failures.add(prepared.option, error)
    if prepared.kind in ("delta", "deltas"):
        failures.deltas.update(hop.delta.sha256 for hop in prepared.route)
    elif prepared.kind == "index" and "index" not in failures.kinds:
        failures.kinds.add("index")
    else:
        failures.kinds.add("whole index" if prepared.kind == "index" else prepared.kind)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
