With `[listen] websocket` one port of `spice-relay` takes viewers and browsers (SPICE over WebSocket), each with TLS or without, and serves the pages of spice-html5 from `[web] viewer`.
