"""Reference servers on loopback: the Huntaze API and the Stripe API as far as the pipeline calls them."""
