"""What all five functions need: AWS clients, errors, names, settings, retries, logger and metrics."""
