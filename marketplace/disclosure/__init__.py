"""What is shown as proof: benefit receipts, household statements, open figures."""
