// id = "J10"
// title = "timers that beget timers"
// expect = ["wall_limit", "memory_limit"]
// policy = {timeout = 0.3}

const again = () => {
  setTimeout(again, 0);
  setTimeout(again, 0);
};
again();
setInterval(again, 0);
await util.sleep(60000);
return ["it went on"];
