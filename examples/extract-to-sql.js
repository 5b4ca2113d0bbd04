// llmspell-supervisor run examples/extract-to-sql.js --config shop.toml --allow-bridge llm --allow-bridge sql --param letter="Please send two owls and a toad to Ada."
// What a text says, as data by a JSON Schema, and from there into a table. In shop.toml:
//   [sql.databases.shop]
//   url = "sqlite:////home/me/shop.db"
//   mode = "write"
//   tables = ["orders"]
// The table: CREATE TABLE orders (customer TEXT, animal TEXT, count INTEGER)
const {data: order} = await llm.complete({
    messages: [
        {role: "system", content: "Extract the order from the letter."},
        {role: "user", content: params.letter}
    ],
    schema: {
        type: "object",
        properties: {
            customer: {type: "string", maxLength: 80},
            items: {
                type: "array",
                minItems: 1,
                items: {
                    type: "object",
                    properties: {
                        animal: {type: "string", maxLength: 40},
                        count: {type: "integer", minimum: 1}
                    },
                    required: ["animal", "count"],
                    additionalProperties: false
                }
            }
        },
        required: ["customer", "items"],
        additionalProperties: false
    }
});

// Values go by parameters and never into the text of a statement: a model wrote them.
for (const {animal, count} of order.items) {
    await sql.execute(
        "shop",
        "INSERT INTO orders (customer, animal, count) VALUES (:customer, :animal, :count)",
        {customer: order.customer, animal, count}
    );
}

const found = await sql.query(
    "shop",
    "SELECT animal, count FROM orders WHERE customer = :customer ORDER BY animal",
    {customer: order.customer}
);
for (const row of found.rows) {
    console.log(`${order.customer} ordered ${row.count} x ${row.animal}`);
}

return found.rows.length;
