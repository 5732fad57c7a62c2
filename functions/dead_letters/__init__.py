"""Dead-letter queues as operators and the redrive function see them: records, kinds of failure, ways back."""
