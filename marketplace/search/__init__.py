"""Search over the catalogue: words in, product ids out. Filters and sorting stay in SQL."""

from marketplace.search.product_index import generation, index_product, query, ready, rebuild, trouble

__all__ = ["generation", "index_product", "query", "ready", "rebuild", "trouble"]
