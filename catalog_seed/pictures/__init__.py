"""The goods, drawn: one SVG a picture, made by ``draw.py`` from plants and vessels."""
