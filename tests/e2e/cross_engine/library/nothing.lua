params.seen = (params.seen or 0) + 1
