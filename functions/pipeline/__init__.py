"""What the handlers share; an event passes envelope, routing, api and process in this order."""
