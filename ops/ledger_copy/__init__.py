"""A local copy of days of the S3 ledger, to ask in SQL what the ledger holds.

Read `refresh.py` first: it makes the copy equal to the bucket. `rows.py` is a line of the ledger as a row,
`tables.py` what SQL sees of it, `folder.py` where the copy is and who uses it. `session.py` runs SQL that
can't change or reach anything else, and `export.py` writes deliveries to a file.
"""
