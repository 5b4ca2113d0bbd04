"""`mcp`: a server made with the SDK, its tools among others, and what is refused."""

from __future__ import annotations

from tests.e2e.cross_engine.case import Case, Failed, caught, gives

GRANTED = {"allow_bridges": ("mcp", "tools")}
NO_SERVER = Failed(
    kind="Validation",
    field="server",
    message="server: there is no MCP server 'legder' (there are: ledger)",
)
NAMES = ["deposit", "heard", "picture", "variable", "withdraw"]


def unknown(method: str, arguments: str = "") -> Case:
    """A method with the name of a server that there is not."""
    call = f'mcp.{method}("legder"{arguments})'
    return caught(
        f"mcp.{method} of a server that there is not",
        call,
        f"await {call}",
        NO_SERVER,
        policy=GRANTED,
    )


def mistyped(method: str, given: str, field: str, wanted: str) -> Case:
    """A method with an argument of a wrong type: a number."""
    call = f"mcp.{method}({given})"
    message = f"mcp.{method}: {field}: expected {wanted}, got integer"
    return caught(
        f"mcp.{method} with a wrong type",
        call,
        f"await {call}",
        Failed(kind="Validation", field=field, message=message),
        policy=GRANTED,
    )


CASES = (
    gives(
        "the servers that there are",
        "return mcp.servers()[1].name",
        "return (await mcp.servers())[0].name",
        "ledger",
        policy=GRANTED,
    ),
    gives(
        "the tools of a server",
        'local names = {} for i, t in ipairs(mcp.tools("ledger")) do names[i] = t.name end '
        "table.sort(names) return names",
        'return (await mcp.tools("ledger")).map((t) => t.name).sort()',
        NAMES,
        policy=GRANTED,
    ),
    gives(
        "a tool of a server answers with text that has data",
        'local r = mcp.call("ledger", "deposit", {name = "ada", amount = 5}) '
        "return {r:sub(1, 1), r.data.name}",
        'const r = await mcp.call("ledger", "deposit", { name: "ada", amount: 5 }); '
        "return [r.substring(0, 1), r.data.name];",
        ["{", "ada"],
        policy=GRANTED,
    ),
    gives(
        "an image of a server is bytes",
        'return #mcp.call("ledger", "picture").parts[1].data',
        'return (await mcp.call("ledger", "picture")).parts[0].data.length',
        70,
        policy=GRANTED,
    ),
    gives(
        "the resources of a server",
        'return mcp.resources("ledger")[1].uri',
        'return (await mcp.resources("ledger"))[0].uri',
        "ledger://rules",
        policy=GRANTED,
    ),
    gives(
        "a resource is read",
        'return mcp.read("ledger", "ledger://rules"):upper()',
        'return (await mcp.read("ledger", "ledger://rules")).toUpperCase()',
        "NOBODY OVERDRAWS.",
        policy=GRANTED,
    ),
    gives(
        "the prompts of a server",
        'local p = mcp.prompts("ledger")[1] return {p.name, p.arguments[1].required}',
        'const [p] = await mcp.prompts("ledger"); return [p.name, p.arguments[0].required];',
        ["audit", True],
        policy=GRANTED,
    ),
    gives(
        "a prompt is filled in",
        'return mcp.prompt("ledger", "audit", {name = "ada"}).messages',
        'return (await mcp.prompt("ledger", "audit", { name: "ada" })).messages',
        [{"role": "user", "content": "Audit the account of ada."}],
        policy=GRANTED,
    ),
    gives(
        "a tool of a server is a tool among others",
        'return tools.call("ledger__variable", {name = "LEDGER_NOWHERE"})',
        'return await tools.call("ledger__variable", { name: "LEDGER_NOWHERE" })',
        "(not set)",
        policy=GRANTED,
    ),
    caught(
        "a tool of a server that reports an error",
        'mcp.call("ledger", "withdraw", {name = "nobody", amount = 1})',
        'await mcp.call("ledger", "withdraw", { name: "nobody", amount: 1 })',
        Failed(
            kind="Provider",
            message="ledger.withdraw: Error executing tool withdraw: nobody has only 0",
        ),
        policy=GRANTED,
    ),
    caught(
        "a tool of a server with a wrong type",
        'mcp.call("ledger", "withdraw", {name = 7, amount = 1})',
        'await mcp.call("ledger", "withdraw", { name: 7, amount: 1 })',
        Failed(
            kind="Validation",
            field="name",
            message="ledger.withdraw: name: must be string, not integer",
        ),
        policy=GRANTED,
    ),
    caught(
        "a tool that a server does not have",
        'mcp.call("ledger", "withdrew", {})',
        'await mcp.call("ledger", "withdrew", {})',
        Failed(
            kind="Validation",
            field="tool",
            message="tool: the MCP server ledger has no tool 'withdrew' for spells; "
            "did you mean 'withdraw'?",
        ),
        policy=GRANTED,
    ),
    caught(
        "a resource that a server does not have",
        'mcp.read("ledger", "ledger://nothing")',
        'await mcp.read("ledger", "ledger://nothing")',
        Failed(
            kind="Validation",
            message="ledger: ledger://nothing: Unknown resource: ledger://nothing",
        ),
        policy=GRANTED,
    ),
    caught(
        "a prompt that a server does not have",
        'mcp.prompt("ledger", "nothing")',
        'await mcp.prompt("ledger", "nothing")',
        Failed(kind="Provider", message="ledger: nothing: Internal server error"),
        policy=GRANTED,
    ),
    caught(
        "mcp.servers with an argument",
        "mcp.servers(1)",
        "await mcp.servers(1)",
        Failed(
            kind="Validation",
            message="mcp.servers: takes no arguments: servers() -> list of ServerInfo",
        ),
        policy=GRANTED,
    ),
    *(unknown(method) for method in ("tools", "resources", "prompts")),
    *(unknown(method, ', "x"') for method in ("call", "read", "prompt")),
    *(mistyped(m, "1", "server", "string") for m in ("tools", "resources", "prompts")),
    mistyped("call", '"ledger", "pid", 1', "arguments", "map"),
    mistyped("read", '"ledger", 1', "uri", "string"),
    mistyped("prompt", '"ledger", "audit", 1', "arguments", "map"),
)
