"""Tables in, one analysis out: factorials, totals, intervals, quality, SLOs."""
