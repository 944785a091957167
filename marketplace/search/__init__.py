"""From words to product ids."""
