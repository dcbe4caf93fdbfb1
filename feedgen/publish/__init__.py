"""From a package to a published, verified site: feed computation, stores, the site writer and its pruning."""
