"""Who there is: people, organisations, their roles, regions, addresses, and approvals by a second person."""
