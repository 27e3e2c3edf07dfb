GLZ and zlib-glz images: what a client got in earlier images is referred to, in C and about three times as fast as
spice-server; `spicemig codec` takes `glz` and `zlib_glz`, with the files of a directory as one window.
