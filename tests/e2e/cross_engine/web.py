"""`http`: a real server on loopback, which the operator permits by its address."""

from __future__ import annotations

from tests.e2e.cross_engine.case import Failed, caught, gives

AT = "params.web .. "
JS = "params.web + "


CASES = (
    gives(
        "an answer",
        f'local r = http.get({AT}"/hello") return {{r.status, r.ok, r.body, r.headers["x-one"]}}',
        f'const r = await http.get({JS}"/hello"); return [r.status, r.ok, r.body, r.headers["x-one"]]',
        [200, True, "hello", "1"],
        web=True,
    ),
    gives(
        "a status of failure is an answer",
        f'local r = http.get({AT}"/none") return {{r.status, r.ok}}',
        f'const r = await http.get({JS}"/none"); return [r.status, r.ok]',
        [404, False],
        web=True,
    ),
    *(
        gives(
            f"http.{name} sends its method and a body",
            f'return http.{name}({AT}"/echo", {{json = {{a = 1}}, expect = "json"}}).body',
            f'return (await http.{name}({JS}"/echo", {{ json: {{ a: 1 }}, expect: "json" }})).body',
            {"method": name.upper(), "path": "/echo", "body": '{"a":1}', "mine": "-"},
            web=True,
        )
        for name in ("post", "put", "patch", "delete")
    ),
    gives(
        "http.head brings headers",
        f'local r = http.head({AT}"/head") return {{r.headers["x-one"], r.body}}',
        f'const r = await http.head({JS}"/head"); return [r.headers["x-one"], r.body]',
        ["1", ""],
        web=True,
    ),
    gives(
        "http.request takes any method, headers and a query",
        f'return http.request("OPTIONS", {AT}"/echo", {{headers = {{["X-Mine"] = "m"}}, '
        'query = {q = "a b", n = 1}, expect = "json"}).body',
        f'return (await http.request("OPTIONS", {JS}"/echo", {{ headers: {{ "X-Mine": "m" }}, '
        'query: { q: "a b", n: 1 }, expect: "json" })).body',
        {"method": "OPTIONS", "path": "/echo?n=1&q=a+b", "body": "", "mine": "m"},
        web=True,
    ),
    gives(
        "bytes are sent and received",
        f'local r = http.post({AT}"/mirror", {{body = "\\0\\xff", expect = "bytes"}}) return r.body',
        f'return (await http.post({JS}"/mirror", '
        '{ body: new Uint8Array([0, 255]), expect: "bytes" })).body',
        b"\0\xff",
        web=True,
    ),
    gives(
        "a body is read as it arrives",
        f'local s, all = http.stream({AT}"/chunked"), "" for piece in s do all = all .. piece end '
        "return {all, s.result.status}",
        f'const s = http.stream({JS}"/chunked"); let all = ""; '
        "for await (const piece of s) all += piece; return [all, (await s.result).status]",
        ["Grüße", 200],
        web=True,
    ),
    caught(
        "a host that is not granted",
        'http.get("https://other.example/")',
        'await http.get("https://other.example/")',
        Failed(
            kind="Policy",
            field="url",
            message="url: other.example is not granted; grant it with --allow-domain other.example",
        ),
        web=True,
    ),
    caught(
        "a host that is granted, at an address of this machine",
        'http.get("http://localhost:9999/")',
        'await http.get("http://localhost:9999/")',
        Failed(
            kind="Policy",
            field="url",
            message="url: localhost has an address that is of this machine, and spells reach "
            "public ones only; allow_private under [http] in the config file permits single ones",
        ),
        web=True,
    ),
    *(
        caught(
            f"http.{name} of what is no web address",
            f'http.{name}("file:///etc/passwd")',
            f'await http.{name}("file:///etc/passwd")',
            Failed(kind="Validation", field="url", message="url: it is no http or https address"),
            web=True,
        )
        for name in ("get", "head", "post", "put", "patch", "delete")
    ),
    caught(
        "http.request with a method that is for proxies",
        'http.request("CONNECT", "https://a.example/")',
        'await http.request("CONNECT", "https://a.example/")',
        Failed(
            kind="Validation",
            field="verb",
            message='http.request: verb: must be "GET" or "HEAD" or "POST" or "PUT" or "PATCH" or '
            '"DELETE" or "OPTIONS", not \'CONNECT\'',
        ),
        web=True,
    ),
    caught(
        "http.stream of a host that is not granted",
        'for _ in http.stream("https://other.example/") do end',
        'for await (const _ of http.stream("https://other.example/"));',
        Failed(
            kind="Policy",
            field="url",
            message="url: other.example is not granted; grant it with --allow-domain other.example",
        ),
        web=True,
    ),
    caught(
        "http.stream with a number for an address",
        "for _ in http.stream(1) do end",
        "for await (const _ of http.stream(1));",
        Failed(
            kind="Validation",
            field="url",
            message="http.stream: url: expected string, got integer",
        ),
        web=True,
    ),
    *(
        caught(
            f"http.{name} with a number for an address",
            f"http.{name}(1)",
            f"await http.{name}(1)",
            Failed(
                kind="Validation",
                field="url",
                message=f"http.{name}: url: expected string, got integer",
            ),
            web=True,
        )
        for name in ("get", "head", "post", "put", "patch", "delete")
    ),
    caught(
        "an option that there is not, of a request",
        'http.get("https://a.example/", {hedaers = {}})',
        'await http.get("https://a.example/", { hedaers: {} })',
        Failed(
            kind="Validation",
            field="hedaers",
            message="http.get: hedaers: unknown option 'hedaers'; did you mean 'headers'?",
        ),
        web=True,
    ),
    caught(
        "a header that the client sets",
        'http.get("https://a.example/", {headers = {Host = "x"}})',
        'await http.get("https://a.example/", { headers: { Host: "x" } })',
        Failed(
            kind="Validation",
            field="headers.Host",
            message="headers.Host: it is set by the client, and not by spells",
        ),
        web=True,
    ),
    gives(
        "a secret is sent for the spell, which never sees it",
        f'return http.get({AT}"/secret", {{auth = "mine"}}).body',
        f'return (await http.get({JS}"/secret", {{ auth: "mine" }})).body',
        "Bearer ***",
        environment={"CROSS_ENGINE_TOKEN": "a token of the test"},
        web=True,
    ),
    caught(
        "a secret that there is not",
        f'http.get({AT}"/secret", {{auth = "yours"}})',
        f'await http.get({JS}"/secret", {{ auth: "yours" }})',
        Failed(
            kind="Validation",
            field="auth",
            message="auth: there is no secret 'yours' (there are: mine)",
        ),
        web=True,
    ),
)
