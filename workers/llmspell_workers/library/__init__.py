"""Functions of scripts that need no host: one Python implementation for every engine.

They run inside the worker and never cross the wall. Each is declared by its signature, from which
come the validation of arguments and the documentation. `math` and `util.sleep` are declared here
too, and this is their reference, but each engine does them itself: `math` because crossing into
Python costs more than the sum, `util.sleep` because each engine waits in its own way.
"""

from ._call import LIBRARY, call_library
from ._errors import HostError

__all__ = ["LIBRARY", "HostError", "call_library"]
