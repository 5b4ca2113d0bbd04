"""Where the statements of a Lua script begin: a parser that keeps nothing else.

Neither engine tells a script's host which lines it runs: Lua's debug hook is not there for scripts.
So that a test can say what it has covered, a mark is put before each statement, on its own line.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

_TOKEN: Final = re.compile(
    r"""(?P<skip>\s+|--\[(?P<cl>=*)\[.*?\](?P=cl)\]|--[^\n]*)
    |(?P<string>\[(?P<sl>=*)\[.*?\](?P=sl)\]
        |"(?:\\z\s*|\\.|[^"\\\n])*"|'(?:\\z\s*|\\.|[^'\\\n])*')
    |(?P<number>0[xX](?:[pP][+-]?\d+|[0-9a-fA-F.])+|\.?\d(?:[eE][+-]?\d+|[0-9.])*)
    |(?P<name>[A-Za-z_]\w*)
    |(?P<op>\.\.\.|\.\.|::|<<|>>|//|==|~=|<=|>=|[-+*/%^\#&~|<>=(){}\[\];:,.])""",
    re.DOTALL | re.VERBOSE | re.ASCII,
)
_KEYWORDS: Final = frozenset(
    [
        "and",
        "break",
        "do",
        "else",
        "elseif",
        "end",
        "false",
        "for",
        "function",
        "goto",
        "if",
        "in",
        "local",
        "nil",
        "not",
        "or",
        "repeat",
        "return",
        "then",
        "true",
        "until",
        "while",
    ]
)
_CLOSERS: Final = frozenset({"end", "else", "elseif", "until", ""})
_UNARY: Final = frozenset({"not", "-", "#", "~"})
_BINARY: Final = frozenset(
    {"+", "-", "*", "/", "//", "%", "^", "..", "==", "~=", "<", "<=", ">", ">=", "and", "or"}
    | {"&", "|", "~", "<<", ">>"}
)
_ATOMS: Final = frozenset({"nil", "true", "false", "..."})


class NotLua(ValueError):
    """The text does not parse; Lua itself says why."""


class Statement(Struct, frozen=True):
    """One statement: the offset of its first character, and its line from 1."""

    offset: int
    line: int


class _Token(Struct, frozen=True):
    text: str
    """Empty at the end of the script; `\"` for every string, `0` for every number."""
    offset: int
    line: int
    name: bool = False


def statements(source: str) -> list[Statement]:
    """Every statement of a script, in order. Raises `NotLua`, and `RecursionError` when nested too deep."""
    parser = _Parser(_tokens(source))
    parser.block()
    parser.expect("")
    return parser.found


def _tokens(source: str) -> list[_Token]:
    tokens, at, line = [], 0, 1
    while at < len(source):
        found = _TOKEN.match(source, at)
        if found is None:
            raise NotLua(f"line {line}")
        text = found[0]
        if found["string"] is not None:
            tokens.append(_Token('"', at, line))
        elif found["number"] is not None:
            tokens.append(_Token("0", at, line))
        elif found["skip"] is None:
            tokens.append(_Token(text, at, line, _is_name(text)))
        line += text.count("\n")
        at = found.end()
    tokens.append(_Token("", at, line))
    return tokens


def _is_name(text: str) -> bool:
    return (text[0].isalpha() or text[0] == "_") and text not in _KEYWORDS


