-- id = "L18"
-- title = "a loop by goto"
-- expect = ["wall_limit"]
-- policy = {timeout = 0.25}

::top::
goto top
