-- llmspell-supervisor run examples/resumable-workflow.lua --allow-bridge llm --allow-bridge workflow
-- A story in three chapters. Whatever ends the run, the next one goes on after the last chapter that
-- was finished: nothing is asked, or paid for, twice. `--param again=true` begins anew.
local ID = "story"

local flow = workflow.sequential({name = "story"})
local chapters = {
    {name = "opening", prompt = "Write the opening of a story about {{hero}}, in one sentence"},
    {name = "middle", prompt = "Go on with this story, in one sentence: {{opening.output}}"},
    {name = "ending", prompt = "End this story, in one sentence: {{opening.output}} {{middle.output}}"}
}
for _, chapter in ipairs(chapters) do
    flow:add_step({name = chapter.name, model = "gpt-4", prompt = chapter.prompt})
end

local kept = false
for _, run in ipairs(workflow.runs()) do
    kept = kept or run.id == ID
end
if kept and params.again then
    workflow.forget(ID)
    kept = false
end

local progress
if kept then
    progress = flow:resume_with_progress(ID)
else
    progress = flow:run_with_progress({hero = params.hero or "an owl"}, {id = ID})
end
for event in progress do
    if event.event == "step_finished" then
        console.log("written: " .. event.step)
    end
end

local steps = progress.result.steps
return table.concat({steps.opening.output, steps.middle.output, steps.ending.output}, " ")
