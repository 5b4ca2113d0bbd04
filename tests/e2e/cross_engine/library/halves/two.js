await util.sleep(1);
return require("halves/two").catch((problem) => problem.message);
