-- id = "L28"
-- title = "clocks fine enough to watch a neighbour"

local gains = {}

local FINEST = 0.001 -- seconds; what caches and pages tell takes a thousandth of it
local SLACK = 1e-6 -- seconds since 1970 have no more digits

local function finest(name, clock)
  if not clock then
    return
  end
  local last, smallest = clock(), math.huge
  local ends = os.time() + 2
  local steps = 0
  repeat
    local now = clock()
    if now > last then
      smallest = math.min(smallest, now - last)
      steps = steps + 1
    end
    last = now
  until steps >= 20 or os.time() >= ends
  if smallest < FINEST - SLACK then
    gains[#gains + 1] = ("%s tells %g s"):format(name, smallest)
  end
  local fraction = last * 1000 % 1
  if fraction > 1e-3 and fraction < 1 - 1e-3 then
    gains[#gains + 1] = ("%s has digits below a millisecond"):format(name)
  end
end
finest("os.clock", os.clock)
finest("util.time", util and util.time)
if math.type(os.time()) ~= "integer" then
  gains[#gains + 1] = "os.time has a fraction"
end
if pcall(os.date, "%N") then
  gains[#gains + 1] = "os.date tells nanoseconds"
end
return gains
