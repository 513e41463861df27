"""What a person does on the canvas, tied to the project: points, fields, rough masks, live labels.

Each tool knows one napari layer of the active image and the project's table behind it. Acts go to
the project first; what napari's own tools change on the layer is written through at once, and
taken back on the canvas when the project refuses it. None of them needs Qt.
"""
