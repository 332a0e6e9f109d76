"""Show: figures from tables, each with its stamp, its words and its table."""
