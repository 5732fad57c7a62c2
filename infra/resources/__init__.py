"""Single AWS resources, as the constructs make them."""
