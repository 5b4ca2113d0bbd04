"""Lua 5.4 through lupa: `LuaEngine`, and the prelude in Lua that spells live in.

`_engine` declares the engine, `_host` is the one function that Lua may call, `_failure` turns what
the prelude reports into a `ScriptFailure`. `prelude/` holds, in the order of loading: `errors`,
`codec` (values to msgpack), `console`, `environment` (the allow-list), `bindings` (bridges, streams,
library), `mathematics`, `main`.
"""

from ._engine import LuaEngine

__all__ = ["LuaEngine"]
