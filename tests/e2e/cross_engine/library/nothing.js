params.seen = (params.seen ?? 0) + 1;
