"""A model checker of the pipeline: the shipped code in every order of its steps, within bounds."""
