"""A picture with what a model says of it: pure functions, a task a module.

``task_drawings.py`` has the list of them; ``canvas.py`` is what they draw on.
"""
