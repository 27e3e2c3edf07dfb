QUIC images, encoded and decoded in C, for `image_compression = quic`; `spicemig codec` turns raw pixels into a codec's
bytes and back.
