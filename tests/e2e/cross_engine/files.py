"""`fs`: real files, in a directory that both languages get anew."""

from __future__ import annotations

from tests.e2e.cross_engine.case import Failed, caught, fails, gives

OUT = Failed(
    kind="Policy",
    field="path",
    message="path: '/etc/passwd' is in no directory that is granted for reading; "
    "grant one with --allow-read /etc",
)

CASES = (
    gives(
        "a file is written and read",
        'local n = fs.write("a.txt", "Grüße") return {n, fs.read("a.txt")}',
        'const n = await fs.write("a.txt", "Grüße"); return [n, await fs.read("a.txt")]',
        [7, "Grüße"],
        folder=True,
    ),
    gives(
        "bytes are written and read",
        'fs.write("a", "\\0\\xff") return fs.read("a", {encoding = "bytes"})',
        'await fs.write("a", new Uint8Array([0, 255])); return fs.read("a", { encoding: "bytes" })',
        b"\0\xff",
        folder=True,
    ),
    gives(
        "a part of a file is read",
        'fs.write("a", "0123456789") return fs.read("a", {offset = 2, length = 3})',
        'await fs.write("a", "0123456789"); return fs.read("a", { offset: 2, length: 3 })',
        "234",
        folder=True,
    ),
    gives(
        "text is appended",
        'fs.append("log", "one\\n") fs.append("log", "two\\n") return fs.read("log")',
        'await fs.append("log", "one\\n"); await fs.append("log", "two\\n"); return fs.read("log")',
        "one\ntwo\n",
        folder=True,
    ),
    gives(
        "directories are made, listed, described and removed",
        'fs.mkdir("d/e") fs.write("d/a", "four") local found = fs.list("d") '
        'local s = fs.stat("d/a") fs.remove("d/a") fs.remove("d/e") fs.remove("d") '
        "return {found, s.kind, s.size, s.modified > 0, fs.list()}",
        'await fs.mkdir("d/e"); await fs.write("d/a", "four"); const found = await fs.list("d"); '
        'const s = await fs.stat("d/a"); await fs.remove("d/a"); await fs.remove("d/e"); '
        'await fs.remove("d"); return [found, s.kind, s.size, s.modified > 0, await fs.list()]',
        [
            [{"name": "a", "kind": "file"}, {"name": "e", "kind": "directory"}],
            "file",
            4,
            True,
            [],
        ],
        folder=True,
    ),
    gives(
        "nothing is null",
        'return fs.stat("none") == nil',
        'return (await fs.stat("none")) === null',
        True,
        folder=True,
    ),
    gives(
        "a pattern finds paths",
        'fs.mkdir("d") fs.write("a.md", "") fs.write("d/b.md", "") return fs.glob("**/*.md")',
        'await fs.mkdir("d"); await fs.write("a.md", ""); await fs.write("d/b.md", ""); '
        'return fs.glob("**/*.md")',
        ["a.md", "d/b.md"],
        folder=True,
    ),
    gives(
        "the granted directories are told, and may be named in full",
        'local r = fs.roots() fs.write(r.write[1] .. "/a", "x") return fs.read(r.read[1] .. "/a")',
        'const r = await fs.roots(); await fs.write(r.write[0] + "/a", "x"); '
        'return fs.read(r.read[0] + "/a")',
        "x",
        folder=True,
    ),
    gives(
        "a file is not overwritten against the spell's will",
        'fs.write("a", "one") local ok, e = pcall(fs.write, "a", "two", {overwrite = false}) '
        'return {ok, e.message, fs.read("a")}',
        'await fs.write("a", "one"); let e; '
        'try { await fs.write("a", "two", { overwrite: false }) } catch (error) { e = error } '
        'return [false, e.message, await fs.read("a")]',
        [False, "path: 'a' is there already", "one"],
        folder=True,
    ),
    caught(
        "reading what is not granted",
        'fs.read("/etc/passwd")',
        'await fs.read("/etc/passwd")',
        OUT,
        folder=True,
    ),
    caught(
        "reading without any grant",
        'fs.read("a")',
        'await fs.read("a")',
        Failed(
            kind="Policy",
            field="path",
            message="path: 'a' is in no directory that is granted for reading; "
            "grant one with --allow-read DIR",
        ),
        policy={"allow_bridges": ("fs",)},
    ),
    *(
        caught(
            f"fs.{name} of what is not there",
            f'fs.{name}("none"{more})',
            f'await fs.{name}("none"{more})',
            Failed(kind="Validation", field="path", message="path: there is no 'none'"),
            folder=True,
        )
        for name, more in (("read", ""), ("list", ""), ("remove", ""))
    ),
    *(
        caught(
            f"fs.{name} below what is not there",
            f'fs.{name}("none/a", "x")',
            f'await fs.{name}("none/a", "x")',
            Failed(kind="Validation", field="path", message="path: there is no 'none/a'"),
            folder=True,
        )
        for name in ("write", "append")
    ),
    *(
        caught(
            f"fs.{name} with a number for a path",
            f"fs.{name}(1{more})",
            f"await fs.{name}(1{more})",
            Failed(
                kind="Validation",
                field=field,
                message=f"fs.{name}: {field}: expected string, got integer",
            ),
            folder=True,
        )
        for name, more, field in (
            ("read", "", "path"),
            ("write", ', "x"', "path"),
            ("append", ', "x"', "path"),
            ("list", "", "path"),
            ("stat", "", "path"),
            ("glob", "", "pattern"),
            ("mkdir", "", "path"),
            ("remove", "", "path"),
        )
    ),
    caught(
        "writing what is neither text nor bytes",
        'fs.write("a", {1})',
        'await fs.write("a", [1])',
        Failed(kind="Validation", field="data", message="data: expected string or bytes, got list"),
        folder=True,
    ),
    caught(
        "an option that there is not",
        'fs.read("a", {lenght = 1})',
        'await fs.read("a", { lenght: 1 })',
        Failed(
            kind="Validation",
            field="lenght",
            message="fs.read: lenght: unknown option 'lenght'; did you mean 'length'?",
        ),
        folder=True,
    ),
    *(
        caught(
            f"fs.{name} of a path with '..'",
            f'fs.{name}("../x"{more})',
            f'await fs.{name}("../x"{more})',
            Failed(
                kind="Validation",
                field="path",
                message="path: it holds '..': write the path without it",
            ),
            folder=True,
        )
        for name, more in (("stat", ""), ("mkdir", ""), ("glob", ""))
    ),
    caught(
        "fs.glob with a wildcard and '..'",
        'fs.glob("*/../x")',
        'await fs.glob("*/../x")',
        Failed(
            kind="Validation",
            field="pattern",
            message="pattern: it ends in no name, or holds '..'",
        ),
        folder=True,
    ),
    fails(
        "a spell that was not granted the bridge does not find it",
        "return fs.roots()",
        "return fs.roots()",
        Failed(message="*fs*", line=1),
    ),
    caught(
        "fs.roots takes no arguments",
        "fs.roots(1)",
        "await fs.roots(1)",
        Failed(kind="Validation", message="fs.roots: takes no arguments: roots() -> Granted"),
        folder=True,
    ),
)
