"""What a delivery costs: the function path measured in instructions, CPU time and memory."""
