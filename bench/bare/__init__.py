"""The limit of the stack: a Flask page of product cards rendered by Jinja from memory, and nothing else."""
