When `spice-relay` ends and systemd holds its port, it tells viewers to connect again, so that they outlive a restart.
