LZ images of every pixel format and with palettes, encoded and decoded in C, for `image_compression = lz`; with
`auto_lz` photographs go as QUIC and everything else as LZ, found out as spice-server does.
