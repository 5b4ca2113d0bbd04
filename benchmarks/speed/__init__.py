"""What a spell costs, beside peers and beside what the machine itself takes: `make bench`.

Modules: `floors` (fork, pipe, memory: nothing can be faster), `ours`, `peers` (others, in an
environment of their own), `figures` (what is aimed at), `__main__` (takes turns and prints).
"""
