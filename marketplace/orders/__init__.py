"""From cart to receipt: checkout, purchase, order, shipment, return."""
