"""Programs of other ledgers, each run by the interpreter of an environment of its own, pinned beside it: never a requirement of ours."""
