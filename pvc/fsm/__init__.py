"""The transition tables of nodes, guests, migrations and fencing, and the machines built from them."""
