// llmspell-supervisor run examples/resumable-workflow.js --allow-bridge llm --allow-bridge workflow
// A story in three chapters. Whatever ends the run, the next one goes on after the last chapter that
// was finished: nothing is asked, or paid for, twice. `--param again=true` begins anew.
const ID = "story";

const flow = await workflow.sequential({name: "story"});
const chapters = {
    opening: "Write the opening of a story about {{hero}}, in one sentence",
    middle: "Go on with this story, in one sentence: {{opening.output}}",
    ending: "End this story, in one sentence: {{opening.output}} {{middle.output}}"
};
for (const [name, prompt] of Object.entries(chapters)) {
    await flow.addStep({name, model: "gpt-4", prompt});
}

let kept = (await workflow.runs()).some((run) => run.id === ID);
if (kept && params.again) {
    await workflow.forget(ID);
    kept = false;
}

const progress = kept
    ? flow.resumeWithProgress(ID)
    : flow.runWithProgress({hero: params.hero || "an owl"}, {id: ID});
for await (const event of progress) {
    if (event.event === "step_finished") {
        console.log(`written: ${event.step}`);
    }
}

const {steps} = await progress.result;
return [steps.opening.output, steps.middle.output, steps.ending.output].join(" ");
