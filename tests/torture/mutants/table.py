"""The broken clients. Each breaks one promise of docs/reliability.md, and names the tests that hold it."""

from __future__ import annotations

from tests.torture.mutants.mutant import Mutant

__all__ = ["MUTANTS"]

ENGINE = "updater/install/engine.py"
IN_PLACE = "updater/install/in_place.py"
SLOTS = "updater/install/slots.py"
JOURNAL = "updater/install/journal.py"
RECOVERY = "updater/install/recovery.py"
FILES = "updater/site/files.py"

CRASHES = "tests/engine/test_crashes.py -m not(slow)and(not(torture))"
POWER = "tests/torture/power/test_power_cuts.py -m not(torture)"
RECOVER = "tests/engine/test_recovery.py"
OWNER = "tests/engine/test_owner_files.py"
BYTECODE = ("tests/engine/test_bytecode.py", "tests/torture/bytecode/test_twins.py -m not(torture)")

MUTANTS = (
    # what reaches the disk, and when
    Mutant(
        "the journal is not flushed",
        JOURNAL,
        "            platform.flush(handle)\n",
        "",
        ("tests/engine/test_journal.py", POWER),
    ),
    Mutant(
        "staged files are not flushed",
        "updater/install/begin.py",
        "        sync_filesystem(site.directory)\n",
        "",
        (POWER, RECOVER),
    ),
    Mutant(
        "backups are not flushed before the app stops",
        ENGINE,
        "        self._layout.prepare()\n        sync_filesystem(self._site.directory)\n",
        "        self._layout.prepare()\n",
        (RECOVER,),
    ),
    Mutant("the switch is not flushed", IN_PLACE, "        sync_filesystem(self.tree)\n", "", (RECOVER,)),
    Mutant(
        "a document is renamed before its bytes are flushed",
        FILES,
        "            platform.flush(file.fileno())\n",
        "",
        (POWER,),
        survives="where the filesystem flushes a file that is renamed over another one (ext4 auto_da_alloc)",
    ),
    Mutant(
        "the directory of a document is not flushed",
        FILES,
        "    fsync_directory(path.parent)\n",
        "",
        (POWER,),
        survives="because the next flush of the journal commits the directory as well on ext4, xfs and btrfs",
    ),
    # the order of states
    Mutant(
        "files change before the journal says so",
        ENGINE,
        "            self._enter(State.APPLYING)\n            self._apply()\n",
        "            self._apply()\n            self._enter(State.APPLYING)\n",
        (RECOVER, CRASHES),
    ),
    Mutant(
        "migrations run before the journal says so",
        ENGINE,
        "            self._enter(State.MIGRATING)\n            self._app.migrate()\n",
        "            self._app.migrate()\n            self._enter(State.MIGRATING)\n",
        (CRASHES,),
    ),
    Mutant(
        "committed before the new version answered",
        ENGINE,
        "            self._app.start()\n            self._app.ask_after()\n            self._enter(State.COMMITTED)\n",
        "            self._enter(State.COMMITTED)\n            self._app.start()\n            self._app.ask_after()\n",
        (RECOVER, CRASHES),
    ),
    Mutant(
        "the database is not restored",
        ENGINE,
        "            if database_touched:\n                self._app.undo_database()\n",
        "",
        (CRASHES,),
    ),
    Mutant(
        "the plan's head is removed last",
        ENGINE,
        "            (self._staged.directory / PLAN_NAME).unlink(missing_ok=True)\n",
        "",
        (RECOVER, CRASHES),
    ),
    Mutant(
        "the history tells the same twice",
        "updater/install/outcome.py",
        '    if any(entry.get("id") == outcome.id for entry in read_history(site.history_path)):\n        return\n',
        "",
        (CRASHES,),
    ),
    Mutant(
        "damage inside the journal is taken for a torn end",
        JOURNAL,
        "                elif torn:\n",
        "                elif False:\n",
        ("tests/engine/test_journal.py",),
    ),
    Mutant(
        "automatic attempts never end",
        RECOVERY,
        "    if attempts >= MAX_ATTEMPTS and not force:\n",
        "    if False:\n",
        (RECOVER,),
    ),
    Mutant(
        "the kept copy is not used",
        RECOVERY,
        '        if records[0].details.get("code") != code_digest() and',
        "        if False and",
        (RECOVER,),
    ),
    Mutant(
        "the kept copy lacks the database",
        "updater/install/kept_code.py",
        '_PACKAGES = ("schema", "package", "site", "install", "database", "process")',
        '_PACKAGES = ("schema", "package", "site", "install", "process")',
        (RECOVER,),
    ),
    # files
    Mutant(
        "compiled files are left",
        IN_PLACE,
        "        purge_bytecode(self.tree, [change.path for change in self._changes])\n",
        "",
        BYTECODE,
    ),
    Mutant(
        "new modules keep their times",
        "updater/install/bytecode.py",
        "        os.utime(path, (moment, moment))\n",
        "        pass\n",
        BYTECODE,
    ),
    Mutant(
        "a file that was changed meanwhile is replaced",
        IN_PLACE,
        '            self._check_unchanged(change)\n            if change.action == "delete":\n',
        '            if change.action == "delete":\n',
        (OWNER,),
    ),
    Mutant(
        "the owner's edit is not kept",
        IN_PLACE,
        "            copy_file(self.tree / change.path, copy)\n",
        "            pass\n",
        (OWNER,),
    ),
    Mutant(
        "deleted files do not come back",
        IN_PLACE,
        "        for change in reversed(self._changes):\n",
        "        for change in [change for change in self._changes if change.new is not None][::-1]:\n",
        (CRASHES,),
    ),
    Mutant(
        "links are followed into other folders",
        "updater/install/observe.py",
        '        return Observed("behind-symlink")\n',
        "        pass\n",
        (OWNER, "tests/engine/test_slots.py"),
    ),
    Mutant(
        "an unreadable folder looks empty",
        "updater/install/room.py",
        "os.walk(root, onerror=fail)",
        "os.walk(root)",
        ("tests/engine", "tests/torture/failpoints -m not(torture)"),
    ),
    Mutant(
        "another slot of that name is removed",
        SLOTS,
        "        return slot.stat().st_ino == inode\n",
        "        return True\n",
        ("tests/engine/test_slots.py", "tests/engine"),
    ),
    Mutant(
        "what the app writes is linked into the next slot",
        SLOTS,
        "        (copy_file if edited or file.symlink is not None else link_or_copy)",
        "        (link_or_copy)",
        ("tests/engine/test_slots.py", OWNER),
    ),
    Mutant(
        "no ballast",
        "updater/install/begin.py",
        "        make_ballast(site, ballast)\n",
        "",
        ("tests/engine/test_volumes.py", "tests/engine/test_filesystems.py"),
    ),
    # databases
    Mutant(
        "the database is copied over beside its -wal",
        "updater/database/sqlite.py",
        "            try:\n                self._copy_back(directory / _DUMP)\n",
        '            try:\n                __import__("shutil").copyfile(directory / _DUMP, self._path)\n',
        ("tests/database/test_sqlite.py",),
    ),
    Mutant(
        "a damaged dump is restored",
        "updater/database/base.py",
        "        if found != expected:\n",
        "        if False:\n",
        ("tests/database",),
    ),
    # who may, and when
    Mutant(
        "two updaters at once",
        "updater/site/platform.py",
        "fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "None",
        (RECOVER, "tests/engine/test_lock.py"),
    ),
    Mutant(
        "a migration does not hold the lock",
        "updater/install/steps.py",
        "                pass_fds=lock_handles(self._site.lock_path),\n            )\n        if runnable:",
        "            )\n        if runnable:",
        (RECOVER,),
    ),
    Mutant(
        "the new code is not checked",
        ENGINE,
        "            self._app.check_code()\n",
        "",
        ("tests/engine/test_new_code.py",),
    ),
    Mutant(
        "the health check takes any answer",
        "updater/process/verdict.py",
        "        if not result.ok:\n            break\n",
        "",
        ("tests/process/test_verdict.py",),
    ),
    Mutant(
        "the maintenance page stays on",
        ENGINE,
        "            for step in (self._app.page.off, *steps):\n",
        "            for step in steps:\n",
        ("tests/engine/test_maintenance.py",),
    ),
    Mutant(
        "a release that failed is tried for ever",
        ENGINE,
        "            lambda: self._remember_failure(reason),\n",
        "",
        ("tests/engine/test_new_code.py",),
    ),
    Mutant(
        "the last good restore point goes",
        "updater/install/retention.py",
        "        if why and point.id == last_good:\n",
        "        if False:\n",
        ("tests/engine",),
    ),
    # what comes from outside
    Mutant(
        "a short download is trusted",
        "updater/transport/fetch_file.py",
        "            if part.position < job.size:\n",
        "            if False:\n",
        ("tests/transport",),
    ),
    Mutant(
        "the digest of a download is not compared",
        "updater/transport/fetch_file.py",
        '        return hashlib.file_digest(file, "sha256").hexdigest() == sha256\n',
        "        return True\n",
        ("tests/transport",),
    ),
)
