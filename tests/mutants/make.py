"""Make the mutants, with the operators of cosmic-ray: one JSON object a line.

Runs in an environment of its own. Each place in a module that an operator would change is changed
in one way, drawn with the others from a fixed seed. What differs in annotations alone is no mutant:
nobody evaluates those of functions.
"""

from __future__ import annotations

import ast
import difflib
import json
import random
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.provider import OperatorProvider

from tests.mutants.modules import GROUPS, PLACES, SEED

_PARAMETERISED = {"VariableReplacer", "VariableInserter"}
"""They have to be told which variables."""
_OPERATORS = {n: OperatorProvider()[n] for n in OperatorProvider() if n not in _PARAMETERISED}


class _Unannotated(ast.NodeTransformer):
    """A module without what only type checkers read."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.returns = None
        self.generic_visit(node)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AnnAssign:
        node.annotation = ast.Constant(None)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        # A Struct's fields have the types that their annotations say.
        node.body = [n if isinstance(n, ast.AnnAssign) else self.visit(n) for n in node.body]
        return node

    def visit_If(self, node: ast.If) -> ast.If | ast.Pass:
        self.generic_visit(node)
        return ast.Pass() if "TYPE_CHECKING" in ast.dump(node.test) else node


def _meaning(source: str) -> str | None:
    """What a module says, or None if it is no Python."""
    try:
        return ast.dump(_Unannotated().visit(ast.parse(source)))
    except SyntaxError:
        return None


def _candidates(source: str) -> list[list[tuple[str, int]]]:
    """For each place the mutants there, each as an operator and which of its occurrences."""
    places: dict[object, list[tuple[str, int]]] = {}
    nodes = list(ast_nodes(get_ast(source)))
    for name, operator in _OPERATORS.items():
        found = chain.from_iterable(operator().mutation_positions(node) for node in nodes)
        for occurrence, place in enumerate(found):
            places.setdefault(place, []).append((name, occurrence))
    return list(places.values())


def _mutants(source: str, draw: random.Random) -> Iterator[tuple[str, str]]:
    """Operator and mutated source, in the order in which they were drawn."""
    meant = _meaning(source)
    for choices in draw.sample(places := _candidates(source), len(places)):
        for name, occurrence in draw.sample(choices, len(choices)):
            mutated = mutate_code(source, _OPERATORS[name](), occurrence)
            if mutated is not None and _meaning(mutated) not in (None, meant):
                yield name, mutated
                break


def _changed(source: str, mutated: str) -> tuple[int, str, str]:
    """The first line that differs: its number, and what it was and is."""
    before, after = source.splitlines(), mutated.splitlines()
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    _, i, end, j, other = next(o for o in matcher.get_opcodes() if o[0] != "equal")
    return i + 1, " ".join(before[i:end]).strip(), " ".join(after[j:other]).strip()


def main() -> None:
    """Write the mutants of all modules, or of those whose names contain an argument."""
    for group, modules in GROUPS.items():
        for module in modules:
            if sys.argv[1:] and not any(word in module.name for word in sys.argv[1:]):
                continue
            source = Path(module.path).read_text()
            draw = random.Random(f"{SEED} {module.name}")  # noqa: S311 - it is to be repeatable
            for _, (operator, mutated) in zip(range(PLACES), _mutants(source, draw), strict=False):
                line, before, after = _changed(source, mutated)
                mutant = {
                    "group": group,
                    "module": module.name,
                    "operator": operator,
                    "line": line,
                    "before": before,
                    "after": after,
                    "source": mutated,
                }
                sys.stdout.write(json.dumps(mutant) + "\n")


if __name__ == "__main__":
    main()
