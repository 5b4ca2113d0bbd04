"""The untrusted side: zygote, containment, engines. Imports the protocol and nothing else of ours."""
