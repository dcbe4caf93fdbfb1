"""Optional parts that apps use; nothing else of the updater imports them."""
