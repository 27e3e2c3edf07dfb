SIGHUP has a running `spice-source` or `spice-target` take over `[auth]`, `[tls]` and the limits on clients; certificates that are replaced are noticed without it.
