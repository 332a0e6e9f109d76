"""netlab and its peers side by side, on one machine, in one run: `make bench`.

    __main__       the command: what to run, and where the results go
    settings       how long, how often, which servers and which measures
    peers          the table of servers: nginx, peer.c and peer_asyncio are among them
    running        a server as a process: started, found, ended
    accounts       what processes used: CPU time, memory, descriptors
    client         a client that asks one thing after the other
    bench          what the measures share in one run
    measures       the table of measures, each in a file of its own:
                   requests, calls, idle, generators, scaling, first_answer, sampling
    rounds         the measures repeated, interleaved, in a shuffled order
    summary        medians and ranges
    table, figure  what a reader sees
    results        what is kept: every round's raw numbers

A server or a program that this machine lacks is a row with the reason.
"""
