"""Watch: where the workers' threads are and what they did, from outside."""
