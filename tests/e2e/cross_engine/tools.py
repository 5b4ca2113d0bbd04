"""`tools`: built-in ones by name and by method, and functions of the spell."""

from __future__ import annotations

from tests.bridges.tools.documents import pdf, png
from tests.e2e.cross_engine.case import Failed, caught, gives

SUM_LUA = """tools.register({
    name = "sum", description = "adds two numbers",
    parameters = {
        type = "object",
        properties = {a = {type = "number"}, b = {type = "number"}},
        required = {"a", "b"},
    },
    handler = function(given) return given.a + given.b end,
})
"""
SUM_JS = """await tools.register({
    name: "sum", description: "adds two numbers",
    parameters: {
        type: "object",
        properties: { a: { type: "number" }, b: { type: "number" } },
        required: ["a", "b"],
    },
    handler: async (given) => given.a + given.b,
});
"""

CASES = (
    gives(
        "a tool by its method",
        'return tools.calculator("6 * 7")',
        'return await tools.calculator("6 * 7")',
        42,
    ),
    gives(
        "a tool by its method goes by its own name in both languages",
        'return tools.csv_parse("a,b\\n1,2")',
        'return await tools.csv_parse("a,b\\n1,2")',
        [{"a": "1", "b": "2"}],
    ),
    gives(
        "a tool by its name",
        'return tools.call("json_query", {data = {a = {1, 2}}, query = "a[1]"})',
        'return await tools.call("json_query", { data: { a: [1, 2] }, query: "a[1]" })',
        2,
    ),
    caught(
        "a tool by its method with a wrong type",
        "tools.calculator({})",
        "await tools.calculator([])",
        Failed(
            kind="Validation",
            field="expression",
            message="tools.calculator: expression: expected string, got list",
        ),
    ),
    caught(
        "a tool by its name with a wrong type",
        'tools.call("calculator", {expression = 7})',
        'await tools.call("calculator", { expression: 7 })',
        Failed(
            kind="Validation",
            field="expression",
            message="calculator: expression: expected string, got integer",
        ),
    ),
    caught(
        "a tool that fails",
        'tools.calculator("1 / 0")',
        'await tools.calculator("1 / 0")',
        Failed(
            kind="Validation",
            field="expression",
            message="expression: has no value: division by zero",
        ),
    ),
    caught(
        "a tool that there is not",
        'tools.call("calculater", {})',
        'await tools.call("calculater", {})',
        Failed(
            kind="Validation",
            field="name",
            message="name: there is no tool 'calculater' for this spell; did you mean 'calculator'?",
        ),
    ),
    caught(
        "a tool's name of a wrong type",
        "tools.call(7)",
        "await tools.call(7)",
        Failed(
            kind="Validation",
            field="name",
            message="tools.call: name: expected string, got integer",
        ),
    ),
    gives(
        "the list of tools",
        "local found = {} for _, t in ipairs(tools.list()) do found[t.name] = t end "
        "return {found.calculator.source, found.calculator.parameters.required, #found.datetime.description > 0}",
        "const found = {}; for (const t of await tools.list()) found[t.name] = t; "
        "return [found.calculator.source, found.calculator.parameters.required, found.datetime.description.length > 0]",
        ["builtin", ["expression"], True],
    ),
    caught(
        "the list of tools takes nothing",
        "tools.list(1)",
        "await tools.list(1)",
        Failed(
            kind="Validation", message="tools.list: takes no arguments: list() -> list of ToolInfo"
        ),
    ),
    gives(
        "validate without executing",
        'return {tools.validate("calculator", {expression = "1/0"}), tools.validate("calculator")}',
        'return [await tools.validate("calculator", { expression: "1/0" }), await tools.validate("calculator")]',
        [
            {"valid": True},
            {
                "valid": False,
                "field": "expression",
                "message": "calculator: expression: required option 'expression' is missing",
            },
        ],
    ),
    caught(
        "validate a tool that there is not",
        'tools.validate("nothing")',
        'await tools.validate("nothing")',
        Failed(
            kind="Validation",
            field="name",
            message="name: there is no tool 'nothing' for this spell; see tools.list()",
        ),
    ),
    gives(
        "health",
        'return {tools.health("calculator").healthy, tools.health("file_read").healthy}',
        'return [(await tools.health("calculator")).healthy, (await tools.health("file_read")).healthy]',
        [True, False],
    ),
    caught(
        "health of a wrong type",
        "tools.health()",
        "await tools.health()",
        Failed(
            kind="Validation",
            message="tools.health: takes 1 argument: health(name: string) -> Health",
        ),
    ),
    gives(
        "a function of the spell as a tool",
        SUM_LUA + 'return tools.call("sum", {a = 1, b = 2.5})',
        SUM_JS + 'return await tools.call("sum", { a: 1, b: 2.5 })',
        3.5,
    ),
    caught(
        "a function of the spell as a tool, with wrong arguments",
        SUM_LUA + 'tools.call("sum", {a = 1, c = 2})',
        SUM_JS + 'await tools.call("sum", { a: 1, c: 2 })',
        Failed(kind="Validation", field="c", message="sum: c: is not known"),
    ),
    gives(
        "a function of the spell as a tool, that raises",
        'tools.register({name = "bad", handler = function() error("oops", 0) end}) '
        'local ok, e = pcall(tools.call, "bad") return {e.kind, e.message:find("oops") ~= nil}',
        'await tools.register({ name: "bad", handler: () => { throw new Error("oops") } }); '
        'try { await tools.call("bad") } catch (e) { return [e.kind, e.message.includes("oops")] }',
        ["Script", True],
    ),
    caught(
        "a tool whose handler is no function",
        'tools.register({name = "bad", handler = 7})',
        'await tools.register({ name: "bad", handler: 7 })',
        Failed(
            kind="Validation",
            field="handler",
            message="tools.register: handler: must be a function",
        ),
    ),
    gives(
        "tools for files",
        'local n = tools.file_write("a/b.md", "owls") return {n, tools.file_read("a/b.md"), '
        '#tools.file_list("a"), tools.file_search("**/*.md", "owl")}',
        'const n = await tools.fileWrite("a/b.md", "owls"); return [n, await tools.fileRead("a/b.md"), '
        '(await tools.fileList("a")).length, await tools.fileSearch("**/*.md", "owl")]',
        [4, "owls", 1, ["a/b.md"]],
        folder=True,
    ),
    caught(
        "a tool for files goes where the spell may go",
        'tools.file_write("/etc/passwd", "x")',
        'await tools.file_write("/etc/passwd", "x")',
        Failed(
            kind="Policy",
            field="path",
            message="path: '/etc' is in no directory that is granted for writing; "
            "grant one with --allow-write /",
        ),
        folder=True,
    ),
    caught(
        "a tool for files with a wrong type",
        "tools.file_read(7)",
        "await tools.file_read(7)",
        Failed(
            kind="Validation",
            field="path",
            message="tools.file_read: path: expected string, got integer",
        ),
        folder=True,
    ),
    gives(
        "a tool for the web",
        'local r = tools.http_request(params.web .. "/hello") return {r.status, r.body}',
        "const r = await tools.httpRequest(params.web + '/hello'); return [r.status, r.body]",
        [200, "hello"],
        web=True,
    ),
    caught(
        "a tool for the web goes where the spell may go",
        'tools.http_request("https://evil.example/")',
        'await tools.http_request("https://evil.example/")',
        Failed(
            kind="Policy",
            field="url",
            message="url: evil.example is not granted; grant it with --allow-domain evil.example",
        ),
        web=True,
    ),
    *(
        gives(
            f"tools.{name}",
            f"return tools.{name}({lua}){tail}",
            f"return (await tools.{name}({js})){tail}",
            value,
        )
        for name, lua, js, tail, value in (
            ("csv_format", '{{"a", "b"}, {1, 2}}', '[["a", "b"], [1, 2]]', "", "a,b\n1,2\n"),
            (
                "datetime",
                '"2026-01-31T12:00:00Z"',
                '"2026-01-31T12:00:00Z"',
                ".weekday",
                "Saturday",
            ),
            ("html_to_text", '"<b>Owls</b>"', '"<b>Owls</b>"', "", "**Owls**\n"),
            ("json_query", '{a = {1, 2}}, "a[1]"', '{ a: [1, 2] }, "a[1]"', "", 2),
            ("text_diff", '"a", "a"', '"a", "a"', "", ""),
        )
    ),
    *(
        caught(
            f"tools.{name} with a wrong type",
            f"tools.{name}({lua})",
            f"await tools.{name}({js})",
            Failed(kind="Validation", field=field, message=message),
        )
        for name, lua, js, field, message in (
            *(
                (name, lua, js, field, f"tools.{name}: {field}: expected {kind}, got integer")
                for name, lua, js, field, kind in (
                    ("csv_format", "7", "7", "rows", "list"),
                    ("csv_parse", "7", "7", "text", "string"),
                    ("datetime", "7", "7", "at", "string"),
                    ("html_to_text", "7", "7", "html", "string"),
                    ("json_query", "{}, 7", "[], 7", "query", "string"),
                    ("text_diff", '7, ""', '7, ""', "before", "string"),
                    ("web_search", "7", "7", "query", "string"),
                )
            ),
            ("image_info", "7", "7", "data", "data: must be bytes, or base64 text"),
            ("pdf_text", "7", "7", "data", "data: must be bytes, or base64 text"),
        )
    ),
    *(
        gives(
            f"tools.{name} that fails",
            f"local ok, e = pcall(tools.{name}, {lua}) return {{e.kind, e.field}}",
            f"try {{ await tools.{name}({js}) }} catch (e) {{ return [e.kind, e.field] }}",
            ["Validation", field],
        )
        for name, lua, js, field in (
            ("csv_format", "{1}", "[1]", "rows"),
            ("csv_parse", '"a,a\\n1,2"', '"a,a\\n1,2"', "text"),
            ("datetime", '"soon"', '"soon"', "at"),
            ("image_info", '"AAAA"', '"AAAA"', "data"),
            ("json_query", '{}, "["', '[], "["', "query"),
            ("pdf_text", '"AAAA"', '"AAAA"', "data"),
        )
    ),
    gives(
        "what a PDF and an image say",
        "return {tools.pdf_text(params.pdf).text, tools.image_info(params.png).width}",
        "return [(await tools.pdfText(params.pdf)).text, (await tools.imageInfo(params.png)).width]",
        ["Owls", 1],
        params={"pdf": pdf("Owls"), "png": png(1, 1)},
    ),
    gives(
        "tools.web_search finds pages",
        'local found = tools.web_search("owls", 2) '
        "return {#found.results, found.results[1].url, found.query_metadata.query}",
        'const found = await tools.webSearch("owls", 2); '
        "return [found.results.length, found.results[0].url, found.query_metadata.query]",
        [2, "https://pages.example/0", "owls"],
    ),
    caught(
        "tools.web_search for too many pages",
        'tools.web_search("owls", 21)',
        'await tools.web_search("owls", 21)',
        Failed(
            kind="Validation",
            field="max_results",
            message="tools.web_search: max_results: expected integer <= 20",
        ),
    ),
    *(
        caught(
            f"tools.{name} outside of what is granted",
            f'tools.{name}("{path}")',
            f'await tools.{name}("{path}")',
            Failed(
                kind="Policy",
                field="path",
                message="path: '/etc' is in no directory that is granted for reading; "
                "grant one with --allow-read /",
            ),
            folder=True,
        )
        for name, path in (("file_list", "/etc"), ("file_search", "/etc/*"))
    ),
)
