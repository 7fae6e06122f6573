"""A port that writes everything down and does what the test wants, instead of ZooKeeper and libvirt."""


class Recorder:
    """Notes writes and orders in the order in which they come; raises what it was given to raise."""

    def __init__(self, on_commit=None, on_order=None):
        self.log = []
        self.on_commit = on_commit
        self.on_order = on_order

    def commit(self, tracker, row, partner, view, record):
        if self.on_commit is not None:
            raise self.on_commit
        self.log.append(("commit", tracker, row, partner, view, record))

    def order(self, tracker, effect, view):
        if self.on_order is not None:
            raise self.on_order
        self.log.append(("order", tracker, effect, view))

    @property
    def kinds(self):
        return [entry[0] for entry in self.log]

    @property
    def orders(self):
        return [entry[2] for entry in self.log if entry[0] == "order"]

    @property
    def writes(self):
        return [entry[5] for entry in self.log if entry[0] == "commit"]
