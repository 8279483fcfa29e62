"""Drive the public API with a file of payments, in the order and at the times the payments happened.

`running.replay` does it. `options` is light, so that the command line can show its help without numpy and pyarrow.
"""
