"""Double entry: accounts, the only door for posting, balances. Knows nothing of orders."""
