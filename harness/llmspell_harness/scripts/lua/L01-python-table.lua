-- id = "L01"
-- title = "the table through which lupa gives scripts Python"
local gains = {}
for _, name in ipairs({"python", "eval", "builtins"}) do
  if _G[name] ~= nil then gains[#gains + 1] = name end
end
return gains
