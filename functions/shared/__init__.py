"""What all five functions share: AWS clients, errors, names, settings, retries and text formats."""
