"""Fuzzing: every parser of the client, fed with what only an attacker or a broken disk would write.

    python -m tests.torture.fuzz --list
    python -m tests.torture.fuzz --target feed --seconds 60 --seed 7
    python -m tests.torture.fuzz --target journal --executions 100000 --state /tmp/fuzz    # run again to go on

`targets.py` is the table; `guard.py` says what a finding is; `engine.py` is the loop. Execution number i of a target
depends on the target, the seed, i and the inputs found until then, and on nothing else: the same command finds the
same. (Two targets also depend on the machine: `recovery` on the numbers of inodes, `lock` and `status` on its boot.)

`corpus/` holds hostile inputs that are kept, with the outcome of each in `kept*.py`.
"""
