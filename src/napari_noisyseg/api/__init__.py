"""What a script or a notebook calls: thin functions over the rooms below, offered at the top.

Import them from the top (`import napari_noisyseg as ns`), which loads each when it is first used.
"""
