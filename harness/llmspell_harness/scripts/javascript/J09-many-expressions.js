// id = "J09"
// title = "every method that takes a regular expression"
// expect = ["wall_limit"]
// policy = {timeout = 0.3}

const text = `${"x".repeat(30)}!`;
const bombs = [/(x+x+)+y/, /(?<=(x+)+)y/, /(x*)*\1y/, /([x-z]+)*y/v, /(?:x|x)+y/i];
for (;;) {
  for (const bomb of bombs) {
    const everywhere = new RegExp(bomb.source, `${bomb.flags}g`);
    text.match(bomb);
    text.replace(everywhere, "$`$'");
    text.split(bomb);
    [...text.matchAll(everywhere)];
    bomb[Symbol.search](text);
  }
}
