"""Units' duty to buy: targets, commitments, directed orders, acceptance."""
