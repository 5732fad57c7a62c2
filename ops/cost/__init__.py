"""What an environment costs a month, and which limit a peak meets first.

`measured` is what a run measured, `prices` the price list, `stack` the environment's real settings,
`services` the table of costs, `limits` that of limits.
"""
