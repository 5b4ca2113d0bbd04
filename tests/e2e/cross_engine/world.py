"""What a spell finds around it, and what it does not."""

from __future__ import annotations

from tests.e2e.cross_engine.case import Differs, Failed, fails, gives

NAMES = ("console", "json", "util", "math", "params", "env", "llm", "echo")
CASES = (
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
        "dates are in UTC",
        'return os.date("%Y-%m-%d %H:%M:%S", 86400)',
        'return new Date(86400000).toISOString().slice(0, 19).replace("T", " ")',
        "1970-01-02 00:00:00",
    ),
)
