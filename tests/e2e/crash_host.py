"""A process that runs a spell whose workflow has side effects, and that a test can kill.

    python crash_host.py LANGUAGE FOLDER [STEP]

Each step adds a line to `FOLDER/effects`. At STEP it says so and waits to be killed; without one the
spell resumes what was killed, and the last line of output is what it returned, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import ClassVar

from llmspell_bridges import Bridge, BridgeConfig, CallContext, method
from llmspell_supervisor import Config, Policy, Spell, Supervisor

SPELLS = {
    "lua": """
        local flow = workflow.sequential({name = "ten"})
        for n = 1, 10 do
            flow:add_step({name = "step" .. n, run = function() return effects.add(n) end})
        end
        local result
        if params.resume then result = flow:resume("ten") else result = flow:run({}, {id = "ten"}) end
        local outputs = {}
        for n = 1, 10 do outputs[n] = result.steps["step" .. n].output end
        return outputs
    """,
    "javascript": """
        const flow = await workflow.sequential({name: "ten"});
        for (let n = 1; n <= 10; n += 1)
            await flow.addStep({name: `step${n}`, run: () => effects.add(n)});
        const result = await (params.resume ? flow.resume("ten") : flow.run({}, {id: "ten"}));
        return Object.values(result.steps).map((step) => step.output);
    """,
}


class Effects(Bridge):
    """Side effects that outlive the process."""

    name: ClassVar[str] = "effects"

    def __init__(self, path: Path, stop_at: int | None) -> None:
        super().__init__(BridgeConfig())
        self._path = path
        self._stop_at = stop_at

    @method
    async def add(self, ctx: CallContext, step: int) -> int:
        """Have the effect of a step, or wait for the end."""
        if step == self._stop_at:
            print("waiting", flush=True)
            await asyncio.Event().wait()
        with self._path.open("a") as file:
            file.write(f"{step}\n")
        return step * step


async def main(language: str, folder: Path, stop_at: int | None) -> None:
    """Run the spell."""
    config = Config(bridges={"workflow": {"directory": str(folder / "state")}})
    async with Supervisor(config) as supervisor:
        supervisor.bridges.add(Effects(folder / "effects", stop_at))
        report = await supervisor.run(
            Spell.from_text(SPELLS[language], language, "ten"),
            params={"resume": stop_at is None},
            policy=Policy(allow_bridges=("workflow", "effects")),
        )
        print(json.dumps(report.value if report.ok else str(report.problem)))


if __name__ == "__main__":
    where, stop = Path(sys.argv[2]), sys.argv[3:]
    asyncio.run(main(sys.argv[1], where, int(stop[0]) if stop else None))
