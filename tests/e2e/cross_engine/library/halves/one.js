await util.sleep(1);
return "one";
