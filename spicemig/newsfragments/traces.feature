The guest of kind `trace` plays recorded QXL traces and can be migrated in the middle; `spicemig replay` plays one
without a daemon, and `spicemig record` writes one of any live guest.
