-- id = "L23"
-- title = "an error of 20 MB, not caught"
-- expect = ["script_error"]


error({ message = ("\27[31mverdict: ok\r\n"):rep(1 << 20), kind = ("k"):rep(1 << 20) })
