#!/usr/bin/env lua
local format = require("text/format")
local M = {}

function M.shown(count)
  return format.quoted(count)
end

function M.broken()
  error("broken on purpose")
end

return M
