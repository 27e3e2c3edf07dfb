`spicemig demo` has a relay with a second client behind it, which must notice nothing; `--keep` tells a browser's address, too.
