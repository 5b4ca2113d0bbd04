-- id = "J10"
-- title = "calls into the host for ever"
-- expect = ["wall_limit"]
-- policy = {timeout = 0.25}

while true do
  json.decode(json.encode({ util.uuid() }))
end
