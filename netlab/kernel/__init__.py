"""What this machine is, its threads, limits and queues."""
