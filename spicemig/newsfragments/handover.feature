`spicemig migrate` hands a guest and its connected clients to `spice-target` on another host: seamless with all caches valid, semi-seamless, or by reconnecting.
