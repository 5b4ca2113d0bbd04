// id = "J11"
// title = "ten thousand rejections, handled a moment later"

const late = [];
for (let i = 0; i < 10000; i++) late.push(Promise.reject(new Error("late")));
await null;
const told = await Promise.allSettled(late);
return told.filter((one) => one.status !== "rejected").map(String);
