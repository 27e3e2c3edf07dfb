`spicemig demo` shows it all on one machine, with pictures before and after and a timeline.
