"""From revenue to households: settlement, distribution, payout."""
