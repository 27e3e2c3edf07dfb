`spicemig sessions` and `channels` show what a relay has (servers, handovers, bytes that wait); commands for a guest say that a relay has none, and end with 2.
