"""Stripe's API, as far as the functions call it."""
