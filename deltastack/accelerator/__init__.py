"""The accelerator bench: a decoder and an encoder of real size on a GPU, layers as switches, time and joules.

The same code runs on a processor at small size: a CUDA graph becomes a plain call, a stream the one thread there is.
``shapes`` has the sizes; ``linear``, ``decoder`` and ``encoder`` the model; ``lanes`` what runs beside what; ``session`` one
session; ``switches`` the layers; ``bench`` the experiment and its bundle.
"""
