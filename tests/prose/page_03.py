"""Ten thousand clients."""

BOUND = []
STATED = []