class _Parser:
    """Recursive descent by the grammar of the Lua 5.4 manual, section 9."""

    def __init__(self, tokens: list[_Token]) -> None:
        self.found: list[Statement] = []
        self._tokens = tokens
        self._at = 0

    @property
    def _now(self) -> str:
        return self._tokens[self._at].text

    def _take(self, text: str) -> bool:
        if self._now != text:
            return False
        self._at += 1
        return True

    def expect(self, text: str) -> None:
        """Go past `text`, which is due here; the end of the script is the empty text."""
        if self._now != text:
            raise NotLua(f"line {self._tokens[self._at].line}")
        self._at += 1

    def _name(self) -> None:
        if not self._tokens[self._at].name:
            raise NotLua(f"line {self._tokens[self._at].line}")
        self._at += 1

    def block(self) -> None:
        """Statements up to what closes their block."""
        while self._now not in _CLOSERS:
            if self._take(";"):
                continue
            if self._take("::"):
                self._name()
                self.expect("::")
                continue
            token = self._tokens[self._at]
            self.found.append(Statement(token.offset, token.line))
            if self._take("return"):
                if self._now not in _CLOSERS and self._now != ";":
                    self._expressions()
                self._take(";")
                return
            self._statement()

    def _statement(self) -> None:
        known = {
            "break": lambda: None,
            "goto": self._name,
            "do": self._body_of_block,
            "while": self._while,
            "repeat": self._repeat,
            "if": self._if,
            "for": self._for,
            "function": self._function,
            "local": self._local,
        }.get(self._now)
        if known is not None:
            self._at += 1
            known()
            return
        self._suffixed()
        while self._take(","):
            self._suffixed()
        if self._take("="):
            self._expressions()

    def _body_of_block(self) -> None:
        self.block()
        self.expect("end")

    def _while(self) -> None:
        self._expression()
        self.expect("do")
        self._body_of_block()

    def _repeat(self) -> None:
        self.block()
        self.expect("until")
        self._expression()

    def _if(self) -> None:
        self._expression()
        self.expect("then")
        self.block()
        while self._take("elseif"):
            self._expression()
            self.expect("then")
            self.block()
        if self._take("else"):
            self.block()
        self.expect("end")

    def _for(self) -> None:
        self._name()
        while self._take(","):
            self._name()
        if not self._take("="):
            self.expect("in")
        self._expressions()
        self.expect("do")
        self._body_of_block()

    def _function(self) -> None:
        self._name()
        while self._take(".") or self._take(":"):
            self._name()
        self._body()

    def _local(self) -> None:
        if self._take("function"):
            self._name()
            self._body()
            return
        while True:
            self._name()
            if self._take("<"):
                self._name()
                self.expect(">")
            if not self._take(","):
                break
        if self._take("="):
            self._expressions()

    def _body(self) -> None:
        self.expect("(")
        while not self._take(")"):
            if not self._take("..."):
                self._name()
            self._take(",")
        self._body_of_block()

    def _expressions(self) -> None:
        self._expression()
        while self._take(","):
            self._expression()

    def _expression(self) -> None:
        while True:
            while self._now in _UNARY:
                self._at += 1
            self._simple()
            if self._now not in _BINARY:
                return
            self._at += 1

    def _simple(self) -> None:
        if self._now in _ATOMS or self._now in ("0", '"'):
            self._at += 1
        elif self._take("function"):
            self._body()
        elif self._now == "{":
            self._table()
        else:
            self._suffixed()

    def _suffixed(self) -> None:
        if self._take("("):
            self._expression()
            self.expect(")")
        else:
            self._name()
        while self._suffix():
            pass

    def _suffix(self) -> bool:
        if self._take("."):
            self._name()
        elif self._take("["):
            self._expression()
            self.expect("]")
        elif self._take(":"):
            self._name()
            return self._arguments()
        else:
            return self._arguments()
        return True

    def _arguments(self) -> bool:
        if self._take("("):
            if not self._take(")"):
                self._expressions()
                self.expect(")")
        elif self._now == "{":
            self._table()
        elif not self._take('"'):
            return False
        return True

    def _table(self) -> None:
        self.expect("{")
        while not self._take("}"):
            if self._take("["):
                self._expression()
                self.expect("]")
                self.expect("=")
            elif self._tokens[self._at].name and self._tokens[self._at + 1].text == "=":
                self._at += 2
            self._expression()
            if self._now != "}" and not self._take(","):
                self.expect(";")
