"""The mechanism pictures: one file a module, all made of the shapes in shapes.py and coloured by style.css.

`python -m book.figures` draws them into this folder and writes the stylesheet of the pages.
"""
