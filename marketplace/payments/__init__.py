"""Money coming in and going back: payments, calls, refunds, bank receipts. One door for outcomes."""
