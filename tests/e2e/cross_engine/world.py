"""What a spell finds around it, and what it does not."""

from __future__ import annotations

from tests.e2e.cross_engine.case import Differs, Failed, fails, gives

ABSENT_IN_LUA = (
    "io", "require", "package", "dofile", "loadfile", "python", "warn", "loadstring", "setfenv",
    "getfenv", "module", "newproxy", "jit", "ffi", "bit32", "unpack", "os.execute", "os.exit",
    "os.getenv", "os.remove", "os.rename", "os.tmpname", "os.setlocale", "string.dump",
    "debug.getinfo", "debug.getregistry", "debug.sethook", "debug.getupvalue", "debug.setupvalue",
    "debug.upvalueid", "debug.upvaluejoin", "debug.getmetatable", "debug.setmetatable",
    "debug.getuservalue", "debug.getlocal", "debug.setlocal", "debug.debug", "debug.gethook",
    "host", "P",
)  # fmt: skip
ABSENT_IN_JS = (
    "require", "module", "exports", "process", "global", "window", "self", "document", "Deno",
    "Bun", "XMLHttpRequest", "fetch", "WebSocket", "Worker", "WebAssembly", "SharedArrayBuffer",
    "Atomics", "FinalizationRegistry", "python", "pm", "pythonmonkey", "bootstrap", "Debugger",
    "load", "print", "readline", "quit", "importScripts", "crypto", "performance", "navigator",
    "localStorage", "alert", "Buffer", "__filename", "__dirname", "setImmediate", "host", "rules",
    "debuggerGlobal.Debugger",
)  # fmt: skip

NAMES = ("console", "json", "util", "math", "params", "env", "llm", "echo")
ABSENT_SOURCE_LUA = """
local found = {}
for name in params.names:gmatch("%S+") do
  local value = _G
  for step in name:gmatch("[^.]+") do value = value and value[step] end
  if value ~= nil then found[#found + 1] = name end
end
return found
"""
ABSENT_SOURCE_JS = """
const found = [];
for (const name of params.names.split(" ")) {
  let value = globalThis;
  for (const step of name.split(".")) value = value?.[step];
  if (value !== undefined) found.push(name);
}
return found;
"""

CASES = (
    gives(
        "names that must not be there are not, however they are looked up",
        ABSENT_SOURCE_LUA,
        ABSENT_SOURCE_JS,
        [],
        params={"names": " ".join((*ABSENT_IN_LUA, *ABSENT_IN_JS))},
        differs=Differs(
            reason="what is dangerous in one language may be harmless in the other",
            lua={"value": ["load", "print"]},
        ),
    ),
    gives(
        "the same names are there",
        "local found = {} for _, n in ipairs(params.names) do "
        'if type(_G[n]) == "table" then found[#found + 1] = n end end return found',
        "return params.names.filter((n) => typeof globalThis[n] === 'object')",
        list(NAMES),
        params={"names": list(NAMES)},
    ),
    gives(
        "a bridge has its methods, by the language's custom",
        "local names = {} for name in pairs(llm) do names[#names + 1] = name end "
        "table.sort(names) return names",
        "return Object.keys(llm).sort()",
        ["agent", "complete", "conversation", "embed", "models", "parallel", "stream"],
    ),
    gives(
        "names of several words are written as the language writes them",
        "return {type(echo.join_two), type(echo.joinTwo), type(util.base64_encode)}",
        'return [typeof echo.joinTwo, "nil", typeof util.base64Encode]',
        ["function", "nil", "function"],
    ),
    gives(
        "a variable that is granted",
        "return env.CROSS_ENGINE",
        "return env.CROSS_ENGINE",
        "value ü",
        environment={"CROSS_ENGINE": "value ü"},
        policy={"allow_env": ("CROSS_ENGINE",)},
    ),
    gives(
        "a variable that is not granted",
        "return env.CROSS_ENGINE == nil",
        "return env.CROSS_ENGINE === undefined",
        True,
        environment={"CROSS_ENGINE": "secret"},
    ),
    gives(
        "a granted variable that is not set",
        "return {env.CROSS_ENGINE_UNSET == nil, env.PATH == nil, env.HOME == nil}",
        "return [env.CROSS_ENGINE_UNSET, env.PATH, env.HOME].map((x) => x === undefined)",
        [True, True, True],
        policy={"allow_env": ("CROSS_ENGINE_UNSET",)},
    ),
    gives(
        "the environment lists what is granted and nothing else",
        "local names = {} for name in pairs(env) do names[#names + 1] = name end return names",
        "return Object.keys(env)",
        ["CROSS_ENGINE"],
        environment={"CROSS_ENGINE": "x", "CROSS_ENGINE_OTHER": "y"},
        policy={"allow_env": ("CROSS_ENGINE",)},
    ),
    gives(
        "the environment can be returned",
        "return env",
        "return env",
        {"CROSS_ENGINE": "x"},
        environment={"CROSS_ENGINE": "x"},
        policy={"allow_env": ("CROSS_ENGINE",)},
    ),
    gives("the environment without grants can be returned", "return env", "return env", {}),
    fails(
        "the environment cannot be written",
        "\nenv.PATH = 1",
        "\nenv.PATH = 1",
        Failed(
            message='TypeError: can\'t define property "PATH": Object is not extensible', line=2
        ),
        differs=Differs(
            reason="each engine words its own errors",
            lua={"failed": Failed(message="env is read-only", line=2)},
        ),
    ),
    gives(
        "a variable that is granted cannot be changed",
        'local ok = pcall(function() env.CROSS_ENGINE = "y" end) return {ok, env.CROSS_ENGINE}',
        'let ok = true; try { env.CROSS_ENGINE = "y" } catch { ok = false } '
        "return [ok, env.CROSS_ENGINE]",
        [False, "x"],
        environment={"CROSS_ENGINE": "x"},
        policy={"allow_env": ("CROSS_ENGINE",)},
    ),
    gives(
        "code can be compiled from text, with the spell's own rights",
        'return load("return 1 + 1, io")()',
        'return new Function("return 1 + 1")()',
        2,
    ),
    gives(
        "no two spells share anything: one leaves something behind",
        "leftover = 1 json.leftover = 1 return leftover",
        "globalThis.leftover = 1; return leftover",
        1,
    ),
    gives(
        "no two spells share anything: the next finds nothing of it",
        "return leftover == nil and json.leftover == nil",
        "return globalThis.leftover === undefined && json.leftover === undefined",
        True,
    ),
    gives(
        "dates are in UTC",
        'return os.date("%Y-%m-%d %H:%M:%S", 86400)',
        'return new Date(86400000).toISOString().slice(0, 19).replace("T", " ")',
        "1970-01-02 00:00:00",
    ),
    gives(
        "a spell's own globals are of no account to the library",
        "string = nil table = nil tostring = nil type = nil error = nil "
        "return {json.encode({1}), util.base64_encode('a'), #echo.say({1, 2})}",
        "Array.prototype.push = null; Object.prototype.then = null; "
        "globalThis.JSON = null; globalThis.Object = null; globalThis.Promise = null; "
        "return [json.encode([1]), util.base64Encode('a'), (await echo.say([1, 2])).length]",
        ["[1]", "YQ==", 2],
    ),
)
