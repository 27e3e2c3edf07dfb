The line to each client is measured (see `spicemig sessions`): on slow ones `jpeg_wan` and `zlib_glz_wan` save bytes, little
is on its way, and the newest picture is painted in pieces; what came lossy is made exact later, also after a handover.
