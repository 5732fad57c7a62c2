"""What bursts, a slow API and outages do to the pipeline: a simulation with the rules that are deployed.

`scenarios` says what happens, `rules` under which rules, and `pipeline` plays it: `invocation` is one
invocation, `function` a handler with its queue, `redrive` the dead-letter queues. `report` and `plots` show
what came of it. `experiment` plays a real outage on the embedded AWS, and `check` compares the two.
"""
