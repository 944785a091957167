"""What is for sale: categories, products, packs, their review, and how revenue is split."""
