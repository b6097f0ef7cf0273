"""The testbed bench: a real model on this machine, measured. The only room that may import torch or transformers."""
