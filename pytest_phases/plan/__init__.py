"""Reading plans: Markdown, TOML and markers become one Plan.

`read.read_plan` is the door; nothing is imported here, so that a worker pays for the parts it uses.
"""
