`spice-source` serves a guest to SPICE clients over plain TCP, TLS and unix sockets, with tickets, several clients at once, and the channels main, display, inputs and cursor.
