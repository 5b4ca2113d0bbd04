"""What every bridge is held to; most of it is derived from its own declaration.

class TestConvert(BridgeContract):
    examples = (
        Example("to", (1, "in", "cm"), 2.54),
        Example("to", (1, "mi", "kg"), error="Validation", field="target"),
    )

    @pytest.fixture
    def bridge(self) -> Bridge:
        return ConvertBridge(ConvertConfig())
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, Final

import msgspec
import pytest

from llmspell_bridges import BoundMethod, Bridge, BridgeError, BridgeRegistry, CallContext
from llmspell_protocol import ArgumentError, Call, Connection, Fault, Role, pack
from llmspell_supervisor._budget import CallBudget
from llmspell_supervisor._calls import Calls, _Open

from .._bridge_host import BridgeHost
from .._compare import exact
from .._recording_bridge import RecordingBridge
from .._stage import Stage
from ._example import Example
from ._findings import Findings
from ._samples import NoSample, options_of, sample, wrong_values

CANARY: Final = "canary-7f3a9c"
"""What is in the text of an error that must not cross."""

ROUNDS: Final = 4
"""How often each example is run at once under load."""

_LIST: Final = {
    "lua": "local found = {{}} for name, f in pairs({0} or {{}}) do found[#found + 1] = name end "
    "table.sort(found) return found",
    "javascript": "return Object.keys(globalThis.{0} ?? {{}}).sort()",
}
"""What a spell finds in a global, in each language of ours."""


class BridgeContract:
    """Give `bridge`, a new one each time; say in `examples` what its methods answer."""

    examples: ClassVar[tuple[Example, ...]] = ()
    """Calls that need nothing but the bridge, with what comes of them."""

    @pytest.fixture
    def bridge(self) -> Bridge:
        """What is tested."""
        raise NotImplementedError("a subclass of BridgeContract gives the fixture `bridge`")

    @pytest.fixture
    def all_examples(self) -> Sequence[Example]:
        """The examples, for a subclass whose bridges have each their own."""
        return self.examples

    # --- the declaration ------------------------------------------------------------------------

    def test_it_is_declared_well(self, bridge: Bridge) -> None:
        """A legal name, a description, and methods that can be bound."""
        registry = BridgeRegistry([bridge])
        assert registry.names == (bridge.name,)
        assert (type(bridge).__doc__ or "").strip(), "a bridge says in its docstring what it is"
        assert registry.methods, "a bridge without a method is none: mark them with @method"
        assert len({m.name for m in registry.methods}) == len(registry.methods)

    def test_its_configuration_has_a_default_for_everything(self, bridge: Bridge) -> None:
        """A bridge that no config file mentions must load, and an unknown key must not."""
        made = type(bridge).config()
        assert msgspec.convert({}, type(bridge).config) == made
        with pytest.raises(msgspec.ValidationError, match="unknown field"):
            msgspec.convert({"no_such_setting": 1}, type(bridge).config)

    def test_every_method_is_described(self, bridge: Bridge) -> None:
        """`info` shows what each is for, what it takes and what it returns."""
        with Findings() as findings:
            for method in _methods(bridge):
                with findings.about(method.name):
                    info = method.describe()
                    assert info.doc, "the first paragraph of its docstring is what `info` shows"
                    assert info.doc[0].isupper()
                    assert info.result
                    assert re.fullmatch(r"[a-z][a-z0-9_]*", method.name.rpartition(".")[2])
                    assert len(method.name) <= 64, "what the wire has room for"

    def test_every_method_can_be_called(
        self, bridge: Bridge, all_examples: Sequence[Example]
    ) -> None:
        """With values that its types take: without such, the tests below would say nothing of it."""
        known = {example.method for example in all_examples}
        with Findings() as findings:
            for method in _methods(bridge):
                with findings.about(method.name):
                    last = len(method.signature.parameters)
                    good = list(_with(method, last, iter([None])))
                    assert good or _short(method.name) in known, "give an Example of it"

    # --- arguments ------------------------------------------------------------------------------

    def test_an_argument_of_the_wrong_type_is_refused_and_named(self, bridge: Bridge) -> None:
        """A value of every kind that a parameter does not take, for every parameter."""
        with Findings() as findings:
            for method in _methods(bridge):
                for parameter, args in _wrong_arguments(method):
                    with findings.about(f"{method.name}: {parameter}: {args!r}"):
                        error = _refusal(method, args)
                        assert _about(error.field, parameter), (error.field, str(error))
                        assert "Expected" not in str(error), "in the words of scripts"

    def test_an_option_of_the_wrong_type_is_refused_and_named(self, bridge: Bridge) -> None:
        """The same for every option of a map of options, and for one that there is not."""
        with Findings() as findings:
            for method in _methods(bridge):
                for option, args in _wrong_options(method):
                    with findings.about(f"{method.name}: {option}: {args!r}"):
                        error = _refusal(method, args)
                        assert _about(error.field, option), (error.field, str(error))

    def test_too_many_and_too_few_arguments_are_refused(self, bridge: Bridge) -> None:
        """Nothing is dropped in silence."""
        with Findings() as findings:
            for method in _methods(bridge):
                with findings.about(method.name):
                    last = len(method.signature.parameters)
                    for args in _with(method, last, iter([None])):
                        assert "takes" in str(_refusal(method, args))
                    if any(p.required for p in method.signature.parameters):
                        assert "takes" in str(_refusal(method, []))

    # --- answers --------------------------------------------------------------------------------

    def test_the_examples_come_true(self, bridge: Bridge, all_examples: Sequence[Example]) -> None:
        """Value or error, and a value has the type that the declaration gives."""
        host = BridgeHost(bridge)

        async def all_of_them() -> None:
            with Findings() as findings:
                for example in all_examples:
                    with findings.about(f"{example.method}{example.args}"):
                        _judge(example, await _outcome(host, example), _found(host, example))

        host.run(all_of_them)

    def test_calls_that_are_open_at_once_get_each_their_own_answer(
        self, bridge: Bridge, all_examples: Sequence[Example]
    ) -> None:
        """All examples together, several times over."""
        host = BridgeHost(bridge)
        work = [example for _ in range(ROUNDS) for example in all_examples]

        async def at_once() -> list[Any]:
            return await asyncio.gather(*(_outcome(host, example) for example in work))

        for example, outcome in zip(work, host.run(at_once), strict=True):
            _judge(example, outcome, _found(host, example))

    # --- errors ---------------------------------------------------------------------------------

    def test_a_method_that_breaks_is_internal_and_its_text_stays_here(self, bridge: Bridge) -> None:
        """Each method in turn has a bug, whose text is a secret: scripts see neither."""
        with Findings() as findings:
            for method in _methods(bridge):
                with findings.about(method.name):
                    error = _breaking(bridge, method)
                    assert error.kind == "Internal"
                    seen = f"{error.message} {error.info()}"
                    assert CANARY not in seen
                    assert "Traceback" not in seen
                    assert ".py" not in seen

    def test_closing_it_twice_does_no_harm(self, bridge: Bridge) -> None:
        """A supervisor that fails while it closes may close again."""

        async def close() -> None:
            await bridge.close()
            await bridge.close()

        asyncio.run(close())

    # --- in spells ------------------------------------------------------------------------------

    @pytest.mark.parametrize("language", ["lua", "javascript"])
    def test_a_spell_finds_what_it_is_granted_and_nothing_else(
        self, bridge: Bridge, llmspell_stage: Stage, language: str
    ) -> None:
        """All methods with the bridge, one with that one, and no bridge without a grant."""
        methods = sorted(m.name for m in _methods(bridge) if m.name.count(".") == 1)
        source = _LIST[language].format(bridge.name)
        grants: tuple[tuple[str, ...], ...] = ((bridge.name,), (methods[0],), ())
        with _having(llmspell_stage, bridge) as stage:
            runs = [stage.begin(source, language, allow_bridges=grant) for grant in grants]
            reports = stage.together(runs)
        assert [report.verdict for report in reports] == ["ok"] * 3, reports
        # JavaScript takes a declared name, too, beside the one that it writes itself.
        found = [sorted({_snake(name) for name in report.value}) for report in reports]
        assert found == [[_short(m) for m in methods], [_short(methods[0])], []]

    def test_what_is_not_granted_is_refused_however_it_is_asked_for(self, bridge: Bridge) -> None:
        """The host does not trust the worker to ask only for what it was told of."""
        methods = _methods(bridge)
        host = BridgeHost(bridge, allow_bridges=())
        kinds = host.run(lambda: _ask_as_a_worker(host, methods))
        assert kinds == ["Policy"] * len(methods)


async def _ask_as_a_worker(host: BridgeHost, methods: Iterable[BoundMethod]) -> list[str]:
    """What the supervisor answers, method by method, to a worker that just asks."""
    calls = Calls(
        host.policy,
        host.budget,
        host.registry,
        Connection(Role.HOST),
        None,  # type: ignore[arg-type]  # what is answered is looked at before it is sent
        end=lambda _: None,
        fail=lambda _: None,
        activity=lambda _: None,
    )
    calls.context = host.context
    kinds: list[str] = []
    for number, method in enumerate(methods, 1):
        credit = 1 if method.kind == "stream" else 0
        call = Call(number, method.name, msgspec.Raw(pack([])), credit)
        state = _Open(call, host.registry.get(call.method), CallBudget(host.budget), 0.0, {})
        answer = await calls._answer(call, state)
        kinds.append(answer.error.kind if isinstance(answer, Fault) else "served")
    return kinds


def _methods(bridge: Bridge) -> tuple[BoundMethod, ...]:
    return BridgeRegistry([bridge]).methods


def _short(name: str) -> str:
    return name.partition(".")[2]


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda m: f"_{m[1].lower()}", name)


def _hints(method: BoundMethod) -> list[Any]:
    return method.signature._hints


def _with(method: BoundMethod, index: int, values: Iterator[Any]) -> Iterator[list[Any]]:
    """Arguments that are good, but for one: what is required, and what stands before that one.

    None where a type has no sample: examples have to speak for such a method.
    """
    hints, parameters = _hints(method), method.signature.parameters
    count = max(index + 1, sum(p.required for p in parameters))
    try:
        good = [sample(hint) for at, hint in enumerate(hints[:count]) if at != index]
    except NoSample:
        return
    for value in values:
        yield [*good[:index], value, *good[index:]]


def _wrong_arguments(method: BoundMethod) -> Iterator[tuple[str, list[Any]]]:
    for index, parameter in enumerate(method.signature.parameters):
        wrong = wrong_values(_hints(method)[index])
        for args in _with(method, index, wrong):
            yield parameter.name, args


def _wrong_options(method: BoundMethod) -> Iterator[tuple[str, list[Any]]]:
    for index, parameter in enumerate(method.signature.parameters):
        struct = options_of(parameter, _hints(method)[index])
        if struct is None:
            continue
        for option, wrong in _wrong_maps(struct):
            for args in _with(method, index, iter([wrong])):
                yield option, args


def _wrong_maps(struct: type[msgspec.Struct]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Maps of options that are good, but for one."""
    try:
        good = sample(struct)
    except NoSample:
        return
    yield "no_such_option", {**good, "no_such_option": 1}
    for field in msgspec.structs.fields(struct):
        for wrong in wrong_values(field.type):
            yield field.encode_name, {**good, field.encode_name: wrong}


