With `[listen] websocket` one port of `spice-relay` takes viewers and browsers (SPICE over WebSocket), each with TLS or without.
