"""The commands of `python -m netlab`: a function each, by what they are about.

A command takes its options as a dict and returns the exit status: 0 when all went well,
1 when a run, a load or a worker failed. Results go to standard output, messages to
standard error; with `json` one JSON value and nothing else is printed there.
"""
