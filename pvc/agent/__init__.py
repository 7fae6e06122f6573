"""One node's agent without its surroundings: the Core with its senses and hands, over ports for store, hypervisor, fence device and
timer.
"""
