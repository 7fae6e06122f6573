"""States of one space as numbers of another."""

from pvc.check.arrays import Column


class Renumbered:
    """From the numbers of one space to those of another, all at once; ``hosts`` and ``block`` translate the parts."""

    def __init__(self, source, target, hosts=lambda hosts: hosts, block=lambda block: block):
        self.source, self.target = source, target
        self.node = Column(lambda n: target.hosts(hosts(source.hosts.items[n])))
        self.block = Column(lambda b: target.blocks(block(source.blocks.items[b])))

    def of(self, states):
        """The numbers there of these states here."""
        node, blocks = self.source.split(states)
        return self.target.canonical(self.node[node], self.block[blocks.reshape(-1)].reshape(blocks.shape))
