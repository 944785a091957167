"""Where goods come from: batches, deliveries, stock."""
