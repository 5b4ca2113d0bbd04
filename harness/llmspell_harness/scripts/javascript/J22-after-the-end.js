// id = "J22"
// title = "timers that outlive the end"
// expect = ["wall_limit"]
// policy = {timeout = 0.3}

setInterval(() => { for (;;); }, 1);
return ["it ended"];
