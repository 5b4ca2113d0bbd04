"""A plugin for llmspell-supervisor, as an example of one.

`bridge` runs on the trusted side, in the supervisor. `engine` runs on the untrusted one, in zygotes
and workers. Neither imports the other, and nothing is imported here: each side loads its own.
"""
