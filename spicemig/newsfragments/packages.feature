Packages for Debian 12: `make deb` builds `spicemig` (daemons as services, command, settings, man pages) and `python3-spicemig`; `spicemig` is completed by bash.
