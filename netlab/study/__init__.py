"""Study: a run, checked before a number of it is reported, saved and opened again."""
