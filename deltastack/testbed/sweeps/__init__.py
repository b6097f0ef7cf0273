"""Tables beside the layers: what a technique rests on, measured apart from any session.

``reads`` (size and alignment of reads), ``workers`` (who shares the pages of the weights), ``density`` (where sparse blocks
begin to win), ``link`` (two processes and shared memory). Each is a function that measures and returns its rows.
"""
