"""Settings of the papers' methods, one module each: the defaults are the paper's.

What the presets change of them stands in `learning.presets`, with a reason beside each value. A new
method may have its settings in its own file.
"""
