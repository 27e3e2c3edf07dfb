`spicemig replay --encode MODE` also sends the trace to a client in the same process, paced or in a burst, and tells messages, bytes and images by codec.
