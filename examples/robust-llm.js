// llmspell-supervisor run examples/robust-llm.js --model local
// A retry policy of the spell's own. Passing faults (rate limits, time-outs, a provider's 500) are
// retried below it already: see `retries` in `llmspell-supervisor info llm.complete`.
async function robustLlmCall(prompt, maxRetries = 3) {
    let attempt = 0;

    while (attempt < maxRetries) {
        attempt++;

        try {
            const result = await llm.complete({
                model: "gpt-4",
                messages: [{role: "user", content: prompt}]
            });
            return result;
        } catch (error) {
            console.log(`Attempt ${attempt} failed: ${error.message}`);

            if (attempt < maxRetries) {
                // Exponential backoff
                await util.sleep(Math.pow(2, attempt) * 1000);
            }
        }
    }

    throw new Error(`Failed after ${maxRetries} attempts`);
}

// Usage
const result = await robustLlmCall("Explain machine learning", 3);
console.log(`Success: ${result.content}`);
