GLZ and zlib-glz images: what a client got in earlier images is referred to. The encoder is in C, takes half to a quarter
of spice-server's time and makes streams that are a tenth smaller; `spicemig codec` takes `glz` and `zlib_glz`, with the
files of a directory as one window.
