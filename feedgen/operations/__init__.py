"""What a maintainer decides about releases after they were published: who gets them, when, and what is said of them.

`state` is the decisions as data, `state_file` the file that holds them, `edits` and `schedule` change them (all pure);
`operator` carries a change into the signed feeds.
"""
