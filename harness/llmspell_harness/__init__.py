"""The attack suite: every catalogued attack, let go against the installed package on this host."""
