"""One loop, many clients."""

BOUND = []
STATED = []
