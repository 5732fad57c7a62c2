"""The Huntaze API's contract: its OpenAPI document, and a check of a running API against its promises.

The contract in words is `docs/huntaze-api.md`.
"""
