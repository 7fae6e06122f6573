"""What ZooKeeper holds: paths, records, and the store that reads and commits them."""
