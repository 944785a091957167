"""Search over the catalogue: words in, product ids out. Filters and sorting stay in SQL."""

from marketplace.search.product_index import index_product, query, ready, rebuild

__all__ = ["index_product", "query", "ready", "rebuild"]
