The rasteriser draws every QXL command exactly as SPICE clients do, on surfaces of all formats.
