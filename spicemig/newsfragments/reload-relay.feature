SIGHUP has a running `spice-relay` take over routes, their servers' ticket and its times, too, besides `[auth]`, `[tls]` and the limit on clients; connected clients stay where they are.
