"""The stored results of the studies in docs/studies, and the pages that are drawn from them."""
