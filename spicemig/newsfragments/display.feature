Display channels: surfaces, draws and images as bitmaps, LZ4 or JPEG, with the client's pixmap and palette caches, which stay valid when the session moves.
