"""Any other database, through the two commands that its owner configured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import which

from updater.database.base import Backup, check_files, prepare, seal
from updater.errors import CommandError, DatabaseError
from updater.process.run import run

__all__ = ["CommandDatabase"]

_DUMP = "database.dump"


class CommandDatabase:
    """``backup`` writes the file that stands for ``{file}`` in its words, ``restore`` reads it; timeout in seconds."""

    kind = "command"

    def __init__(
        self,
        backup: Sequence[str],
        restore: Sequence[str],
        *,
        timeout: float,
        cwd: Path,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._backup = tuple(backup)
        self._restore = tuple(restore)
        self._timeout = timeout
        self._cwd = cwd
        self._env = env

    def available(self) -> str | None:
        """Why the commands cannot run, or None."""
        path = None if self._env is None else self._env.get("PATH")
        for argv in (self._backup, self._restore):
            program = str(self._cwd / argv[0]) if "/" in argv[0] else argv[0]
            if which(program, path=path) is None:
                return f"the database command {argv[0]!r} was not found"
        return None

    def estimate(self) -> int | None:
        """Not known."""
        return None

    def backup(self, directory: Path) -> Backup:
        """Run the backup command. See `Database.backup`."""
        part = prepare(directory, _DUMP)
        self._run(self._backup, part)
        if not part.is_file() or part.stat().st_size == 0:
            raise DatabaseError(
                f"the database backup command {self._backup[0]!r} succeeded but wrote nothing",
                hint="It must write the file that stands for {file}; check [database] backup in updater.toml.",
            )
        return Backup(self.kind, (seal(part),), created_by=self._backup[0])

    def restore(self, directory: Path, record: Backup) -> None:
        """Run the restore command. Whether that is atomic is the command's to ensure."""
        check_files(self.kind, directory, record)
        self._run(self._restore, directory / _DUMP)

    def verify(self, directory: Path, record: Backup) -> None:
        """Its size and digest; what the file means only the commands know."""
        check_files(self.kind, directory, record)

    def changed_rows(self, directory: Path, record: Backup, seconds: float) -> None:  # noqa: ARG002
        """Not known."""
        return

    def _run(self, argv: Sequence[str], file: Path) -> None:
        words = [word.replace("{file}", str(file)) for word in argv]
        try:
            run(words, cwd=self._cwd, env=self._env, timeout=self._timeout).check()
        except CommandError as error:
            said = f"\n{error.output}" if error.output else ""
            raise DatabaseError(f"a database command failed: {error}{said}", hint=error.hint) from error
