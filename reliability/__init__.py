"""Whether netlab's server holds: what is done to it, how often, and what was lost.

    python -m reliability faults      what can go wrong, each made to go wrong
    python -m reliability attacks     slowhttptest's attacks, with a client that behaves
    python -m reliability clients     what well-known clients count, and what it counts
    python -m reliability soak        load for an hour: no loss, no leak, no drift
    python -m reliability fuzz        both protocol files given the same bytes
    python -m reliability document    the tables of docs/reliability.md, written anew

A module for each of the first five has `add_options(parser)` and
`measure(options) -> list[dict]`: rows of one shape, each a line of a table. A promise
that is broken is an exception, `results.Broken`, and status 1; rows are kept of a
measurement that ended only. Tests call the same functions with smaller numbers.
"""
