"""What does a stack of serving optimizations really save, and do the composition formulas hold?"""