def _about(field: str | None, name: str) -> bool:
    """Whether an error's field is a parameter, or something in it."""
    return field is not None and re.split(r"[.\[]", field)[0] == name


def _refusal(method: BoundMethod, args: list[Any]) -> ArgumentError:
    with pytest.raises(ArgumentError) as caught:
        method.signature.decode(msgspec.msgpack.encode(args))
    return caught.value


async def _outcome(host: BridgeHost, example: Example) -> Any:
    """What a call comes to: a value, or the `BridgeError`."""
    method = f"{host.registry.names[0]}.{example.method}"
    try:
        if _found(host, example).kind == "stream":
            return list(await host.drain(method, *example.args))
        return await host.call(method, *example.args)
    except BridgeError as error:
        return error


def _found(host: BridgeHost, example: Example) -> BoundMethod:
    name = f"{host.registry.names[0]}.{example.method}"
    bound = host.registry.get(name)
    assert bound is not None, f"an example is of {name}, which there is not"
    return bound


def _judge(example: Example, outcome: Any, method: BoundMethod) -> None:
    if isinstance(outcome, BridgeError):
        assert outcome.kind == example.error, outcome
        assert outcome.field == example.field, outcome
        short = method.name.rpartition(".")[2]
        begins = (f"{method.name}:", f"{short}:", f"{outcome.field}:")
        assert outcome.message.startswith(begins), "an error begins with what it is about"
        return
    assert example.error is None, f"{example.error} was expected, and not {outcome!r}"
    assert exact(outcome) == exact(example.value)
    if method.kind == "call":
        try:
            again = msgspec.convert(outcome, method.signature.result_type)
        except msgspec.ValidationError as error:
            raise AssertionError(f"not of the declared type: {error}") from None
        assert msgspec.to_builtins(again, builtin_types=(bytes,)) == outcome, "not of its type"
    pack(outcome)  # it can go back to where it came from


