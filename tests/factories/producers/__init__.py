"""Events in the shapes that real producers send, short enough for a test to read.

Each module has a producer's habits: which facets it adds, which events repeat what, how it names
jobs, runs and data sets, and what it leaves out. The names and the values are ours.
"""
