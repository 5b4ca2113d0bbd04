"""The text of spells: how it may begin, end and be written."""

from __future__ import annotations

from tests.e2e.cross_engine.case import Failed, fails, gives

CASES = (
    gives(
        "a `#!` line is passed over, and counted",
        "#!/usr/bin/env -S llmspell-supervisor run --engine lua\nreturn debug.traceback('', 1):match('spell:(%d)')",
        "#!/usr/bin/env -S llmspell-supervisor run --engine js\nreturn new Error().stack.match(/spell:(\\d)/)[1]",
        "2",
    ),
    fails(
        "an error below a `#!` line has its right line",
        '#!/bin/x\n\nerror("x")',
        '#!/bin/x\n\nthrow new Error("x")',
        Failed(message="x", line=3),
    ),
    gives("a byte order mark before the text", "\ufeffreturn 1", "\ufeffreturn 1", 1),
    gives(
        "line ends of Windows",
        "local a = 1\r\nlocal b = 2\r\nreturn a + b\r\n",
        "const a = 1;\r\nconst b = 2;\r\nreturn a + b;\r\n",
        3,
    ),
    fails(
        "an error in a text with line ends of Windows has its right line",
        'local a = 1\r\n\r\nerror("x")\r\n',
        'const a = 1;\r\n\r\nthrow new Error("x");\r\n',
        Failed(message="x", line=3),
    ),
    gives("a comment and no line end at the end", "return 1 -- done", "return 1 // done", 1),
    gives("nothing but comments", "-- nothing\n--[[ at\nall ]]", "// nothing\n/* at\nall */", None),
    gives(
        "comments in every place",
        "--[[ a ]] return --[[ b ]] 1 --[==[ c ]==]",
        "/* a */ return /* b */ 1 /* c */",
        1,
    ),
    gives(
        "text beyond ASCII in the source",
        'local s = "日本語 🌍 ünïcödé" return s',
        'const s = "日本語 🌍 ünïcödé"; return s',
        "日本語 🌍 ünïcödé",
    ),
    gives(
        "names beyond ASCII",
        'local t = {["größe"] = 1} return t["größe"]',
        "const größe = 1; return größe",
        1,
    ),
    gives("text over several lines", "return [[a\nb]]", "return `a\nb`", "a\nb"),
    gives(
        "a return at the top ends the spell",
        "do return 1 end\nerror('never')",
        "if (true) return 1;\nthrow 'never'",
        1,
    ),
    gives(
        "text can be searched and replaced",
        'return {(("a-b-c"):gsub("-", "+")), ("hello"):upper(), ("x=1"):match("(%d)")}',
        'return ["a-b-c".replaceAll("-", "+"), "hello".toUpperCase(), "x=1".match(/(\\d)/)[1]]',
        ["a+b+c", "HELLO", "1"],
    ),
    gives(
        "lists can be sorted and joined",
        'local t = {"c", "a", "b"} table.sort(t) return table.concat(t, ",")',
        'return ["c", "a", "b"].sort().join(",")',
        "a,b,c",
    ),
    gives(
        "a source of 300 KB",
        "local t = {}\n" + "t[#t + 1] = 'some text'\n" * 12000 + "return #t",
        "const t = [];\n" + "t.push('some text here');\n" * 12000 + "return t.length",
        12000,
    ),
    fails(
        "an error at the end of a long source has its right line",
        "local x = 1\n" * 150 + "error('far')",
        "var x = 1;\n" * 150 + "throw new Error('far')",
        Failed(message="far", line=151),
    ),
)
