"""Fire: clients in a process of their own, a row for every request."""
