#!/usr/bin/env node
const format = await require("text/format");
const M = {};

M.shown = function (count) {
  return format.quoted(count);
};

M.broken = function () {
  throw new Error("broken on purpose");
};

return M;
