"""What every other rung stands on: a closed list of nouns that know nothing of the market."""