def _breaking(bridge: Bridge, method: BoundMethod) -> BridgeError:
    """What a script is told when this method of the bridge has a bug."""

    async def break_down(*_: Any) -> Any:
        raise RuntimeError(f"cannot use {CANARY}")

    async def break_down_midway(*_: Any) -> Any:
        for _ in ():
            yield  # an async generator, which breaks before it has given anything
        raise RuntimeError(f"cannot use {CANARY}")

    broken = BoundMethod(bridge, method._function, method._objects)
    broken.signature  # noqa: B018 - derived from the method itself
    broken.waits = True
    broken._function = break_down_midway if method.kind == "stream" else break_down
    broken._decode = lambda *_: (bridge, [])  # type: ignore[method-assign]
    host = BridgeHost(RecordingBridge("nothing", at_all=None))
    return host.run(lambda: _error_of(broken, host.context))


async def _error_of(method: BoundMethod, context: CallContext) -> BridgeError:
    with pytest.raises(BridgeError) as caught:
        await _first_answer(method, context)
    return caught.value


async def _first_answer(method: BoundMethod, context: CallContext) -> bytes:
    if method.kind == "stream":
        return await anext(method.stream(context, pack([])))
    return await method.call(context, pack([]))


def _having(stage: Stage, bridge: Bridge) -> Any:
    """The stage with the bridge in place of one that it has of the same name."""
    registry = stage.supervisor.bridges
    if bridge.name in registry.names:
        stage.do(registry.remove(bridge.name))
    return stage.having(bridge)
